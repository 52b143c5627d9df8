//! A few days of the simulator in every test run; `cargo xtask simulate` runs thousands.

use carillon_simulation::{Options, run};

// spec: CL-3
#[test]
fn cl_3_a_day_in_a_storm_breaks_no_promise() {
    let (mut answered, mut picked_up) = (0, 0);
    for seed in 0..60 {
        match run(seed, Options::default()) {
            Ok(day) => {
                answered += day.answered;
                picked_up += day.picked_up;
            }
            Err(what) => panic!("seed {seed}: {what}\ncargo xtask simulate --seed {seed} --trace"),
        }
    }
    assert!(answered > 0, "a simulation in which nobody is answered proves nothing");
    assert!(picked_up > 0, "nor does one in which nobody picks up (TR-4)");
}

/// The same seed gives the same day, or no failure could be repeated.
#[test]
fn a_day_can_be_repeated() {
    assert_eq!(run(11, Options::default()), run(11, Options::default()));
}
