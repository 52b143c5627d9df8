//! Fresh branches, tags, Call-IDs and nonces from one seed.

use sha2::{Digest, Sha256};

/// A deterministic source of unguessable tokens: SHA-256 over a secret seed and a counter. The seed is the only
/// randomness of a room; two sources with one seed give the same tokens, which simulations use.
#[derive(Debug, Clone)]
pub struct Tokens {
    seed: [u8; 32],
    counter: u64,
}

impl Tokens {
    /// A source with a seed that nobody else knows.
    pub const fn new(seed: [u8; 32]) -> Self {
        Tokens { seed, counter: 0 }
    }

    /// The next token: 20 hexadecimal digits, 80 bits (RFC 3261 §19.3 asks tags for 32).
    pub fn token(&mut self) -> String {
        hex::encode(&self.bytes()[..10])
    }

    /// The next 64 bits.
    pub fn number(&mut self) -> u64 {
        let b = self.bytes();
        u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
    }

    fn bytes(&mut self) -> [u8; 32] {
        self.counter += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.counter.to_be_bytes());
        hash.finalize().into()
    }
}
