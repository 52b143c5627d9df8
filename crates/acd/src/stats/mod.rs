//! Statistics (Spec: PL-4, PL-5): what happened, as small sums that are only ever added.
//!
//! There is one definition and two feeds. A [`Follower`] reads the transitions of one call and says what they add to
//! whom; it reads them as they happen, or from the call's record when it is over. A [`Sheet`] notes what an agent spends
//! his time on; its [`Period`]s are counted when they end, and again from where they were kept. So what is shown live and
//! what is computed for any period in the past are the same sums of the same numbers.
//!
//! Everything is counted in the quarter of an hour in which it began: a visit when the caller entered the queue, a call
//! of a number when it first reached a queue or a phone, an offer to an agent when his phone was dialled, an agent's time
//! when it was spent. Waits are differences of wall-clock times that one node wrote into one record.

mod books;
mod figures;
mod follower;
mod packed;
mod sheet;
mod tally;

pub use books::{Books, Quarter};
pub use figures::{Figures, ServiceLevels};
pub use follower::Follower;
pub use sheet::{Period, Sheet, Spends};
pub use tally::{FlowOut, Tally};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{AgentId, NumberId, QueueId};
use crate::record::Record;
use crate::time::WallTime;

/// Whose statistics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A queue's: of the visits of callers to it.
    Queue(QueueId),
    /// An agent's: of the calls that rang at his phones, and of his time.
    Agent(AgentId),
    /// A number's: of the calls to it, each once, through however many queues it went.
    Number(NumberId),
}

/// Something that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// For whom.
    pub subject: Subject,
    /// When that which is counted began.
    pub at: WallTime,
    /// What it adds.
    pub adds: Tally,
}

/// What counts as good service in a queue (Spec: PL-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceLevel {
    /// T: an answer after this wait or less is in time.
    pub threshold: Duration,
    /// The share of calls that shall be answered in time, in percent; `None` when nobody has set one.
    pub target: Option<u8>,
    /// A caller who leaves after this wait or less is a short abandon.
    pub short_abandon: Duration,
}

impl Default for ServiceLevel {
    fn default() -> Self {
        ServiceLevel { threshold: Duration::from_secs(20), target: None, short_abandon: Duration::from_secs(5) }
    }
}

/// The definitions of all queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    levels: BTreeMap<QueueId, ServiceLevel>,
}

impl Definitions {
    /// Of these queues; any other has the default.
    pub fn new(levels: impl IntoIterator<Item = (QueueId, ServiceLevel)>) -> Self {
        Definitions { levels: levels.into_iter().collect() }
    }

    /// Of one queue. A call that was in none is measured by the default.
    pub fn of(&self, queue: Option<&QueueId>) -> ServiceLevel {
        queue.and_then(|queue| self.levels.get(queue)).copied().unwrap_or_default()
    }
}

/// Everything that a call which is over has added.
pub fn of_record(definitions: &Definitions, record: &Record) -> Vec<Fact> {
    let mut facts = Vec::new();
    Follower::default().finish(definitions, record, &mut facts);
    facts
}

#[cfg(test)]
mod tests;
