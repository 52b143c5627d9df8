//! The weather.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carillon_acd::ids::NodeId;
use carillon_acd::time::Moment;

use super::{Event, Item, STORM, World};

/// What may go wrong, and what is wrong now.
pub(super) struct Faults {
    /// Lost messages of a hundred.
    pub(super) loss: usize,
    /// Late answers of the coordinator, of a hundred.
    pub(super) slow: usize,
    /// Whether broken links are noticed.
    pub(super) suspicion: bool,
    /// Whether working links are not noticed: then only who is registered is asked before a take-over.
    pub(super) unlinked: bool,
    /// A deliberate mistake: leases are counted from when the keep-alive was answered.
    pub(super) counts_from_answer: bool,
    pub(super) happen: bool,
    pub(super) outage: bool,
    pub(super) cut_off: BTreeSet<NodeId>,
    pub(super) frozen: BTreeMap<NodeId, Moment>,
    pub(super) parted: BTreeSet<(NodeId, NodeId)>,
    pub(super) draining: BTreeSet<NodeId>,
}

impl Faults {
    pub(super) fn none() -> Self {
        Faults {
            loss: 0,
            slow: 0,
            suspicion: false,
            unlinked: false,
            counts_from_answer: false,
            happen: false,
            outage: false,
            cut_off: BTreeSet::new(),
            frozen: BTreeMap::new(),
            parted: BTreeSet::new(),
            draining: BTreeSet::new(),
        }
    }

    pub(super) fn without_suspicion() -> Self {
        Faults { loss: 5, slow: 10, happen: true, ..Faults::none() }
    }

    pub(super) fn all() -> Self {
        Faults { suspicion: true, ..Faults::without_suspicion() }
    }

    pub(super) fn parts(&self, a: NodeId, b: NodeId) -> bool {
        self.parted.contains(&(a.min(b), a.max(b)))
    }
}

impl World {
    /// Something changes for the worse or the better.
    pub(super) fn fault(&mut self) {
        if !self.faults.happen || self.now > Moment::at(STORM) {
            return;
        }
        let next = Duration::from_millis(500) + self.up_to(3_000);
        self.at(next, Item::Fault);
        let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
        let one = ids[self.rng.below(ids.len())];
        let other = ids[self.rng.below(ids.len())];
        match self.rng.below(9) {
            0 => self.kill(one),
            1 | 2 => {
                let dead: Vec<NodeId> = self.nodes.values().filter(|n| !n.alive).map(|n| n.id).collect();
                dead.into_iter().for_each(|id| self.start(id));
            }
            3 => {
                let until = self.now + self.up_to(8_000);
                self.faults.frozen.insert(one, until);
            }
            4 => {
                if !self.faults.cut_off.remove(&one) {
                    self.faults.cut_off.insert(one);
                }
            }
            5 => self.turn_outage(),
            6 if one != other => {
                let pair = (one.min(other), one.max(other));
                let parted = self.faults.parted.insert(pair);
                if !parted {
                    self.faults.parted.remove(&pair);
                }
                self.links_change(pair, !parted);
            }
            7 => self.turn_drain(one),
            _ => {
                self.faults.cut_off.clear();
                if self.faults.outage {
                    self.turn_outage();
                }
            }
        }
    }

    /// etcd as a whole comes or goes. When it is back, its leases are over, or a new leader has renewed them.
    fn turn_outage(&mut self) {
        self.faults.outage = !self.faults.outage;
        if !self.faults.outage && self.chance(50) {
            self.tree.renew_all(self.now);
        }
    }

    fn turn_drain(&mut self, id: NodeId) {
        let wanted = !self.faults.draining.remove(&id);
        if wanted {
            self.faults.draining.insert(id);
        }
        if self.nodes[&id].alive {
            self.tell(id, Event::Drain(wanted));
        }
    }

    /// Both ends learn what happened to their link, each in its own time.
    pub(super) fn links_change(&mut self, (a, b): (NodeId, NodeId), up: bool) {
        for (near, far) in [(a, b), (b, a)] {
            let boot = self.nodes[&near].boot;
            let notice = self.up_to(300);
            if up && !self.faults.unlinked {
                self.at(notice, Item::Arrives(near, boot, Event::LinkUp(far)));
            } else if !up && self.faults.suspicion {
                self.at(notice, Item::Arrives(near, boot, Event::LinkDown(far)));
            }
        }
    }

    /// Everything works again.
    pub(super) fn calm(&mut self) {
        self.faults.happen = false;
        (self.faults.loss, self.faults.slow) = (0, 0);
        self.faults.frozen.clear();
        self.faults.cut_off.clear();
        if self.faults.outage {
            self.turn_outage();
        }
        let parted = std::mem::take(&mut self.faults.parted);
        parted.into_iter().for_each(|pair| self.links_change(pair, true));
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            if !self.nodes[&id].alive {
                self.start(id);
            }
            if self.faults.draining.contains(&id) {
                self.turn_drain(id);
            }
        }
    }
}
