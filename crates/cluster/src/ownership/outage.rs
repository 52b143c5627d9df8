//! Going on without the coordinator: asking all other owners, and answering them. See [`super`], "Without the
//! coordinator".

use std::collections::BTreeSet;

use carillon_acd::ids::NodeId;
use carillon_acd::time::Moment;

use super::Ownership;
use super::event::{Effect, Message};

impl Ownership {
    /// Asks for the others' consent while the coordinator is out of reach and something is served.
    pub(super) fn consult(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let Some(outage_until) = self.authority.outage_until() else { return };
        // Who is not on the list has been given up by the coordinator, and by those that follow it.
        let listed = self.peers.node(self.me.id).is_some();
        if !listed || now >= outage_until || self.seats.iter().all(|state| state.mine.served().is_none()) {
            return;
        }
        let silent_at = self.authority.contact_until();
        if now < silent_at {
            self.wake_at(silent_at);
        } else if now >= self.ask_again {
            let owners = self.peers.owners();
            let others: BTreeSet<NodeId> = owners.iter().copied().filter(|node| *node != self.me.id).collect();
            let round = self.authority.ask(now, others.clone());
            out.extend(others.iter().map(|to| Effect::Send(*to, Message::AskVouch { round, owners: owners.clone() })));
            self.ask_again = now + self.timing.retry;
            self.wake_at(self.ask_again);
        } else {
            self.wake_at(self.ask_again);
        }
    }

    /// Another owner asks. Who has contact does not consent: then the coordinator lives, and somebody may get a newer
    /// epoch from it.
    pub(super) fn asked(
        &mut self,
        now: Moment,
        from: NodeId,
        round: u64,
        owners: &BTreeSet<NodeId>,
        out: &mut Vec<Effect>,
    ) {
        if now >= self.authority.contact_until() && self.peers.owners() == *owners {
            self.authority.promise(from, now);
            out.push(Effect::Send(from, Message::Vouch { round }));
        }
    }
}
