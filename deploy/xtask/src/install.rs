//! What the tests need beyond Rust, from Debian's packages. What is there already is left alone.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::steps::{Step, Tally};

/// Something a test starts, how to see that it is there, and the packages that bring it.
struct Need {
    what: &'static str,
    is_there: fn() -> bool,
    packages: &'static [&'static str],
}

/// Chromium without any font cannot lay out a page, and Debian only recommends one.
const NEEDS: [Need; 5] = [
    Need {
        what: "chromium",
        is_there: || runs("chromium", &["--version"]),
        packages: &["chromium", "fonts-liberation"],
    },
    Need {
        what: "chromedriver",
        is_there: || runs("chromedriver", &["--version"]),
        packages: &["chromium-driver"],
    },
    Need { what: "python3", is_there: || Path::new("/usr/bin/python3").exists(), packages: &["python3"] },
    Need { what: "postgresql", is_there: has_postgresql, packages: &["postgresql"] },
    // Debian's own interpreter, because another python3 first in PATH would not see Debian's modules.
    Need {
        what: "python websockets",
        is_there: || runs("/usr/bin/python3", &["-c", "import websockets"]),
        packages: &["python3-websockets"],
    },
];

/// Debian keeps a server's programs out of the path.
fn has_postgresql() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    runs("postgres", &["--version"])
        || versions.into_iter().any(|version| version.path().join("bin/postgres").exists())
}

/// Mirrors fail for moments; a second try a little later settles most of it.
const RETRY_AFTER: Duration = Duration::from_secs(5);

pub fn step() -> Step {
    Step::call("install what the tests need", || {
        install_missing()?;
        Ok(Tally::PASSED)
    })
}

fn install_missing() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        println!("everything is there");
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|need| need.what).collect();
    println!("missing: {}", names.join(", "));
    let packages: Vec<_> = missing.iter().flat_map(|need| need.packages).copied().collect();
    if let Err(error) = apt_install(&packages) {
        eprintln!("{error:#}; trying once more");
        thread::sleep(RETRY_AFTER);
        apt_install(&packages)
            .with_context(|| format!("the tests need {}: install it by hand", packages.join(" ")))?;
    }
    let absent: Vec<_> = missing.iter().filter(|need| !(need.is_there)()).map(|need| need.what).collect();
    ensure!(
        absent.is_empty(),
        "installed {} but {} still does not run",
        packages.join(" "),
        absent.join(", ")
    );
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    apt_get(&["update", "-qq"])?;
    apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    ensure!(runs("apt-get", &["--version"]), "there is no apt-get on this machine");
    let mut command = Command::new(if is_root()? { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments); // env and sudo both take NAME=value
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} failed with {status}");
    Ok(())
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").output().context("asking who we are")?;
    Ok(id.stdout.trim_ascii() == b"0")
}

/// True when the program starts and is content.
pub fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
