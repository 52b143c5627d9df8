//! Look-ups by id, which every decision makes several of.
//!
//! The hasher has no seed of its own, so that the same events give the same effects on every machine and in every run. Its
//! keys are configured names and ids that we count up ourselves; nobody outside can choose them to collide. In what order
//! a table is walked through means nothing, and nothing that is decided may depend on it.

use std::collections::HashMap;

use foldhash::fast::FixedState;

pub(super) type Table<K, V> = HashMap<K, V, FixedState>;
