//! Reservations, conversations and wrap-up: what happens to the agent.

use std::time::Duration;

use super::gather::Request;
use super::{Agent, Effect, GrantedDevice, IdleTime, Purpose, Refusal, Released, ReservationId};
use crate::call::{Event as CallEvent, FromAgent};
use crate::ids::{CallId, DeviceId, Epoch, QueueId};
use crate::time::Moment;
use crate::view::{Activity, Availability};

/// How long a reservation holds without a word from its call. The call renews it every 10 s, so two lost messages are
/// survived.
const LEASE: Duration = Duration::from_secs(30);

/// How long the conversation of an edge that has died holds without a word from the edge that takes it over. Long enough for
/// all nodes to notice the same death.
const GRACE: Duration = Duration::from_secs(3);

/// Where a reservation comes from, which decides what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The place of the queue in his list of queues.
    Queue(usize),
    /// His extension, or a queue that he serves no more.
    Direct,
    /// He is the caller.
    Own,
}

#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) reservation: ReservationId,
    origin: Origin,
    talking: bool,
    lease: Moment,
    /// A wrap-up that this call interrupts: its rest follows.
    wrap_until: Option<Moment>,
}

/// A second conversation of an agent who is held for another call. Two calls can claim him only when his owner was
/// replaced while he called somebody himself: he is free when both are over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    reservation: ReservationId,
    origin: Origin,
    lease: Moment,
}

/// Which idle times of QU-3 begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restarts {
    /// None: it was not his doing.
    Nothing,
    /// That of the queues that count an unanswered offer.
    Offer,
    /// All.
    Both,
}

#[derive(Clone, Debug)]
pub(super) enum Doing {
    Idle,
    Held(Hold),
    WrapUp { until: Moment },
}

impl Origin {
    /// After his list of queues has changed.
    fn moved(self, to: &impl Fn(usize) -> Option<usize>) -> Self {
        match self {
            Origin::Queue(place) => to(place).map_or(Origin::Direct, Origin::Queue),
            Origin::Direct | Origin::Own => self,
        }
    }
}

impl Second {
    /// After his list of queues has changed: `to` tells where a queue stands now, if he still serves it.
    pub(super) fn move_places(&mut self, to: &impl Fn(usize) -> Option<usize>) {
        self.origin = self.origin.moved(to);
    }
}

impl Hold {
    pub(super) const fn talking(&self) -> bool {
        self.talking
    }

    /// The place of the queue that the call came from in his list of queues.
    pub(super) const fn place(&self) -> Option<usize> {
        match self.origin {
            Origin::Queue(place) => Some(place),
            Origin::Direct | Origin::Own => None,
        }
    }
}

impl Doing {
    /// As [`Second::move_places`].
    pub(super) fn move_places(&mut self, to: &impl Fn(usize) -> Option<usize>) {
        match self {
            Doing::Held(hold) => hold.origin = hold.origin.moved(to),
            Doing::Idle | Doing::WrapUp { .. } => {}
        }
    }

    pub(super) const fn hold(&self) -> Option<&Hold> {
        match self {
            Doing::Held(hold) => Some(hold),
            Doing::Idle | Doing::WrapUp { .. } => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Doing::Idle => None,
            Doing::Held(_) if mutant!(NoReservationExpiry) => None,
            Doing::Held(hold) => Some(hold.lease),
            Doing::WrapUp { until } => Some(*until),
        }
    }

    pub(super) const fn activity(&self) -> Activity {
        match self {
            Doing::Idle => Activity::Idle,
            Doing::Held(Hold { talking: false, .. }) => Activity::Reserved,
            Doing::Held(Hold { talking: true, .. }) => Activity::Talking,
            Doing::WrapUp { .. } => Activity::WrapUp,
        }
    }
}

impl Agent {
    pub(super) fn reserve(&mut self, now: Moment, reservation: ReservationId, purpose: Purpose, out: &mut Vec<Effect>) {
        if let Doing::Held(hold) = &mut self.doing
            && hold.reservation == reservation
        {
            hold.lease = now + LEASE;
            let granted = self.granted(reservation);
            return self.tell(reservation.call, granted, out);
        }
        let over = self.last_over.is_some_and(|last| last.call == reservation.call && reservation.n <= last.n);
        let admitted = if over { Err(Refusal::Over) } else { self.admit(&purpose) };
        match (admitted, purpose) {
            (Err(why), purpose) => {
                self.correct(&purpose, why);
                self.tell(reservation.call, FromAgent::Refused { reservation, why }, out);
            }
            (Ok(Origin::Queue(member)), Purpose::Queue { bid, sequence, .. }) if self.gather.is_open(now) => {
                let request = Request { reservation, member, bid, sequence };
                if !self.gather.add(request) {
                    self.tell(reservation.call, FromAgent::Refused { reservation, why: Refusal::Busy }, out);
                }
            }
            (Ok(origin), _) => {
                self.grant(now, reservation, origin, out);
                self.refuse_gathered(out);
            }
        }
    }

    /// Whether he can have the call, and what kind of call it is for him.
    fn admit(&mut self, purpose: &Purpose) -> Result<Origin, Refusal> {
        match purpose {
            Purpose::Queue { queue, offer, .. } => {
                let place = self.heeds(queue, offer.epoch)?;
                self.admit_from_queue(place).map(|()| Origin::Queue(place))
            }
            Purpose::PickUp { queue, offer, own } => {
                let place = self.heeds(queue, offer.epoch)?;
                match (self.doing.hold(), own) {
                    // He talks on another phone, too: see [`Second`].
                    (Some(_), _) if self.second.is_some() => Err(Refusal::Busy),
                    (Some(hold), Some(own)) if hold.reservation == *own => Ok(Origin::Queue(place)),
                    (Some(_), Some(_) | None) => Err(Refusal::Busy),
                    (None, Some(_)) => Err(Refusal::Over),
                    (None, None) => self.can_ring().map(|()| Origin::Queue(place)),
                }
            }
            Purpose::Direct => {
                self.doing.hold().map_or(Ok(()), |_| Err(Refusal::Busy))?;
                self.can_ring().map(|()| Origin::Direct)
            }
            Purpose::Own => self.doing.hold().map_or(Ok(Origin::Own), |_| Err(Refusal::Busy)),
        }
    }

    /// The place of a queue of his, unless its owner has been replaced (Spec: CL-3).
    fn heeds(&mut self, queue: &QueueId, epoch: Epoch) -> Result<usize, Refusal> {
        let place = self.members.iter().position(|member| member.queue == *queue).ok_or(Refusal::NotInQueue)?;
        let member = &mut self.members[place];
        if epoch < member.newest && !mutant!(OfferWithoutEpoch) {
            return Err(Refusal::StaleEpoch);
        }
        member.newest = epoch;
        Ok(place)
    }

    fn can_ring(&self) -> Result<(), Refusal> {
        self.devices.can_ring().then_some(()).ok_or(Refusal::Unreachable)
    }

    fn admit_from_queue(&self, place: usize) -> Result<(), Refusal> {
        if mutant!(GrantWithoutChecking) {
            return Ok(());
        }
        if !self.members[place].logged_in {
            return Err(Refusal::NotInQueue);
        }
        match self.availability {
            Availability::LoggedOut => return Err(Refusal::LoggedOut),
            Availability::OnBreak => return Err(Refusal::OnBreak),
            Availability::Ready => {}
        }
        match self.doing {
            Doing::Held(_) => return Err(Refusal::Busy),
            Doing::WrapUp { .. } => return Err(Refusal::WrapUp),
            Doing::Idle => {}
        }
        self.can_ring()
    }

    /// A queue that was refused sees him wrongly; it is told at once, not at the next refresh.
    fn correct(&mut self, purpose: &Purpose, why: Refusal) {
        if let Purpose::Queue { queue, .. } = purpose
            && why != Refusal::StaleEpoch
            && let Some(member) = self.members.iter_mut().find(|member| member.queue == *queue)
        {
            member.told = None;
        }
    }

    fn grant(&mut self, now: Moment, reservation: ReservationId, origin: Origin, out: &mut Vec<Effect>) {
        self.hold(now, reservation, origin, origin == Origin::Own);
        let granted = self.granted(reservation);
        self.tell(reservation.call, granted, out);
    }

    fn hold(&mut self, now: Moment, reservation: ReservationId, origin: Origin, talking: bool) {
        let wrap_until = match &self.doing {
            Doing::WrapUp { until } => Some(*until),
            // The own call with which he picks up this one hands him over: what it wants later comes too late.
            Doing::Held(hold) => {
                self.last_over = Some(hold.reservation);
                self.last_released = Some(hold.reservation);
                hold.wrap_until
            }
            Doing::Idle => None,
        };
        self.doing = Doing::Held(Hold { reservation, origin, talking, lease: now + LEASE, wrap_until });
        self.doing_since = now;
    }

    fn granted(&self, reservation: ReservationId) -> FromAgent {
        let own = matches!(&self.doing, Doing::Held(hold) if hold.origin == Origin::Own);
        let device = |(index, kind, at)| GrantedDevice { id: DeviceId { agent: self.id.clone(), index }, kind, at };
        let devices = if own { Vec::new() } else { self.devices.to_ring().map(device).collect() };
        FromAgent::Granted { reservation, devices }
    }

    /// The window of [`super::gather`] is over: the best that can still be had gets him.
    pub(super) fn grant_best(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for Request { reservation, member, .. } in self.gather.close() {
            match self.admit_from_queue(member) {
                Ok(()) => self.grant(now, reservation, Origin::Queue(member), out),
                Err(why) => {
                    self.members[member].told = None;
                    self.tell(reservation.call, FromAgent::Refused { reservation, why }, out);
                }
            }
        }
    }

    fn refuse_gathered(&mut self, out: &mut Vec<Effect>) {
        for Request { reservation, .. } in self.gather.close() {
            self.tell(reservation.call, FromAgent::Refused { reservation, why: Refusal::Busy }, out);
        }
    }

    pub(super) fn connected(
        &mut self,
        now: Moment,
        reservation: ReservationId,
        queue: Option<QueueId>,
        out: &mut Vec<Effect>,
    ) {
        match &mut self.doing {
            Doing::Held(hold) if hold.reservation == reservation => {
                hold.lease = now + LEASE;
                if !std::mem::replace(&mut hold.talking, true) {
                    let origin = hold.origin;
                    self.doing_since = now;
                    self.handled += 1;
                    self.count_call(origin);
                }
            }
            Doing::Held(_) => {
                if self.last_released != Some(reservation) {
                    let origin = self.origin_of(queue.as_ref());
                    self.second = Some(Second { reservation, origin, lease: now + LEASE });
                }
                self.tell(reservation.call, FromAgent::Lost { reservation }, out);
            }
            Doing::Idle | Doing::WrapUp { .. } if self.last_released == Some(reservation) => {}
            Doing::Idle | Doing::WrapUp { .. } => {
                let origin = self.origin_of(queue.as_ref());
                self.hold(now, reservation, origin, true);
                self.count_call(origin);
                self.refuse_gathered(out);
            }
        }
    }

    fn origin_of(&self, queue: Option<&QueueId>) -> Origin {
        let place = queue.and_then(|queue| self.members.iter().position(|member| member.queue == *queue));
        place.map_or(Origin::Direct, Origin::Queue)
    }

    /// He has answered.
    fn count_call(&mut self, origin: Origin) {
        self.failed = 0;
        if let Origin::Queue(place) = origin {
            self.members[place].calls += 1;
        }
    }

    pub(super) fn release(&mut self, now: Moment, reservation: ReservationId, why: Released, out: &mut Vec<Effect>) {
        self.last_over = Some(reservation);
        self.last_released = Some(reservation);
        self.second = self.second.filter(|second| second.reservation != reservation);
        match &self.doing {
            Doing::Held(hold) if hold.reservation == reservation => {
                let hold = hold.clone();
                self.end_hold(now, &hold, why, out);
            }
            Doing::Held(_) | Doing::Idle | Doing::WrapUp { .. } => self.gather.remove(reservation),
        }
    }

    fn end_hold(&mut self, now: Moment, hold: &Hold, why: Released, out: &mut Vec<Effect>) {
        self.count_talk(now, hold);
        let (wrap_up, restarts) = match (why, hold.origin) {
            (Released::Ended, Origin::Queue(place)) => (self.members[place].wrap_up, Restarts::Both),
            (Released::Ended, Origin::Direct | Origin::Own) => (Duration::ZERO, Restarts::Both),
            // QU-3 counts an unanswered *offer*; a colleague's call to his extension is none.
            (Released::NotAnswered, Origin::Queue(_)) => (Duration::ZERO, Restarts::Offer),
            (Released::NotAnswered, Origin::Direct | Origin::Own) | (Released::NoPenalty, _) => {
                (Duration::ZERO, Restarts::Nothing)
            }
            (Released::Unreachable, _) => {
                self.devices.rest(now);
                (Duration::ZERO, Restarts::Nothing)
            }
        };
        self.take_up_wish();
        if let (Released::NotAnswered, Origin::Queue(place)) = (why, hold.origin) {
            self.failed += 1;
            if self.members[place].pause_after.is_some_and(|most| self.failed >= most) {
                self.pause(out);
            }
        }
        let until = (now + wrap_up).max(hold.wrap_until.unwrap_or(now));
        if until > now {
            self.doing = Doing::WrapUp { until };
            self.doing_since = now;
        } else {
            self.become_idle(now, restarts);
        }
        if let Some(second) = self.second.take().filter(|second| second.lease > now) {
            self.hold(now, second.reservation, second.origin, true);
        }
    }

    /// The edge of the calls that were there has died. One that only rang rings no more: the edge that takes it over begins
    /// anew. A conversation may go on there.
    pub(super) fn edge_of_call_gone(&mut self, now: Moment, was_there: impl Fn(CallId) -> bool) {
        if let Doing::Held(hold) = &mut self.doing
            && was_there(hold.reservation.call)
        {
            hold.lease = hold.lease.min(if hold.talking { now + GRACE } else { now });
        }
        if let Some(second) = &mut self.second
            && was_there(second.reservation.call)
        {
            second.lease = second.lease.min(now + GRACE);
        }
        self.gather.forget(|request| was_there(request.reservation.call));
    }

    fn count_talk(&mut self, now: Moment, hold: &Hold) {
        if let (true, Origin::Queue(place)) = (hold.talking, hold.origin) {
            self.members[place].talked += now.since(self.doing_since);
        }
    }

    pub(super) fn become_idle(&mut self, now: Moment, restarts: Restarts) {
        self.doing = Doing::Idle;
        self.doing_since = now;
        match restarts {
            Restarts::Nothing => {}
            Restarts::Offer => self.restart_after_offer(now),
            Restarts::Both => self.restart_idle(now),
        }
        self.becomes_free(now);
    }

    fn restart_after_offer(&mut self, now: Moment) {
        self.periods += 1;
        self.idle = IdleTime { since: now, period: self.periods };
    }

    pub(super) fn restart_idle(&mut self, now: Moment) {
        self.restart_after_offer(now);
        self.unhandled = self.idle;
    }

    /// Opens the window in which his queues may bid for him; one queue alone need not wait.
    pub(super) fn becomes_free(&mut self, now: Moment) {
        if self.members.iter().filter(|member| member.logged_in).count() > 1 {
            self.gather.open(now);
        }
    }

    pub(super) fn expire_doing(&mut self, now: Moment, out: &mut Vec<Effect>) {
        match &self.doing {
            Doing::WrapUp { until } if *until <= now => self.become_idle(now, Restarts::Both),
            Doing::Held(hold) if hold.lease <= now && !mutant!(NoReservationExpiry) => {
                let hold = hold.clone();
                self.last_over = Some(hold.reservation);
                self.tell(hold.reservation.call, FromAgent::Lost { reservation: hold.reservation }, out);
                self.count_talk(now, &hold);
                self.take_up_wish();
                self.become_idle(now, if hold.talking { Restarts::Both } else { Restarts::Nothing });
            }
            Doing::Idle | Doing::Held(_) | Doing::WrapUp { .. } => {}
        }
    }

    fn tell(&self, call: CallId, said: FromAgent, out: &mut Vec<Effect>) {
        out.push(Effect::ToCall(call, CallEvent::Agent(self.id.clone(), self.epoch, said)));
    }
}
