//! Do the tests find bugs? Plants known ones into a copy of the engine and expects the tests to fail.
//!
//! The copy lives in the target folder with a workspace of its own and a build folder that all plants share, so only
//! the engine is built again for each. Before the first plant the copy must pass as it is. Only tests that run in one
//! thread judge: a shard that stops on a planted bug must not leave another one waiting for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{cargo, root, target_dir};
use crate::plants::{PLANTS, Plant};
use crate::steps::{Step, Tally};

/// Tests that may catch a plant, in the order in which they are asked: name, what cargo builds, filters.
const JUDGES: [(&str, &[&str], &[&str]); 3] = [
    ("simulator", &["--test", "engine"], &["simulator::"]),
    ("differential", &["--lib"], &["book::tests::differential"]),
    ("engine", &["--test", "engine"], &["money::", "order_semantics::", "links::"]),
];

pub fn steps() -> Vec<Step> {
    let mut steps = vec![Step::call("nothing planted", nothing_planted)];
    for plant in &PLANTS {
        steps.push(Step::call(format!("planted: {}", plant.name), || planted(plant)));
    }
    steps
}

/// Tests that fail anyway catch nothing.
fn nothing_planted() -> Result<Tally> {
    copy_engine()?;
    match caught_by()? {
        Some(judge) => bail!("{judge} fails without any plant"),
        None => Ok(Tally::PASSED),
    }
}

fn planted(plant: &Plant) -> Result<Tally> {
    let file = workspace().join("engine/core/src").join(plant.file);
    let before = fs::read_to_string(&file).with_context(|| format!("reading {}", plant.file))?;
    let fits = before.matches(plant.old).count();
    ensure!(
        fits == 1,
        "{}: its text is {fits} times in {}; fit the plant to the code",
        plant.name,
        plant.file
    );
    fs::write(&file, before.replace(plant.old, plant.new))?;
    let caught = caught_by();
    fs::write(&file, before)?;
    match caught? {
        Some(judge) => println!("{}: caught by {judge}", plant.name),
        None => bail!("{} survived every test", plant.name),
    }
    Ok(Tally::PASSED)
}

fn workspace() -> PathBuf {
    PathBuf::from(target_dir("planted")).join("workspace")
}

/// The engine with its tests, in a workspace without anybody else.
fn copy_engine() -> Result<()> {
    let workspace = workspace();
    if workspace.exists() {
        fs::remove_dir_all(&workspace)?;
    }
    for folder in ["src", "tests", "benches", "examples"] {
        copy(&root().join("engine/core").join(folder), &workspace.join("engine/core").join(folder))?;
    }
    for file in ["engine/core/Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        fs::copy(root().join(file), workspace.join(file)).with_context(|| format!("copying {file}"))?;
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let lines = manifest.lines().filter(|line| !line.starts_with("default-members"));
    let lines = lines.map(|line| match line.starts_with("members") {
        true => "members = [\"engine/core\"]",
        false => line,
    });
    fs::write(workspace.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n"))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The first judge that fails. What does not build is not caught: it is a bad plant.
fn caught_by() -> Result<Option<String>> {
    for (judge, what, filters) in JUDGES {
        let build = test(what).arg("--no-run").output().context("starting cargo")?;
        ensure!(build.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&build.stderr));
        let run = test(what).arg("--").args(filters).output().context("starting cargo")?;
        if !run.status.success() {
            let told = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
            return Ok(Some(match how(&told) {
                Some(how) => format!("{judge} ({how})"),
                None => judge.to_owned(),
            }));
        }
    }
    Ok(None)
}

fn test(what: &[&str]) -> Command {
    let mut command = cargo(["test", "-p", "engine-core"]);
    command.args(what).current_dir(workspace()).env("CARGO_TARGET_DIR", target_dir("planted/target"));
    command.env("RUST_BACKTRACE", "0");
    command
}

/// The seed that a failed test names, or else the test.
fn how(told: &str) -> Option<String> {
    let seed = told.split_once("_SEED=").map(|(_, rest)| rest);
    let digits = seed.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let failed = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned());
    match digits {
        Some(digits) if !digits.is_empty() => Some(format!("seed {digits}")),
        _ => told.lines().find_map(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_named_by_its_seed_or_its_test() {
        let told = "test simulator::a ... FAILED\nrun again with SIM_SEED=17\n";
        assert_eq!(how(told), Some("seed 17".into()));
        assert_eq!(how("test money::b ... FAILED\n"), Some("money::b".into()));
        assert_eq!(how("error: killed\n"), None);
    }

    /// Cheap, so that a plant that no longer fits is noticed by everyday tests.
    #[test]
    fn every_plant_fits_its_file_once() {
        for plant in &PLANTS {
            let source = fs::read_to_string(root().join("engine/core/src").join(plant.file)).unwrap();
            assert_eq!(source.matches(plant.old).count(), 1, "{}: fit the plant to the code", plant.name);
            assert_ne!(plant.old, plant.new);
        }
    }
}
