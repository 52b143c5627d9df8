//! Soft phones: real SIP over real sockets, with `rsip` as the reader and writer of messages, so that nothing here shares
//! code with the SIP that is tested.

pub mod call;
mod dialog;
pub mod digest;
mod driver;
pub mod endpoint;
pub mod message;
pub mod phone;
pub mod sdp;
pub mod transport;

pub use call::{Call, End, Progress};
pub use digest::Hash;
pub use phone::{Account, Answering, Phone, PhoneConfig};
pub use transport::Transport;
