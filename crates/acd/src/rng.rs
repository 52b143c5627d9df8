//! Random numbers without a source of their own: the caller gives the seed.

/// The generator xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016):
/// small, fast and good enough to choose among agents. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence that `seed` names.
    pub const fn new(seed: u64) -> Self {
        // The state must not be zero; the constant also spreads small seeds.
        let state = seed ^ 0x9e37_79b9_7f4a_7c15;
        Rng(if state == 0 { 1 } else { state })
    }

    /// The next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which must not be zero. Its bias is below `bound` / 2^32, far from visible here.
    pub fn below(&mut self, bound: usize) -> usize {
        debug_assert!(bound > 0);
        let high = self.next_u64() >> 32;
        ((high * bound as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_below_the_bound_comes_about_equally_often() {
        let mut rng = Rng::new(7);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[rng.below(5)] += 1;
        }
        assert!(seen.iter().all(|&n| (900..1_100).contains(&n)), "{seen:?}");
    }

    #[test]
    fn no_seed_gets_stuck() {
        let mut rng = Rng::new(0x9e37_79b9_7f4a_7c15);
        assert_ne!(rng.next_u64(), rng.next_u64());
    }
}
