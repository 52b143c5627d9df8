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
    /// An edge goes on with the calls of a dead one, and lets nobody know.
    SilentHeir,
}

#[cfg(feature = "mutants")]
static ACTIVE: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 3] = [Mutant::NotAnnounced, Mutant::NothingReported, Mutant::SilentHeir];

    /// Makes this mistake in this process from now on.
    #[cfg(feature = "mutants")]
    pub fn make(self) {
        ACTIVE.store(self as usize, Ordering::Relaxed);
    }

    /// Whether this mistake is made.
    #[cfg(feature = "mutants")]
    pub fn is_made(self) -> bool {
        ACTIVE.load(Ordering::Relaxed) == self as usize
    }

    /// Whether this mistake is made: never.
    #[cfg(not(feature = "mutants"))]
    pub const fn is_made(self) -> bool {
        false
    }
}
