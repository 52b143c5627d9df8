//! The callers of a queue, in the order in which they are served, and the times at which something is due for each.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use super::selection::{Class, HARDWARE_PHONES, Seat};
use super::table::Table;
use super::{Overflow, OverflowReason};
use crate::agent::Version;
use crate::ids::{CallId, PhoneNumber};
use crate::offer::OfferId;
use crate::rank::Ranking;
use crate::skills::Skills;
use crate::ticket::{Callback, Sequence};
use crate::time::Moment;

/// A ticket is repeated every 5 s; a caller whose ticket was not for so long is gone.
const TICKET_LIFE: Duration = Duration::from_secs(20);

/// Callers who stand behind each other, and whom the same agents suit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    priority: Reverse<i32>,
    /// From another queue.
    came_over: bool,
    pub(super) class: Class,
    /// As many hardware phones ring for each as may (Spec: QU-10).
    pub(super) full: bool,
}

/// The order within a lane (Spec: QU-7). Who entered here is first come, first served by the sequence. Sequences of two
/// queues cannot be compared, so those who came from another one go by when their waiting began; so do the first callers of
/// two lanes, with what their priority is worth.
type Place = (Option<Moment>, Sequence, CallId);

/// How far a walk through the open callers has come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    at: Option<Stop>,
    /// The last one of each lane who was passed. Most walks end at the first caller and need no memory for it.
    passed: Vec<Stop>,
}

/// A caller and where he stands.
#[derive(Clone, Copy, Debug)]
struct Stop {
    lane: Lane,
    place: Place,
}

impl Stop {
    const fn call(&self) -> CallId {
        let (.., call) = self.place;
        call
    }

    /// Of equal priority: the sequence alone decides between them, whatever they need.
    fn is_level_with(&self, other: &Stop) -> bool {
        (self.lane.priority, self.lane.came_over) == (other.lane.priority, other.lane.came_over)
    }
}

impl Walk {
    fn go_on(&mut self) {
        let Some(at) = self.at.take() else { return };
        match self.passed.iter_mut().find(|passed| passed.lane == at.lane) {
            Some(passed) => *passed = at,
            None => self.passed.push(at),
        }
    }

    /// The first of a lane who was not passed.
    fn head(&self, lane: &Lane, places: &BTreeSet<Place>) -> Option<Stop> {
        let place = match self.passed.iter().find(|passed| passed.lane == *lane) {
            None => places.first(),
            Some(passed) => places.range((Bound::Excluded(passed.place), Bound::Unbounded)).next(),
        };
        place.map(|&place| Stop { lane: *lane, place })
    }
}

#[derive(Clone, Debug)]
pub(super) enum State {
    /// For a free agent.
    Waiting,
    /// For the beginning of the next round, so that phones that fail at once do not ring at the speed of the network.
    Resting { until: Moment },
    /// For the end of an offer.
    Offered(Ringing),
    /// For the call to obey. Nothing else happens to it here.
    Leaving(Overflow),
}

/// An offer that is not over.
#[derive(Clone, Debug)]
pub(super) struct Ringing {
    pub(super) offer: OfferId,
    /// The agents with the version of their status when they were chosen; none when another owner made the offer.
    pub(super) seats: Vec<(Seat, Version)>,
    /// Hardware phones among them.
    pub(super) phones: u8,
    pub(super) made: Moment,
    pub(super) until: Moment,
}

#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) call: CallId,
    pub(super) sequence: Sequence,
    /// How often his edge has changed.
    pub(super) moves: u32,
    pub(super) priority: i32,
    /// Into this queue.
    pub(super) entered: Moment,
    /// When his waiting began, in whatever queue that was.
    pub(super) began: Moment,
    pub(super) expires: Moment,
    /// When he has waited long enough, and by which limit (Spec: UN-4).
    pub(super) limit: Option<(Moment, OverflowReason)>,
    /// The longest that he may wait in all queues together.
    pub(super) max_total: Option<Duration>,
    pub(super) round: u32,
    pub(super) round_began: Option<Moment>,
    /// Sorted.
    pub(super) tried: Vec<Seat>,
    pub(super) rang: bool,
    pub(super) last_over: Option<OfferId>,
    /// His number, if it is international.
    pub(super) number: Option<PhoneNumber>,
    /// He has hung up, and is to be called back.
    pub(super) callback: Option<Callback>,
    /// What he needs of his agent in any queue.
    pub(super) brought: Skills,
    /// What he needs of his agent here at first.
    pub(super) wanted: Skills,
    /// Who suits by now.
    pub(super) class: Class,
    /// When he needs less; at the start at once, to find his class.
    pub(super) relax_at: Option<Moment>,
    pub(super) state: State,
}

impl Caller {
    /// From another queue.
    pub(super) fn came_over(&self) -> bool {
        self.began < self.entered
    }

    /// The number of a callback that has its place.
    fn called_back_at(&self) -> Option<&PhoneNumber> {
        match self.state {
            State::Waiting | State::Resting { .. } | State::Offered(_) => self.callback.and(self.number.as_ref()),
            State::Leaving(_) => None,
        }
    }

    fn lane(&self) -> Lane {
        let full = matches!(&self.state, State::Offered(ringing) if ringing.phones >= HARDWARE_PHONES);
        Lane { priority: Reverse(self.priority), came_over: self.came_over(), class: self.class, full }
    }

    fn place(&self) -> Place {
        (self.came_over().then_some(self.began), self.sequence, self.call)
    }

    pub(super) fn refresh(&mut self, now: Moment) {
        self.expires = now + TICKET_LIFE;
    }

    /// The limit that he has reached, if any.
    pub(super) fn past_limit(&self, now: Moment) -> Option<OverflowReason> {
        self.limit.filter(|(at, _)| *at <= now).map(|(_, why)| why)
    }

    /// When something has to be done for him. A phone that rings is not cut by the limit (Spec: UN-4).
    fn due(&self) -> Moment {
        let limit = self.limit.map(|(at, _)| at);
        let own = match &self.state {
            State::Waiting => limit.into_iter().chain(self.relax_at).min(),
            State::Resting { until } => Some(limit.map_or(*until, |limit| limit.min(*until))),
            State::Offered(ringing) => Some(ringing.until),
            State::Leaving(_) => None,
        };
        own.map_or(self.expires, |own| own.min(self.expires))
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    agents_join: bool,
    ranking: Ranking,
    callers: Table<CallId, Box<Caller>>,
    /// Those in `State::Waiting`; and those in `State::Offered` if agents may join an offer.
    open: BTreeMap<Lane, BTreeSet<Place>>,
    due: BTreeSet<(Moment, CallId)>,
    /// One for each number.
    callbacks: BTreeMap<PhoneNumber, CallId>,
}

impl Waiting {
    pub(super) fn new(agents_join: bool, ranking: Ranking) -> Self {
        Waiting {
            agents_join,
            ranking,
            callers: Table::default(),
            open: BTreeMap::new(),
            due: BTreeSet::new(),
            callbacks: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, caller: Box<Caller>) {
        self.index(&caller);
        self.callers.insert(caller.call, caller);
    }

    pub(super) fn get(&self, call: CallId) -> Option<&Caller> {
        self.callers.get(&call).map(Box::as_ref)
    }

    /// Takes a caller out; put him back with [`Waiting::insert`] after a change, so that the indexes are always right.
    pub(super) fn take(&mut self, call: CallId) -> Option<Box<Caller>> {
        let caller = self.callers.remove(&call)?;
        if self.is_open(&caller)
            && let Entry::Occupied(mut places) = self.open.entry(caller.lane())
        {
            places.get_mut().remove(&caller.place());
            if places.get().is_empty() {
                places.remove();
            }
        }
        self.due.remove(&(caller.due(), call));
        if let Some(number) = caller.called_back_at() {
            self.callbacks.remove(number);
        }
        Some(caller)
    }

    fn index(&mut self, caller: &Caller) {
        if self.is_open(caller) {
            self.open.entry(caller.lane()).or_default().insert(caller.place());
        }
        self.due.insert((caller.due(), caller.call));
        if let Some(number) = caller.called_back_at() {
            self.callbacks.insert(number.clone(), caller.call);
        }
    }

    const fn is_open(&self, caller: &Caller) -> bool {
        match caller.state {
            State::Waiting => true,
            State::Offered(_) => self.agents_join,
            State::Resting { .. } | State::Leaving(_) => false,
        }
    }

    /// The best caller who can take an agent, whose lane a free one `suits`, and whom the walk has not passed yet. Costs
    /// the logarithm of the callers for each lane.
    pub(super) fn next(&self, walk: &mut Walk, suits: impl Fn(&Lane) -> bool) -> Option<CallId> {
        walk.go_on();
        let lanes = self.open.iter().filter(|(lane, _)| suits(lane));
        let mut heads = lanes.filter_map(|(lane, places)| walk.head(lane, places)).peekable();
        // Lanes of equal priority are neighbours.
        let firsts = std::iter::from_fn(|| {
            let mut first = heads.next()?;
            while let Some(head) = heads.next_if(|head| head.is_level_with(&first)) {
                if head.place < first.place {
                    first = head;
                }
            }
            Some(first)
        });
        walk.at = firsts.min_by_key(|stop| self.get(stop.call()).map(|caller| self.rank(caller)));
        walk.at.as_ref().map(Stop::call)
    }

    /// The smaller is served first. Where a new owner has measured the waits anew, callers of one priority follow their
    /// sequence all the same, see [`Waiting::next`].
    pub(super) fn rank(&self, caller: &Caller) -> impl Ord + use<> {
        (self.ranking.place(caller.priority, caller.began), caller.sequence, caller.call)
    }

    /// How many can take an agent.
    pub(super) fn open(&self) -> usize {
        self.open.values().map(BTreeSet::len).sum()
    }

    /// Whether he can take an agent and everybody else who can comes before him.
    pub(super) fn is_last_open(&self, call: CallId) -> bool {
        let lasts = self.open.values().filter_map(|places| places.last().and_then(|place| self.callers.get(&place.2)));
        lasts.max_by_key(|caller| self.rank(caller)).is_some_and(|last| last.call == call)
    }

    pub(super) fn first_due(&self) -> Option<(Moment, CallId)> {
        self.due.first().copied()
    }

    /// The callback to this number that has its place.
    pub(super) fn callback_to(&self, number: &PhoneNumber) -> Option<&Caller> {
        self.callbacks.get(number).and_then(|call| self.get(*call))
    }

    /// All of them, in an order that is the same on every machine.
    pub(super) fn into_callers(self) -> impl Iterator<Item = Box<Caller>> {
        let callers: BTreeMap<CallId, _> = self.callers.into_iter().collect();
        callers.into_values()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Caller> {
        self.callers.values().map(Box::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.callers.len()
    }
}
