//! Who owns the queues: a coordinator that gives leases, owners that renew them over the same bad network, and owners that
//! do not know or do not care that they have been replaced.

use std::time::Duration;

use carillon_acd::ids::Epoch;
use carillon_acd::lease::Lease;
use carillon_acd::time::Moment;

/// How long the coordinator keeps an owner's place without a word.
pub(crate) const TTL: Duration = Duration::from_secs(6);
/// How much earlier an owner stops.
pub(crate) const MARGIN: Duration = Duration::from_millis(500);
/// How often it asks for more.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// One owner of a queue.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) epoch: Epoch,
    /// As the owner counts it, on our clock: its node's clock runs as fast as ours.
    pub(crate) lease: Lease,
    /// It goes on offering although its lease is over.
    pub(crate) lawless: bool,
    /// It and the coordinator do not hear each other until then.
    pub(crate) cut_until: Moment,
}

/// The place of one queue at the coordinator, and everybody who acts or acted for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    /// When the coordinator gives the place to somebody else.
    pub(crate) expires: Moment,
    pub(crate) owners: Vec<Owner>,
}

impl Place {
    /// The claim of a new owner. Those who were there before and are to go on are `lawless` already.
    pub(crate) fn appoint(&mut self, now: Moment) -> Epoch {
        self.epoch += 1;
        self.expires = now + TTL;
        let epoch = Epoch(self.epoch);
        self.owners.push(Owner { epoch, lease: Lease::new(now, TTL, MARGIN), lawless: false, cut_until: now });
        epoch
    }

    pub(crate) fn owner(&mut self, epoch: Epoch) -> Option<&mut Owner> {
        self.owners.iter_mut().find(|owner| owner.epoch == epoch)
    }

    pub(crate) fn newest(&mut self) -> Option<&mut Owner> {
        self.owners.last_mut().filter(|owner| owner.epoch.0 == self.epoch)
    }

    /// The coordinator hears a keep-alive; `false` when the place belongs to somebody else.
    pub(crate) fn keep(&mut self, now: Moment, epoch: Epoch) -> bool {
        let keeps = epoch.0 == self.epoch && now < self.expires;
        if keeps {
            self.expires = now + TTL;
        }
        keeps
    }

    pub(crate) fn end(&mut self, epoch: Epoch) {
        self.owners.retain(|owner| owner.epoch != epoch);
    }

    /// Two owners who both keep the rules act at the same time.
    pub(crate) fn check(&self, now: Moment) -> Result<(), String> {
        let mut acts = self.owners.iter().filter(|owner| !owner.lawless && owner.lease.holds(now));
        match (acts.next(), acts.next()) {
            (Some(first), Some(second)) => {
                Err(format!("the leases of {} and {} hold at the same time", first.epoch, second.epoch))
            }
            _ => Ok(()),
        }
    }
}
