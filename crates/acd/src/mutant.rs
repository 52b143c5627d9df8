//! Deliberate mistakes, each of which the simulation must find. They exist only in a build with `--cfg carillon_mutants`
//! (`cargo xtask simulate --mutants`); in every other build `mutant!` is the word `false`.

#[cfg(carillon_mutants)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// One mistake.
#[cfg(carillon_mutants)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// An agent's owner grants every reservation.
    GrantWithoutChecking,
    /// A reservation holds until it is released.
    NoReservationExpiry,
    /// A waiting call sends its ticket once.
    NoTicketRefresh,
    /// An owner counts its lease from when the answer came.
    ReceiveTimeLease,
    /// Calls and agents believe every owner of a queue.
    OfferWithoutEpoch,
    /// Calls believe every owner of an agent.
    GrantWithoutEpoch,
    /// A call that only wishes for an agent tells his new owner that it holds him.
    WishForHold,
    /// Who falls silent loses his place.
    PlaceForgotten,
    /// A queue forgets what priority is worth.
    PriorityWithoutWorth,
    /// The order of entry is the time on the owner's clock.
    FifoByClock,
    /// Who rang and did not win goes to the end of the longest-idle order.
    LoserPenalised,
}

#[cfg(carillon_mutants)]
impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 11] = [
        Mutant::GrantWithoutChecking,
        Mutant::NoReservationExpiry,
        Mutant::NoTicketRefresh,
        Mutant::ReceiveTimeLease,
        Mutant::OfferWithoutEpoch,
        Mutant::GrantWithoutEpoch,
        Mutant::WishForHold,
        Mutant::PlaceForgotten,
        Mutant::PriorityWithoutWorth,
        Mutant::FifoByClock,
        Mutant::LoserPenalised,
    ];

    /// Makes this mistake on this thread from now on; `None` makes none.
    pub fn set(mutant: Option<Mutant>) {
        ACTIVE.set(mutant);
    }

    pub(crate) fn is_active(self) -> bool {
        ACTIVE.get() == Some(self)
    }
}

/// Whether this mistake is to be made.
#[cfg(carillon_mutants)]
macro_rules! mutant {
    ($mutant:ident) => {
        crate::mutant::Mutant::$mutant.is_active()
    };
}

/// Whether this mistake is to be made: no.
#[cfg(not(carillon_mutants))]
macro_rules! mutant {
    ($mutant:ident) => {
        false
    };
}
