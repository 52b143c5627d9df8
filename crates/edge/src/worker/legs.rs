//! Which legs a worker has: their calls, dialogs, transactions and wake-ups come and go with them.

use std::sync::atomic::Ordering;

use carillon_acd::ids::{CallId, LegId};

use super::{Owner, Worker};
use crate::datapath::StreamId;
use crate::leg::{Leg, State};
use crate::shared::count;

/// A call with legs here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// How many.
    pub(super) legs: u32,
    /// The number of its streams: its own, or for a call that another edge began one that no call of ours has.
    pub(super) streams: u64,
}

impl Worker {
    pub(super) fn next_call(&mut self) -> CallId {
        let workers = self.shared.router.workers() as u64;
        self.last_call += workers;
        CallId { node: self.shared.config.node, boot: self.shared.config.boot, number: self.last_call }
    }

    pub(super) fn is_own(&self, call: CallId) -> bool {
        let config = &self.shared.config;
        (call.node, call.boot) == (config.node, config.boot)
    }

    /// The name of a leg's audio: all of one call have one number, and no two calls.
    pub(super) fn stream_of(&mut self, leg: LegId) -> StreamId {
        let number = match self.calls.get(&leg.call) {
            Some(held) => held.streams,
            None if self.is_own(leg.call) => leg.call.number,
            None => self.next_call().number,
        };
        StreamId::new(number, leg.n)
    }

    pub(super) fn insert_leg(&mut self, id: LegId, leg: Leg) {
        let streams = leg.audio.stream().call;
        let call = self.calls.entry(id.call).or_insert(Held { legs: 0, streams });
        if call.legs == 0 {
            count(&self.shared.counters.calls);
        }
        call.legs += 1;
        if !self.is_own(id.call) {
            self.foreign.insert(streams, id.call);
        }
        count(&self.shared.counters.legs);
        if let Some(line) = leg.line() {
            self.dialogs.insert(line.dialog.id().clone(), Owner::Leg(id));
        }
        for invite in leg.invites() {
            self.servers.insert(invite, id);
        }
        self.legs.insert(id, Box::new(leg));
        self.wake_leg(id);
    }

    /// Notes when the leg has to be looked at; called after each change of its state.
    pub(super) fn wake_leg(&mut self, id: LegId) {
        if let Some(leg) = self.legs.get_mut(&id) {
            let at = leg.deadline();
            self.timers.set(id, &mut leg.wake_up, at);
        }
    }

    /// Forgets a leg and frees what it holds; tells nobody.
    pub(super) fn remove_leg(&mut self, id: LegId) -> Option<Box<Leg>> {
        let mut leg = self.legs.remove(&id)?;
        self.timers.set(id, &mut leg.wake_up, None);
        leg.audio.release(&self.shared.datapath);
        if let Some(partner) = leg.partner.and_then(|partner| self.legs.get_mut(&partner)) {
            partner.partner = None;
        }
        for invite in leg.invites() {
            self.servers.remove(&invite);
        }
        if let Some(line) = leg.line() {
            self.dialogs.remove(line.dialog.id());
            self.expect_stragglers(&line.dialog.id().call_id);
        }
        if let State::Dialling(dialling) = &leg.state {
            for early in &dialling.early {
                self.dialogs.remove(early.dialog.id());
            }
        }
        self.shared.counters.legs.fetch_sub(1, Ordering::Relaxed);
        if let Some(call) = self.calls.get_mut(&id.call) {
            call.legs -= 1;
            if call.legs == 0 {
                self.foreign.remove(&call.streams);
                self.calls.remove(&id.call);
                self.shared.counters.calls.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Some(leg)
    }
}
