//! Real programs on loopback: the product itself, and the phones and carriers that other people wrote.

pub mod baresip;
pub mod carillon;
pub mod etcd;
pub mod http;
pub mod network;
pub mod process;
pub mod sipp;

pub use baresip::Baresip;
pub use carillon::{Carillon, Launch};
pub use etcd::Etcd;
pub use network::Block;
pub use sipp::{Sipp, SippEnd, SippRun};
