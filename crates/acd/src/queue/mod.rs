//! The queue: chooses order, nothing else.

mod event;

pub use event::{
    Config, Effect, Enqueue, Event, Left, Overflow, OverflowReason, Progress, Strategy, Then, Timeout, Unanswered,
};

use crate::ids::{Epoch, QueueId};
use crate::time::{Moment, Now};
use crate::view::QueueView;

/// The machine of one queue's owner.
#[derive(Clone, Debug)]
pub struct Queue {
    id: QueueId,
}

impl Queue {
    /// An owner that knows nobody yet. `epoch` is higher than any before for this queue; `seed` names the random choices
    /// of [`Strategy::Random`].
    pub fn new(now: Now, id: QueueId, config: Config, epoch: Epoch, seed: u64) -> Self {
        let _ = (now, config, epoch, seed);
        Queue { id }
    }

    /// Takes in one event; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        let _ = (now, event, out, &self.id);
    }

    /// When [`Event::Wake`] is due; `None` while nobody waits and no agent has been heard.
    pub fn deadline(&self) -> Option<Moment> {
        None
    }

    /// How it is now.
    pub fn view(&self, now: Now) -> QueueView {
        let _ = now;
        unreachable!("filled in next")
    }
}
