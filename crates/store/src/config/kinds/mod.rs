//! One file per kind of object: its fields, their ranges and defaults.

pub(super) mod agent;
mod codes;
mod exits;
pub(super) mod number;
pub(super) mod queue;
mod skills;
pub(super) mod sound;
pub(super) mod tenant;
pub(super) mod trunk;

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
