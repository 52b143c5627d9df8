//! What this edge lets others know of its calls. Changes of one moment go out together, so that an ordinary call costs two or
//! three messages to its first heir. The second, who is needed only when the first dies together with the edge, hears once a
//! second how far calls have come by then. Everything is said again, and at once, to whoever becomes an heir.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use carillon_acd::call::Checkpoint;
use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::LegImage;
use carillon_acd::record::Record;
use carillon_actors::{Center, Survival};
use carillon_rpc::cluster::link::{LinkError, Links};
use carillon_rpc::cluster::wire::{self, envelope::Message as Wire};
use carillon_rpc::cluster::{Bequest, Legacy, size};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Images, lock};

/// So long changes are gathered before they are sent to first heirs.
const GATHER: Duration = Duration::from_millis(25);
/// The same for second heirs, and for the word that a call needs its heirs no more. Both heirs hear that at the same moment, or
/// one would go on with a call that the other knows to be over.
const LATER: Duration = Duration::from_secs(1);
/// Calls that are sent at once; then other messages have their turn.
const AT_ONCE: usize = 500;
/// The pause between two such portions.
const PAUSE: Duration = Duration::from_millis(5);
/// The pause after a link was full.
const FULL: Duration = Duration::from_millis(500);
/// The most bytes of one message, but for one call that is larger.
const MESSAGE: usize = 64 * 1024;
/// What is known of a call that has not lived for so long is forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// The edges that may be heirs: living ones, without this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heirs(Vec<Candidate>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    node: NodeId,
    /// It stands where this edge stands, and may fall with it.
    near: bool,
}

impl Heirs {
    /// Each with whether it stands in this edge's own zone.
    pub(crate) fn new(edges: impl IntoIterator<Item = (NodeId, bool)>) -> Self {
        Heirs(edges.into_iter().map(|(node, near)| Candidate { node, near }).collect())
    }

    /// The first and the second heir of a call: far ones first, and each edge's calls spread over all others (rendezvous
    /// hashing).
    fn of(&self, call: CallId) -> [Option<NodeId>; 2] {
        let draw = |node: NodeId| {
            let mut hasher = DefaultHasher::new();
            (call, node).hash(&mut hasher);
            hasher.finish()
        };
        let rank = |it: &Candidate| (Reverse(it.near), draw(it.node), it.node);
        let (mut first, mut second) = (None::<&Candidate>, None::<&Candidate>);
        for candidate in &self.0 {
            if first.is_none_or(|best| rank(candidate) > rank(best)) {
                second = first.replace(candidate);
            } else if second.is_none_or(|best| rank(candidate) > rank(best)) {
                second = Some(candidate);
            }
        }
        [first, second].map(|it| it.map(|it| it.node))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn without(&self, node: NodeId) -> Self {
        Heirs(self.0.iter().filter(|it| it.node != node).cloned().collect())
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Checkpoints {
    inner: Mutex<Inner>,
    changed: Notify,
    /// A call has been connected or has ended: what is said of that to the owners of its queue and its agent is on its way at
    /// this moment, and those are on the heirs' nodes as a rule. So it goes out with that, and wakes nobody once more.
    urgent: Notify,
}

#[derive(Default)]
struct Inner {
    calls: HashMap<CallId, Known>,
    /// To be sent to their first heirs.
    changed: HashSet<CallId>,
    /// Those among them that have just been connected or have ended.
    at_once: HashSet<CallId>,
    /// To be sent to their second heirs.
    behind: HashSet<CallId>,
    /// Second heirs have none of that yet, because who is an heir has changed: they do not wait this time.
    in_a_hurry: bool,
    /// To be told that these need them no more.
    ended: BTreeMap<NodeId, HashSet<CallId>>,
    heirs: Heirs,
    /// To be told everything.
    anew: BTreeSet<NodeId>,
    /// These did not live when the last sweep looked at them.
    gone: HashSet<CallId>,
    /// The node stops, and ends its calls itself.
    renounced: bool,
}

#[derive(Default)]
struct Known {
    checkpoint: Option<(Checkpoint, Instant)>,
    images: Images,
    /// The call has ended, and this is not on the disk yet.
    record: Option<Box<Record>>,
    /// The heirs, and those that were, that know something of it.
    told: Vec<NodeId>,
}

impl Known {
    /// Whether the call talks, and there is everything that its heirs need.
    fn is_connected(&self) -> bool {
        let legs = self.checkpoint.as_ref().map(|(checkpoint, _)| checkpoint.legs()).unwrap_or_default();
        legs.len() > 1 && legs.iter().all(|leg| self.images.contains_key(leg))
    }

    /// For the heirs, when there is everything that they need.
    fn to_wire(&self) -> Option<wire::Checkpoint> {
        if let Some(record) = &self.record {
            return Some(Bequest::ended(record));
        }
        let (checkpoint, made) = self.checkpoint.as_ref()?;
        let image = |leg: LegId| Some((leg, self.images.get(&leg)?.clone()));
        let images = checkpoint.legs().into_iter().map(image).collect::<Option<Images>>()?;
        let legacy = Legacy { checkpoint: checkpoint.clone(), age: made.elapsed(), images, before: None, now: false };
        Some(legacy.to_wire())
    }
}

impl Inner {
    /// Nobody needs what is known of a call any more.
    fn forget(&mut self, call: CallId) {
        if let Some(known) = self.calls.remove(&call) {
            self.changed.remove(&call);
            self.at_once.remove(&call);
            self.behind.remove(&call);
            self.release(call, known.told);
        }
    }

    fn waiting(&self, which: Which) -> &HashSet<CallId> {
        match which {
            Which::Urgent => &self.at_once,
            Which::First => &self.changed,
            Which::Second => &self.behind,
        }
    }

    fn first_wait(&self) -> bool {
        !self.changed.is_empty() || !self.anew.is_empty()
    }

    fn second_wait(&self) -> bool {
        !self.behind.is_empty() || !self.ended.is_empty()
    }

    /// Heirs that know of a call need it no more.
    fn release(&mut self, call: CallId, told: Vec<NodeId>) {
        for node in told {
            self.ended.entry(node).or_default().insert(call);
        }
    }

    /// A node hears of a call: it is needed, whatever it was to hear before.
    fn needs(&mut self, call: CallId, node: NodeId) {
        if let Some(ended) = self.ended.get_mut(&node)
            && ended.remove(&call)
            && ended.is_empty()
        {
            self.ended.remove(&node);
        }
        if let Some(known) = self.calls.get_mut(&call)
            && !known.told.contains(&node)
        {
            known.told.push(node);
        }
    }

    /// For the first heir of a call; the second is told later.
    fn for_first(&mut self, call: CallId) -> Option<(NodeId, wire::Checkpoint)> {
        self.changed.remove(&call);
        self.at_once.remove(&call);
        let [first, second] = self.heirs.of(call);
        let known = self.calls.get(&call)?;
        let checkpoint = known.to_wire()?;
        if second.is_some() || known.told.iter().any(|told| Some(*told) != first) {
            self.behind.insert(call);
        }
        self.needs(call, first?);
        Some((first?, checkpoint))
    }

    /// For the second heir of a call. Who was an heir and is not any more hears that he is released.
    fn for_second(&mut self, call: CallId) -> Option<(NodeId, wire::Checkpoint)> {
        self.behind.remove(&call);
        let heirs @ [first, second] = self.heirs.of(call);
        let known = self.calls.get_mut(&call)?;
        let checkpoint = wire::Checkpoint { before: first.map(|it| it.0), ..known.to_wire()? };
        let (kept, released) = known.told.drain(..).partition(|told| heirs.contains(&Some(*told)));
        known.told = kept;
        self.release(call, released);
        self.needs(call, second?);
        Some((second?, checkpoint))
    }
}

impl Checkpoints {
    /// What a call's actor says of it.
    pub(super) fn take(&self, call: CallId, survival: Survival) {
        let mut inner = lock(&self.inner);
        let urgent = match survival {
            Survival::Needs(checkpoint) => {
                let known = inner.calls.entry(call).or_default();
                known.checkpoint = Some((*checkpoint, Instant::now()));
                let connected = known.is_connected();
                inner.changed.insert(call);
                if connected {
                    inner.at_once.insert(call);
                }
                connected
            }
            Survival::Lost => {
                let Some(known) = inner.calls.get_mut(&call) else { return };
                known.checkpoint = None;
                let told = std::mem::take(&mut known.told);
                inner.release(call, told);
                false
            }
            // Its record follows.
            Survival::Over => return,
        };
        drop(inner);
        if urgent {
            self.urgent.notify_one();
        }
        self.changed.notify_one();
    }

    /// A call has ended. Until its record is [`written`](Self::written) the heirs keep it, instead of what they know of the call.
    pub(super) fn ended(&self, record: &Record) {
        let mut inner = lock(&self.inner);
        if inner.renounced || inner.heirs.is_empty() {
            inner.forget(record.call);
        } else {
            let known = inner.calls.entry(record.call).or_default();
            (known.checkpoint, known.record) = (None, Some(Box::new(record.clone())));
            inner.changed.insert(record.call);
            inner.at_once.insert(record.call);
        }
        drop(inner);
        self.urgent.notify_one();
        self.changed.notify_one();
    }

    /// The records of these calls are on the disk, or lost for good.
    pub(super) fn written(&self, calls: &[CallId]) {
        let mut inner = lock(&self.inner);
        calls.iter().for_each(|call| inner.forget(*call));
        drop(inner);
        self.changed.notify_one();
    }

    /// What the edge says of a leg.
    pub(super) fn image(&self, leg: LegId, image: LegImage) {
        let mut inner = lock(&self.inner);
        let known = inner.calls.entry(leg.call).or_default();
        known.images.insert(leg, image);
        let needs = known.checkpoint.as_ref().is_some_and(|(checkpoint, _)| checkpoint.legs().contains(&leg));
        if needs {
            inner.changed.insert(leg.call);
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Whether there is an heir to hand a call to.
    pub(super) fn has_heir(&self, call: CallId) -> bool {
        let inner = lock(&self.inner);
        let [first, _] = inner.heirs.of(call);
        first.is_some() && inner.calls.contains_key(&call)
    }

    /// For the first heir of a call, to go on with it now: `None` without an heir or without what it needs of the legs.
    pub(super) fn hand_over(&self, checkpoint: &Checkpoint) -> Option<(NodeId, wire::Checkpoint)> {
        let inner = lock(&self.inner);
        let [first, _] = inner.heirs.of(checkpoint.call());
        let images = &inner.calls.get(&checkpoint.call())?.images;
        let checkpoint = Some((checkpoint.clone(), Instant::now()));
        let known = Known { checkpoint, images: images.clone(), ..Known::default() };
        Some((first?, wire::Checkpoint { now: true, ..known.to_wire()? }))
    }

    /// Another edge has the call, and tells its heirs itself.
    pub(super) fn forget(&self, call: CallId) {
        lock(&self.inner).calls.remove(&call);
    }

    /// These may be heirs from now on.
    pub(super) fn heirs(&self, heirs: Heirs) {
        let mut inner = lock(&self.inner);
        if inner.heirs == heirs {
            return;
        }
        let moved: Vec<CallId> =
            inner.calls.keys().filter(|call| heirs.of(**call) != inner.heirs.of(**call)).copied().collect();
        inner.changed.extend(moved);
        inner.in_a_hurry = true;
        inner.heirs = heirs;
        drop(inner);
        self.changed.notify_one();
    }

    /// A node can be nobody's heir any more.
    pub(super) fn dies(&self, node: NodeId) {
        let heirs = lock(&self.inner).heirs.without(node);
        self.heirs(heirs);
    }

    /// A link was broken: what was said over the last one may be lost.
    pub(super) fn again(&self, node: NodeId) {
        let mut inner = lock(&self.inner);
        let told = inner.calls.iter().filter(|(_, known)| known.told.contains(&node)).map(|(call, _)| *call);
        let told: Vec<CallId> = told.collect();
        inner.changed.extend(told);
        inner.in_a_hurry = true;
        inner.anew.insert(node);
        drop(inner);
        self.changed.notify_one();
    }

    /// No heir needs any of this node's calls: it stops, and ends them itself.
    pub(super) fn renounce(&self, links: &Links) {
        let mut inner = lock(&self.inner);
        inner.calls.clear();
        inner.renounced = true;
        let heirs = inner.heirs.0.iter().map(|it| it.node);
        let mut letters: Letters = heirs.map(|node| (node, Letter::default())).collect();
        drop(inner);
        letters.values_mut().for_each(|letter| letter.anew = true);
        send(links, letters);
    }

    /// Sends for ever.
    pub(super) async fn send(&self, center: &Center, links: &Links) {
        let mut sweep = tokio::time::interval(SWEEP);
        let (mut first, mut second) = (None, None);
        loop {
            tokio::select! {
                () = self.urgent.notified() => self.say(Which::Urgent, links).await,
                () = until(first) => {
                    first = None;
                    self.say(Which::First, links).await;
                }
                () = until(second) => {
                    second = None;
                    self.say(Which::Second, links).await;
                }
                () = self.changed.notified(), if first.is_none() => {}
                _ = sweep.tick() => self.sweep(|call| center.lives(call)),
            }
            let mut inner = lock(&self.inner);
            let now = Instant::now();
            first = inner.first_wait().then(|| first.unwrap_or(now + GATHER));
            // Before its heirs are told, a call is not among those that the second has to hear of.
            let at_once = first.is_none() && std::mem::take(&mut inner.in_a_hurry);
            second = inner.second_wait().then(|| if at_once { now } else { second.unwrap_or(now + LATER) });
        }
    }

    async fn say(&self, which: Which, links: &Links) {
        while let Some((letters, more)) = self.portion(which) {
            let full = send(links, letters);
            full.iter().for_each(|node| self.again(*node));
            if !more && full.is_empty() {
                return;
            }
            tokio::time::sleep(if full.is_empty() { PAUSE } else { FULL }).await;
        }
    }

    /// Some of what has changed, and whether there is more; `None` when there is nothing.
    fn portion(&self, which: Which) -> Option<(Letters, bool)> {
        let mut inner = lock(&self.inner);
        let mut letters = Letters::new();
        for node in std::mem::take(&mut inner.anew) {
            letters.entry(node).or_default().anew = true;
        }
        let calls: Vec<CallId> = inner.waiting(which).iter().take(AT_ONCE).copied().collect();
        for call in calls {
            let letter = match which {
                Which::Urgent | Which::First => inner.for_first(call),
                Which::Second => inner.for_second(call),
            };
            if let Some((node, checkpoint)) = letter {
                letters.entry(node).or_default().calls.push(checkpoint);
            }
        }
        if matches!(which, Which::Second) {
            for (node, calls) in std::mem::take(&mut inner.ended) {
                letters.entry(node).or_default().ended = calls.into_iter().collect();
            }
        }
        (!letters.is_empty()).then(|| (letters, !inner.waiting(which).is_empty()))
    }

    /// The edge may speak of a leg whose call has just ended, and a call while another edge takes it over.
    fn sweep(&self, lives: impl Fn(CallId) -> bool) {
        let mut inner = lock(&self.inner);
        let gone = |(call, known): (&CallId, &Known)| (known.record.is_none() && !lives(*call)).then_some(*call);
        let gone: HashSet<CallId> = inner.calls.iter().filter_map(gone).collect();
        let before = std::mem::replace(&mut inner.gone, gone);
        let twice: Vec<CallId> = before.intersection(&inner.gone).copied().collect();
        twice.into_iter().for_each(|call| inner.forget(call));
    }
}

/// What is sent.
#[derive(Clone, Copy)]
enum Which {
    /// For first heirs, of calls that have just been connected or have ended.
    Urgent,
    /// For first heirs, all that has changed.
    First,
    /// For second heirs, and for all who are needed no more.
    Second,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What is to be said to each node.
type Letters = BTreeMap<NodeId, Letter>;

#[derive(Default)]
struct Letter {
    anew: bool,
    ended: Vec<CallId>,
    calls: Vec<wire::Checkpoint>,
}

/// Gives back the nodes whose links were full: they have to be told anew. What is lost because there is no link is said over the
/// next one.
fn send(links: &Links, letters: Letters) -> Vec<NodeId> {
    let mut full = Vec::new();
    for (node, Letter { anew, ended, calls }) in letters {
        let ended = ended.into_iter().map(Into::into).collect();
        let mut messages = vec![wire::Checkpoints { calls: Vec::new(), ended, anew }];
        let mut room = MESSAGE;
        for checkpoint in calls {
            let size = size(&checkpoint);
            if size > room {
                messages.push(wire::Checkpoints::default());
                room = MESSAGE;
            }
            room = room.saturating_sub(size);
            messages.last_mut().expect("there is one from the start").calls.push(checkpoint);
        }
        for message in messages {
            match links.send(node, Wire::Checkpoints(message).into()) {
                Ok(()) => {}
                Err(LinkError::NoLink(_)) => break,
                Err(error @ LinkError::Oversized(..)) => tracing::error!(%error, "a checkpoint is not sent"),
                Err(LinkError::Full(_)) => {
                    full.push(node);
                    break;
                }
            }
        }
    }
    full
}

#[cfg(test)]
#[path = "checkpoints_tests.rs"]
mod tests;
