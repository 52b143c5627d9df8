//! The agent: one person, one owner, one reservation at a time for all his queues together (Spec: OB-5).
//!
//! *Availability* is what he wants, *activity* is what happens to him. A reservation is a lease that the call renews; a
//! call that has died lets him go after 30 s at the latest.

mod activity;
mod commands;
mod configure;
mod devices;
mod event;
mod gather;
mod status;

pub use event::{
    AgentStatus, CommandRefusal, Config, DeviceKind, Effect, Event, GrantedDevice, IdleReset, Membership, Purpose,
    Refusal, Released, ReservationId, SavedAvailability, Standing, Version,
};

use activity::{Doing, Second};
use commands::Dialled;
use devices::Devices;
use gather::Gather;
use status::{IdleTime, Member, first_refresh};

use crate::ids::{AgentId, CallId, Epoch, QueueId};
use crate::stats::Spends;
use crate::time::{Moment, Now};
use crate::view::{Activity, AgentView, Availability};

/// The machine of one agent.
#[derive(Clone, Debug)]
pub struct Agent {
    id: AgentId,
    config: Config,
    epoch: Epoch,
    availability: Availability,
    /// A break or logout asked for during a call (Spec: TR-6).
    after_call: Option<Availability>,
    members: Vec<Member>,
    devices: Devices,
    doing: Doing,
    doing_since: Moment,
    /// As [`IdleReset::Offer`] counts it.
    idle: IdleTime,
    /// As [`IdleReset::Handled`] counts it.
    unhandled: IdleTime,
    periods: u64,
    /// Offers in a row that he did not answer.
    failed: u32,
    gather: Gather,
    /// The reservation that ended last, be it that nobody renewed it. Its call cannot reserve him with it again.
    last_over: Option<ReservationId>,
    /// The reservation that its call gave back last. One that only ran out may still turn out to be a conversation.
    last_released: Option<ReservationId>,
    /// The latest codes that he dialled, and what was answered.
    dialled: Dialled,
    second: Option<Second>,
    handled: u64,
    counter: u64,
    refresh_at: Moment,
    removed: bool,
}

impl Agent {
    /// An agent as stored, with no device reachable until the registrar says so. `epoch` is the owner's: higher than any
    /// before for this agent.
    pub fn new(now: Now, id: AgentId, config: Config, saved: SavedAvailability, epoch: Epoch) -> Self {
        let now = now.mono;
        let member = |membership: &Membership| {
            let logged_in = !saved.logged_out_of.contains(&membership.queue);
            Member::new(membership, logged_in, now)
        };
        Agent {
            members: config.queues.iter().map(member).collect(),
            devices: Devices::new(&config.devices),
            availability: saved.availability,
            after_call: None,
            doing: Doing::Idle,
            doing_since: now,
            idle: IdleTime::new(now),
            unhandled: IdleTime::new(now),
            periods: 0,
            failed: 0,
            gather: Gather::default(),
            last_over: None,
            last_released: None,
            dialled: Dialled::default(),
            second: None,
            handled: 0,
            counter: 0,
            removed: false,
            refresh_at: first_refresh(now, &id),
            id,
            config,
            epoch,
        }
    }

    /// Takes in one event; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        let now = now.mono;
        self.expire(now, out);
        match event {
            Event::Start | Event::Wake => {}
            Event::Reachable { device, edge, contacts } => self.devices.report(device, edge, contacts),
            Event::EdgeGone { edge, calls } => {
                self.devices.edge_gone(edge);
                self.edge_of_call_gone(now, |call| calls.of(call) == edge);
            }
            Event::Reserve { reservation, purpose } => self.reserve(now, reservation, purpose, out),
            Event::Connected { reservation, queue } => self.connected(now, reservation, queue, out),
            Event::Release { reservation, why } => self.release(now, reservation, why, out),
            Event::Command { call, command } => self.dialled(now, call, &command, out),
            Event::Configured(config) => self.configure(now, *config, out),
            Event::Removed => self.remove(now, out),
        }
        self.announce(now, out);
    }

    /// When [`Event::Wake`] is due. There is always one: the status is repeated every 10 s.
    pub fn deadline(&self) -> Option<Moment> {
        [Some(self.refresh_at), self.doing.deadline(), self.gather.deadline(), self.devices.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// How he is now.
    pub fn view(&self, now: Now) -> AgentView {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        AgentView {
            agent: self.id.clone(),
            display_name: self.config.display_name.clone(),
            extension: self.config.extension.clone(),
            availability: self.availability,
            activity: self.activity(),
            activity_for: now.mono.since(self.doing_since),
            call: self.call(),
            queues: self.members.iter().map(|member| (member.queue.clone(), member.logged_in)).collect(),
            reachable_devices: count(self.devices.reachable()),
            devices: count(self.config.devices.len()),
            handled: self.handled,
        }
    }

    /// What happens to him.
    pub fn activity(&self) -> Activity {
        self.doing.activity()
    }

    /// What he spends his time on, as statistics count it (Spec: PL-5).
    pub fn spends(&self) -> Option<Spends> {
        match (&self.doing, self.availability) {
            (Doing::Idle, Availability::Ready) => Some(Spends::Idle),
            (Doing::Idle, Availability::OnBreak | Availability::LoggedOut) => None,
            (Doing::Held(hold), _) => {
                hold.talking().then(|| Spends::Talking(hold.place().map(|place| self.members[place].queue.clone())))
            }
            (Doing::WrapUp { .. }, _) => Some(Spends::WrapUp(None)),
        }
    }

    /// The queues that he is logged in to.
    pub fn logged_in_to(&self) -> impl Iterator<Item = &QueueId> {
        self.members.iter().filter(|member| member.logged_in).map(|member| &member.queue)
    }

    /// The call he is reserved for or talks in.
    pub fn call(&self) -> Option<CallId> {
        self.doing.hold().map(|hold| hold.reservation.call)
    }

    /// Everything whose time has come, before any event is looked at: a late wake-up must not change a decision.
    fn expire(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.devices.expire(now);
        self.expire_doing(now, out);
        if self.gather.deadline().is_some_and(|until| until <= now) {
            self.grant_best(now, out);
        }
    }
}

#[cfg(test)]
mod tests;
