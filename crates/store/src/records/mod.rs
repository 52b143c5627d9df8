//! Call records: written once by one task, read by filter (Spec: PL-6).

mod query;
mod row;
mod writer;

pub(crate) use query::query;
pub use query::{Cursor, Filter, Order};
pub use writer::{Full, RecordWriter, WriterStats};
