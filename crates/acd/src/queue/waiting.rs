//! The callers of a queue, in the order in which they are served, and the times at which something is due for each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use super::selection::{Class, Seat};
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

/// Callers of one priority and one need who entered this queue first, or who came over from another queue.
type Lane = (Reverse<i32>, bool, Class);

/// The order within a lane (Spec: QU-7). Who entered here is first come, first served by the sequence. Sequences of two
/// queues cannot be compared, so those who came from another one go by when their waiting began; so do the first callers of
/// two lanes, with what their priority is worth.
type Place = (Option<Moment>, Sequence, CallId);

/// How far a walk through the open callers has come.
#[derive(Debug, Default)]
pub(super) struct Walk(BTreeMap<Lane, Place>);

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
    pub(super) priority: i32,
    /// Into this queue.
    pub(super) entered: Moment,
    /// When his waiting began, in whatever queue that was.
    pub(super) began: Moment,
    pub(super) expires: Moment,
    /// When he has waited long enough, and by which limit (Spec: UN-4).
    pub(super) limit: Option<(Moment, OverflowReason)>,
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
    /// What he needs of his agent at first.
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
        (Reverse(self.priority), self.came_over(), self.class)
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
    callers: BTreeMap<CallId, Caller>,
    /// Those in `State::Waiting`; and those in `State::Offered` if agents may join an offer.
    open: BTreeMap<Lane, BTreeSet<Place>>,
    due: BTreeSet<(Moment, CallId)>,
    /// One for each number.
    callbacks: BTreeMap<PhoneNumber, CallId>,
}

impl Waiting {
    pub(super) const fn new(agents_join: bool, ranking: Ranking) -> Self {
        Waiting {
            agents_join,
            ranking,
            callers: BTreeMap::new(),
            open: BTreeMap::new(),
            due: BTreeSet::new(),
            callbacks: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, caller: Caller) {
        self.index(&caller);
        self.callers.insert(caller.call, caller);
    }

    pub(super) fn get(&self, call: CallId) -> Option<&Caller> {
        self.callers.get(&call)
    }

    /// Takes a caller out; put him back with [`Waiting::insert`] after a change, so that the indexes are always right.
    pub(super) fn take(&mut self, call: CallId) -> Option<Caller> {
        let caller = self.callers.remove(&call)?;
        if let Some(places) = self.open.get_mut(&caller.lane()) {
            places.remove(&caller.place());
            if places.is_empty() {
                self.open.remove(&caller.lane());
            }
        }
        self.due.remove(&(caller.due(), call));
        if let Some(number) = caller.called_back_at() {
            self.callbacks.remove(number);
        }
        Some(caller)
    }

    fn index(&mut self, caller: &Caller) {
        let open = match caller.state {
            State::Waiting => true,
            State::Offered(_) => self.agents_join,
            State::Resting { .. } | State::Leaving(_) => false,
        };
        if open {
            self.open.entry(caller.lane()).or_default().insert(caller.place());
        }
        self.due.insert((caller.due(), caller.call));
        if let Some(number) = caller.called_back_at() {
            self.callbacks.insert(number.clone(), caller.call);
        }
    }

    /// The best caller who can take an agent, whom a free one `suits`, and whom the walk has not passed yet. Costs the
    /// logarithm of the callers for each priority and need that occurs.
    pub(super) fn next(&self, walk: &mut Walk, suits: impl Fn(Class) -> bool) -> Option<CallId> {
        let lanes = self.open.iter().filter(|((.., class), _)| suits(*class));
        let heads = lanes.filter_map(|(lane, places)| {
            let from = walk.0.get(lane).map_or(Bound::Unbounded, |passed| Bound::Excluded(*passed));
            places.range((from, Bound::Unbounded)).next().map(|place| (*lane, *place))
        });
        // Among equal priorities the sequence alone decides, whatever they need.
        let mut heads: Vec<(Lane, Place)> = heads.collect();
        heads.sort_unstable_by_key(|((priority, over, _), place)| (*priority, *over, *place));
        heads.dedup_by_key(|((priority, over, _), _)| (*priority, *over));
        let order = |(lane, place): &(Lane, Place)| {
            let (Reverse(priority), ..) = *lane;
            let (_, sequence, call) = *place;
            let began = self.callers.get(&call).map(|caller| self.ranking.place(priority, caller.began));
            (began, sequence, call)
        };
        let (lane, place) = heads.into_iter().min_by_key(order)?;
        walk.0.insert(lane, place);
        Some(place.2)
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
        self.callbacks.get(number).and_then(|call| self.callers.get(call))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Caller> {
        self.callers.values()
    }

    pub(super) fn len(&self) -> usize {
        self.callers.len()
    }
}
