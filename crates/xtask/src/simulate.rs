//! The simulators: `tests/simulation` with many days, one day with its trace, the mutants, the theory; and `tests/turmoil`.

use std::ffi::OsStr;

use anyhow::Result;

use crate::cargo::{cargo, target_folder};

const PACKAGE: &str = "carillon-simulation";
const CLUSTER: &str = "carillon-turmoil";

/// Runs days on all cores.
pub(crate) fn days(seeds: Option<u64>, seed: Option<u64>, loss: Option<u8>, trace: bool) -> Result<()> {
    let mut arguments: Vec<String> =
        ["run", "--quiet", "--release", "--package", PACKAGE, "--"].map(String::from).to_vec();
    let options = [("--seeds", seeds), ("--seed", seed), ("--loss", loss.map(u64::from))];
    for (option, value) in options {
        arguments.extend(value.into_iter().flat_map(|value| [option.to_owned(), value.to_string()]));
    }
    arguments.extend(trace.then(|| "--trace".to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cargo(&arguments, &[])
}

/// Days of several nodes, each in a process of its own; or the deliberate mistakes of their cluster code. The debug build: its
/// overflow checks count, and a day takes a second.
pub(crate) fn cluster_days(seeds: Option<u64>, seed: Option<u64>, trace: bool, mutants: bool) -> Result<()> {
    let mut arguments: Vec<String> = ["run", "--quiet", "--package", CLUSTER].map(String::from).to_vec();
    arguments.extend(mutants.then(|| "--features=mutants".to_owned()));
    arguments.push("--".to_owned());
    let options = [("--seeds", seeds), ("--seed", seed)];
    arguments.extend(options.into_iter().filter_map(|(option, value)| Some(format!("{option}={}", value?))));
    arguments
        .extend([(trace, "--trace"), (mutants, "--mutants")].into_iter().filter(|it| it.0).map(|it| it.1.to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cargo(&arguments, &[])
}

/// The machines are built with the deliberate mistakes in them, apart from every other build.
pub(crate) fn mutants() -> Result<()> {
    let target = target_folder()?.join("mutants");
    let environment = [("RUSTFLAGS", OsStr::new("--cfg carillon_mutants")), ("CARGO_TARGET_DIR", target.as_os_str())];
    cargo(&["test", "--release", "--package", PACKAGE, "--test", "mutants", "--", "--nocapture"], &environment)
}

/// A million calls for each size of center; an unoptimised build would take minutes, so the test suites leave it out.
pub(crate) fn theory() -> Result<()> {
    cargo(
        &["test", "--release", "--package", PACKAGE, "--test", "theory", "--", "--include-ignored", "--nocapture"],
        &[],
    )
}
