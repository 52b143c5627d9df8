//! The three machines together: text scenarios, on a world in memory. Storms are for `tests/simulation`.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test; the lint's own exception sees only `#[test]` functions"
)]

mod scenarios;
mod script;
mod world;
