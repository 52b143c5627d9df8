//! The three machines together: text scenarios and a small simulation, on one world in memory.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test; the lint's own exception sees only `#[test]` functions"
)]

mod scenarios;
mod script;
mod simulation;
mod world;
