//! Carillon's production machines (`carillon-acd`) on a simulated clock. Two things run on it: the simulator of
//! `tests/simulation`, which looks for a sequence of messages that breaks a promise, and `carillon simulate`, which
//! answers what another configuration would have done with yesterday's calls.

pub mod center;
pub mod day;
pub mod engine;
pub mod load;
pub mod replay;
