//! What CI runs. Cheap judgements first, so that a slip in formatting does not cost the wait for the tests.

use std::process::Command;

use crate::cargo::{cargo, target_dir};
use crate::install;
use crate::steps::Step;

pub fn steps() -> Vec<Step> {
    vec![
        install::step(),
        Step::command("format", cargo(["fmt", "--all", "--check"])),
        Step::command("clippy", cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        Step::command("documentation", documentation()),
        Step::command("tests", cargo(["test", "--workspace", "--no-fail-fast"])),
        Step::command("loom: engine-core", loom("engine-core")),
        Step::command(
            "loom: gateway",
            cargo(["test", "-p", "gateway", "--lib", "--features", "loom", "loom_"]),
        ),
        Step::command("benches, tiny", tiny_benches()),
    ]
}

pub fn browser_steps() -> Vec<Step> {
    let browser = ["test", "-p", "gateway", "--test", "promises", "browser::"];
    vec![install::step(), Step::command("browser", cargo(browser))]
}

fn documentation() -> Command {
    let mut command = cargo(["doc", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-Dwarnings");
    command
}

/// Every interleaving of the lock-free pieces. The flag reaches every crate, so the build has a folder of its own;
/// without LTO it is built in half the time and explores as fast.
fn loom(package: &str) -> Command {
    let target = target_dir("loom");
    let mut command = cargo(["test", "--release", "-p", package, "--lib", "--target-dir", &target, "loom_"]);
    command.env("RUSTFLAGS", "--cfg loom");
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG", "none");
    command
}

/// Every bench with hardly any work, so that none can rot. Its figures mean nothing here, so it is built like the
/// tests and shares their dependencies.
fn tiny_benches() -> Command {
    let mut command = cargo(["bench", "--workspace", "--bench", "*", "--profile", "dev"]);
    command.env("RINGSIDE_BENCH", "tiny");
    command
}
