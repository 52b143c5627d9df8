//! The live figures of a node: what its calls and agents have added up since the start (Spec: PL-4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use carillon_acd::ids::NumberId;
use carillon_acd::record::{Record, Transition};
use carillon_acd::stats::{Books, Definitions, Fact, Follower, Period};
use carillon_acd::time::WallTime;

/// Quarters of an hour that are kept by themselves: two hours. Older ones are computed from the records.
const QUARTERS: usize = 8;

/// Everything that has been counted since the center started.
#[derive(Debug)]
pub struct Statistics {
    since: WallTime,
    definitions: ArcSwap<Definitions>,
    books: Mutex<Books>,
}

impl Statistics {
    pub(crate) fn new(since: WallTime, definitions: Definitions) -> Self {
        Statistics {
            since,
            definitions: ArcSwap::from_pointee(definitions),
            books: Mutex::new(Books::keeping(QUARTERS)),
        }
    }

    /// When the counting began.
    pub const fn since(&self) -> WallTime {
        self.since
    }

    /// What counts as good service.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.definitions.load_full()
    }

    /// From now on this counts as good service.
    pub(crate) fn define(&self, definitions: Definitions) {
        self.definitions.store(Arc::new(definitions));
    }

    /// Looks at the sums. Everybody who counts waits for `look`, so let it be short.
    pub fn with<R>(&self, look: impl FnOnce(&Books) -> R) -> R {
        look(&self.books())
    }

    /// Counts what has happened to a call since the last time; `transitions` are all so far.
    pub(crate) fn follow(&self, follower: &mut Follower, number: Option<&NumberId>, transitions: &[Transition]) {
        let mut facts = Vec::new();
        follower.follow(&self.definitions.load(), number, transitions, &mut facts);
        self.post(&facts);
    }

    /// Takes back what was counted of a call: another edge has it, with all of its past.
    pub(crate) fn retract(&self, number: Option<&NumberId>, transitions: &[Transition]) {
        let mut facts = Vec::new();
        Follower::default().follow(&self.definitions.load(), number, transitions, &mut facts);
        let mut books = self.books();
        facts.iter().for_each(|fact| books.retract(fact));
    }

    /// Counts the rest of a call that is over.
    pub(crate) fn finish(&self, follower: Follower, record: &Record) {
        let mut facts = Vec::new();
        follower.finish(&self.definitions.load(), record, &mut facts);
        self.post(&facts);
    }

    /// Counts what an agent spent his time on.
    pub(crate) fn spent(&self, period: &Period) {
        let mut facts = Vec::new();
        period.facts(&mut facts);
        self.post(&facts);
    }

    fn post(&self, facts: &[Fact]) {
        if !facts.is_empty() {
            let mut books = self.books();
            facts.iter().for_each(|fact| books.post(fact));
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
