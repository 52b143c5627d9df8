//! A few days in every test run; `cargo xtask simulate --cluster` runs more.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carillon-turmoil")).args(arguments).output().unwrap()
}

// spec: CL-3, CL-4, CL-5
#[test]
fn cl_3_days_of_nodes_in_trouble_break_no_promise() {
    let days = simulate(&["--seeds", "20"]);
    assert!(days.status.success(), "{}", String::from_utf8_lossy(&days.stdout));
}

/// The same seed gives the same day, or no failure could be repeated.
#[test]
fn a_day_can_be_repeated() {
    let [first, second] = [(); 2].map(|()| String::from_utf8(simulate(&["--seed", "3"]).stdout).unwrap());
    assert!(first.contains("answered"), "{first}");
    assert_eq!(first, second);
}
