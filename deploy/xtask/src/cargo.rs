//! Commands that run cargo from the top of the repository.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The top of the repository, wherever xtask was called from.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("xtask lives in deploy/xtask").to_path_buf()
}

pub fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    command("cargo", arguments)
}

pub fn command<const N: usize>(program: &str, arguments: [&str; N]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // `cargo run` points this at its own toolchain; a nested nightly must load its own libraries.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// A folder of its own inside the target directory, for builds whose flags would throw away the usual one.
pub fn target_dir(name: &str) -> String {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(name).display().to_string()
}
