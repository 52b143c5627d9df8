//! The pure room of SIP: bytes and time go in, messages and effects come out.
//!
//! Nothing here owns a socket, clock, task or random number. The wire is read by [`Message::parse`] (datagrams) or
//! [`stream::Framer`] (streams); [`endpoint::Endpoint`] runs the four transaction machines of RFC 3261 §17 and tells
//! through [`endpoint::Effect`] what to send and what happened; [`dialog`], [`auth`], [`registrar`], [`relay`] and
//! [`overload`] are the parts from which a user agent builds the rest.

pub mod auth;
pub mod check;
pub mod dialog;
pub mod endpoint;
mod flow;
pub mod message;
pub mod overload;
mod reason;
pub mod registrar;
pub mod relay;
mod status;
pub mod stream;
mod time;
mod tokens;
pub mod transaction;
mod uri;

pub use flow::{Flow, Transport};
pub use message::{Header, Headers, Message, Method, NameAddr, ParseError, Request, Response};
pub use message::{RequestBuilder, ResponseBuilder};
pub use reason::Reason;
pub use status::StatusCode;
pub use time::Moment;
pub use tokens::Tokens;
pub use uri::{Host, Scheme, Uri, UriError, escape_user, unescape_user};
