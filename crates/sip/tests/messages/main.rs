//! Messages that peers should not send, and what becomes of them.

mod common;
mod mutation;
mod oracle;
mod torture;
