//! The long runs, for before a release and for changes to unsafe or lock-free code. They need a nightly toolchain,
//! which is installed through rustup, and cargo-fuzz.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::{cargo, command, root};
use crate::install::runs;
use crate::steps::{Step, Tally};

#[derive(Args)]
pub struct Options {
    /// Minutes for each fuzz target
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// Seeds for the differential book test
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
}

/// Where raw pointers and atomics live: package, and the module whose tests Miri runs.
const MIRI: [(&str, &str); 2] = [("engine-core", "lane"), ("gateway", "rooms::ring")];

/// Crates that may have a `fuzz` folder.
const FUZZED: [&str; 2] = ["engine/core", "gateway"];

pub fn steps(options: &Options) -> Vec<Step> {
    let mut steps = vec![Step::call("nightly toolchain and cargo-fuzz", install_nightly)];
    for (package, module) in MIRI {
        let name = format!("miri: {package} {module}");
        let mut miri = cargo(["+nightly", "miri", "test", "-p", package, "--lib", module]);
        // proptest looks for its regressions on the disk; and what Miri runs takes a hundred times as long.
        miri.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "16");
        steps.push(Step::command(name, miri));
    }
    steps.push(Step::command(
        format!("book against book, {} seeds", options.seeds),
        differential(options.seeds),
    ));
    for (folder, target) in fuzz_targets() {
        steps.push(Step::command(format!("fuzz: {target}"), fuzz(folder, &target, options.minutes)));
    }
    steps
}

fn install_nightly() -> Result<Tally> {
    let components = ["--component", "miri", "--component", "rust-src"];
    let mut rustup = command("rustup", ["toolchain", "install", "nightly", "--profile", "minimal"]);
    let ready = runs("cargo", &["+nightly", "miri", "--version"]) && has_rust_src();
    if !ready {
        finish(rustup.args(components))?;
    }
    if !runs("cargo", &["fuzz", "--version"]) {
        finish(&mut cargo(["install", "cargo-fuzz", "--locked"]))?;
    }
    Ok(Tally::PASSED)
}

/// Miri builds the standard library for itself, from source.
fn has_rust_src() -> bool {
    let sysroot = command("rustc", ["+nightly", "--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        sysroot.join("lib/rustlib/src/rust/library").exists()
    })
}

fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} failed with {status}");
    Ok(())
}

fn differential(seeds: u64) -> Command {
    let mut command = cargo(["test", "--release", "-p", "engine-core", "differential"]);
    command.env("BOOK_SEEDS", seeds.to_string());
    command
}

/// Every file in a `fuzz_targets` folder is a target of the same name.
fn fuzz_targets() -> Vec<(&'static str, String)> {
    let mut targets = Vec::new();
    for folder in FUZZED {
        let Ok(files) = root().join(folder).join("fuzz/fuzz_targets").read_dir() else { continue };
        for file in files.flatten() {
            if let Some(name) = file.file_name().to_string_lossy().strip_suffix(".rs") {
                targets.push((folder, name.to_owned()));
            }
        }
    }
    targets.sort();
    targets
}

fn fuzz(folder: &str, target: &str, minutes: u64) -> Command {
    let seconds = format!("-max_total_time={}", minutes * 60);
    let mut command = cargo(["+nightly", "fuzz", "run", target, "--", &seconds]);
    command.current_dir(root().join(folder));
    command
}
