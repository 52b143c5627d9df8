//! Calling cargo.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
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

/// How many tests ran, and which of them failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    passed: usize,
    ignored: usize,
    failed: Vec<String>,
    /// Failed, and passed when they were run once more.
    shaky: Vec<String>,
}

impl AddAssign for Tests {
    fn add_assign(&mut self, other: Tests) {
        self.passed += other.passed;
        self.ignored += other.ignored;
        self.failed.extend(other.failed);
        self.shaky.extend(other.shaky);
    }
}

impl fmt::Display for Tests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tests: {} passed, {} failed, {} ignored", self.passed, self.failed.len(), self.ignored)?;
        if !self.shaky.is_empty() {
            write!(f, "\npassed only when run once more, see above why: {}", self.shaky.join(", "))?;
        }
        Ok(())
    }
}

impl Tests {
    /// Counts what a line of libtest says: `test NAME ... FAILED`, or `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    fn read(&mut self, line: &str) {
        let Some(said) = line.trim().strip_prefix("test ") else { return };
        if let Some(name) = said.strip_suffix(" ... FAILED") {
            self.failed.push(name.to_owned());
        } else if let Some(counts) = said.strip_prefix("result: ") {
            let words: Vec<&str> = counts.split([' ', ';', '.']).filter(|w| !w.is_empty()).collect();
            let count = |name| words.windows(2).find(|pair| pair[1] == name).and_then(|pair| pair[0].parse().ok());
            self.passed += count("passed").unwrap_or(0usize);
            self.ignored += count("ignored").unwrap_or(0usize);
        }
    }
}

/// More failures than these have a common cause.
const SHAKY: usize = 2;

/// Runs `cargo test …`, shows its output, and counts.
pub(crate) fn test_counted(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<Tests> {
    let (tests, status) = test(arguments, environment)?;
    ensure!(status.success(), "cargo {}: {status}; {tests}", arguments.join(" "));
    Ok(tests)
}

/// The same, with a second try for one or two that fail: phones and servers of many processes share the machine with its
/// other work. Who needed it is named in the count.
pub(crate) fn test_twice(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<Tests> {
    let (mut tests, status) = test(arguments, environment)?;
    if status.success() {
        return Ok(tests);
    }
    let what = format!("cargo {}", arguments.join(" "));
    ensure!((1..=SHAKY).contains(&tests.failed.len()), "{what}: {status}; {tests}");
    let names: Vec<&str> = tests.failed.iter().map(String::as_str).collect();
    let (again, status) = test(&[arguments, &["--exact"], &names].concat(), environment)?;
    ensure!(status.success() && again.passed == names.len(), "{what}: failed twice; {again}");
    tests.passed += again.passed;
    tests.shaky.append(&mut tests.failed);
    Ok(tests)
}

fn test(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<(Tests, ExitStatus)> {
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
        tests.read(&text);
    }
    Ok((tests, child.wait().with_context(|| what)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_added() {
        let mut tests = Tests::default();
        tests.read("test result: ok. 13 passed; 0 failed; 2 ignored; 0 measured; 4 filtered out; finished in 1.65s");
        assert_eq!(tests, Tests { passed: 13, ignored: 2, ..Tests::default() });
        let mut more = Tests::default();
        more.read("test sip::x ... ok");
        more.read("test sip::y ... FAILED");
        more.read("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured");
        tests += more;
        assert_eq!(tests.to_string(), "tests: 14 passed, 1 failed, 2 ignored");
        assert_eq!(tests.failed, ["sip::y"]);
    }
}
