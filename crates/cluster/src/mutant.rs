//! Deliberate mistakes, each of which the simulation of nodes in trouble must find. They exist only in a build with the feature
//! `mutants` (`cargo xtask simulate --cluster --mutants`); in every other build none is ever made.

#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicUsize, Ordering};

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A new owner serves at once, and asks nobody what he holds.
    NotAnnounced,
    /// Who is asked by a new owner what he holds answers that it is nothing, and nobody speaks up by himself.
    NothingReported,
}

#[cfg(feature = "mutants")]
static ACTIVE: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 2] = [Mutant::NotAnnounced, Mutant::NothingReported];

    /// Makes this mistake in this process from now on.
    #[cfg(feature = "mutants")]
    pub fn make(self) {
        ACTIVE.store(self as usize, Ordering::Relaxed);
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn is_made(self) -> bool {
        ACTIVE.load(Ordering::Relaxed) == self as usize
    }

    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is_made(self) -> bool {
        false
    }
}
