//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760). Spec: SE-1.

mod client;
mod digest;
mod nonce;
mod server;

pub use client::{Credentials, answer};
pub use server::{Authenticator, Challenges, Verdict, claimed_username};

#[cfg(test)]
mod tests;
