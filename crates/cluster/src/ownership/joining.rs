//! How a new node comes to stand for shards, and how those that stand come to know of it. See [`super`], "Joining".

use std::collections::BTreeSet;

use carillon_acd::ids::NodeId;
use carillon_acd::time::Moment;

use super::Ownership;
use super::event::{Effect, Message};
use crate::member::Node;

/// How far this node has come.
#[derive(Debug, Default)]
pub(super) struct Joining {
    stands: bool,
    /// Since when no node has been registered that stands.
    alone_since: Moment,
    roster: Option<BTreeSet<NodeId>>,
    ask_again: Moment,
    record_again: Moment,
}

impl Joining {
    /// The node has registered: nobody need know of it yet. Also after a lost lease, for the cluster may have become
    /// another in between; what it serves and claims again meanwhile needs no standing.
    pub(super) fn begin(&mut self, now: Moment) {
        (self.stands, self.alone_since, self.ask_again) = (false, now, now);
    }

    pub(super) fn stands(&self) -> bool {
        self.stands
    }

    /// Those that ever stood and did not leave for good.
    pub(super) fn roster(&mut self, roster: BTreeSet<NodeId>) {
        self.roster = Some(roster);
    }
}

impl Ownership {
    /// Makes itself known until it may stand, and keeps its entry true.
    pub(super) fn stand(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let Some(listed) = self.peers.node(self.me.id).map(|node| (node.draining, node.standing)) else { return };
        let Some(lease) = self.authority.lease().filter(|_| self.authority.may_begin(now)) else { return };
        if self.me.roles.acd && !self.joining.stands {
            self.seek_welcome(now, out);
        }
        let wanted = (self.draining, self.joining.stands);
        if listed != wanted {
            if now >= self.joining.record_again {
                let (draining, standing) = wanted;
                out.push(Effect::Record { lease, draining, standing });
                self.joining.record_again = now + self.timing.retry;
            }
            self.wake_at(self.joining.record_again);
        } else {
            self.joining.record_again = now;
        }
    }

    fn seek_welcome(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let standing = self.peers.standing_besides(self.me.id);
        let nobody_is_missing = || {
            let registered: BTreeSet<NodeId> = self.peers.ids().collect();
            self.joining.roster.as_ref().is_some_and(|roster| roster.is_subset(&registered))
        };
        if standing.is_empty() {
            let given_up = self.joining.alone_since + self.timing.outage;
            if now >= given_up || nobody_is_missing() {
                self.joining.stands = true;
            } else {
                self.wake_at(given_up);
            }
            return;
        }
        self.joining.alone_since = now;
        if now >= self.joining.ask_again {
            out.extend(standing.into_iter().map(|to| Effect::Send(to, Message::Join(self.me.clone()))));
            self.joining.ask_again = now + self.timing.retry;
        }
        self.wake_at(self.joining.ask_again);
    }

    /// A new node asks to be known. It is, from now on. It is told so when nobody acts on the word of a circle that it
    /// is not in: neither this node, nor another by this one's promise.
    pub(super) fn join_asked(&mut self, now: Moment, from: NodeId, node: &Node, out: &mut Vec<Effect>) {
        if node.id != from || !self.joining.stands {
            return;
        }
        self.peers.meet(from, now + self.timing.outage);
        self.authority.ask_no_more();
        let relied_on = self.authority.is_vouched(now) || self.authority.promised(now).next().is_some();
        if self.authority.holds(now) && !relied_on {
            out.push(Effect::Send(from, Message::Welcome { boot: node.boot }));
        }
    }

    /// A standing node knows of this one.
    pub(super) fn welcomed(&mut self, boot: u32) {
        if boot == self.me.boot {
            self.joining.stands = true;
        }
    }
}
