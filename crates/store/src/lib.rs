//! What Carillon keeps: the configuration objects of a center, its call records and its agents' availability.
//!
//! [`config`] reads the objects from YAML and reports every mistake at once, each with its place and a suggestion.
//! [`Store`] keeps records, availability and the fencing number in one SQLite file, written by a single task; for a node that
//! stands alone also the configuration as it was applied.

mod availability;
pub mod config;
mod db;
mod disk;
mod epoch;
mod kept;
mod periods;
pub mod records;

pub use config::Center;
pub use db::{Store, StoreError};
pub use kept::Kept;
pub use periods::PeriodsAfter;
pub use records::{Cursor, Filter, Order, RecordWriter, WriterStats};
