//! Call records: written once by one task, read by filter (Spec: PL-6).

mod query;
mod row;
mod writer;

pub use query::{Cursor, Filter, Order};
pub(crate) use query::{of_other_nodes, query};
pub use writer::{Full, RecordWriter, WriterStats};
