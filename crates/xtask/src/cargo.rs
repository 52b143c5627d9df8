//! Calling cargo.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).expect("this crate lies two folders below the workspace")
}

/// Cargo as it was when it began this program: what it has told this package about itself since would rebuild every
/// dependency that looks at it.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if told {
            command.env_remove(name);
        }
    }
    command
}

/// Runs cargo with its output on the terminal.
pub(crate) fn cargo(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<()> {
    let what = format!("cargo {}", arguments.join(" "));
    println!("$ {what}");
    let status = command(arguments).envs(environment.iter().copied()).status().with_context(|| what.clone())?;
    ensure!(status.success(), "{what}: {status}");
    Ok(())
}

/// Runs cargo and returns what it printed.
pub(crate) fn cargo_output(arguments: &[&str]) -> Result<String> {
    let what = format!("cargo {}", arguments.join(" "));
    let out = command(arguments).stderr(Stdio::inherit()).output().with_context(|| what.clone())?;
    ensure!(out.status.success(), "{what}: {}", out.status);
    String::from_utf8(out.stdout).with_context(|| what)
}

/// `cargo metadata` of the workspace's own packages.
pub(crate) fn metadata() -> Result<Value> {
    let text = cargo_output(&["metadata", "--format-version=1", "--no-deps"])?;
    serde_json::from_str(&text).context("cargo metadata")
}

pub(crate) fn target_folder() -> Result<PathBuf> {
    let metadata = metadata()?;
    Ok(metadata["target_directory"].as_str().context("cargo metadata has no target_directory")?.into())
}

/// Builds the product in the release profile and returns its path.
pub(crate) fn release_binary() -> Result<PathBuf> {
    cargo(&["build", "--release", "--package", "carillon"], &[])?;
    Ok(target_folder()?.join("release").join("carillon"))
}

/// Runs a built program of `tests/`.
pub(crate) fn run_built(name: &str, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<()> {
    let program = target_folder()?.join("debug").join(name);
    let mut command = Command::new(&program);
    command.args(arguments).envs(environment.iter().copied()).current_dir(root());
    let status = command.status().with_context(|| program.display().to_string())?;
    if !status.success() {
        // It has said why.
        std::process::exit(status.code().unwrap_or(1));
    }
    Ok(())
}

/// How many tests ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl AddAssign for Tests {
    fn add_assign(&mut self, other: Tests) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Tests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tests: {} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

impl Tests {
    /// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    fn read(line: &str) -> Option<Tests> {
        let counts = line.trim().strip_prefix("test result: ")?;
        let count = |name: &str| {
            let words: Vec<&str> = counts.split([' ', ';', '.']).filter(|w| !w.is_empty()).collect();
            let at = words.iter().position(|w| *w == name)?;
            words.get(at.checked_sub(1)?)?.parse().ok()
        };
        Some(Tests { passed: count("passed")?, failed: count("failed")?, ignored: count("ignored")? })
    }
}

/// Runs `cargo test …`, shows its output, and counts.
pub(crate) fn test_counted(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<Tests> {
    let what = format!("cargo {}", arguments.join(" "));
    println!("$ {what}");
    let mut child = command(arguments)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| what.clone())?;
    let out = child.stdout.take().context("cargo's output")?;
    let mut tests = Tests::default();
    for line in BufReader::new(out).split(b'\n') {
        let line = line.context("cargo's output")?;
        let text = String::from_utf8_lossy(&line);
        writeln!(std::io::stdout(), "{text}").context("standard output")?;
        if let Some(more) = Tests::read(&text) {
            tests += more;
        }
    }
    let status = child.wait().with_context(|| what.clone())?;
    if !status.success() {
        bail!("{what}: {status}; {tests}");
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_added() {
        let line = "test result: ok. 13 passed; 0 failed; 2 ignored; 0 measured; 4 filtered out; finished in 1.65s";
        let mut tests = Tests::read(line).unwrap();
        assert_eq!(tests, Tests { passed: 13, failed: 0, ignored: 2 });
        tests += Tests::read("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured").unwrap();
        assert_eq!(tests.to_string(), "tests: 14 passed, 2 failed, 2 ignored");
        assert_eq!(Tests::read("test sip::x ... ok"), None);
    }
}
