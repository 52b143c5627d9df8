//! INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §8.7), with the repetition of 2xx until their ACK that
//! RFC 3261 §13.3.1.4 asks of the user agent: it ends with the same 64·T1 as the Accepted state.

use super::{Repeat, ServerEffect as Effect, ServerEvent as Event, Timers, due, earlier};
use crate::time::Moment;

/// The machine of an INVITE that we received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteServer {
    reliable: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final response yet; `trying` is when 100 is due, if nothing was sent.
    Proceeding { trying: Option<Moment>, until: Moment },
    /// A 2xx was sent; it repeats until its ACK comes, timer L ends the state.
    Accepted { repeat: Option<Repeat>, until: Moment },
    /// A 3xx–6xx was sent; timers G (repeat) and H (until).
    Completed { repeat: Option<Repeat>, until: Moment },
    /// The ACK of the 3xx–6xx came; timer I absorbs more of them.
    Confirmed { until: Moment },
    /// Over.
    Terminated,
}

impl InviteServer {
    /// The INVITE has arrived.
    pub fn new(now: Moment, reliable: bool, timers: &Timers) -> Self {
        let state = State::Proceeding { trying: Some(now + timers.trying), until: now + timers.unanswered };
        InviteServer { reliable, state }
    }

    /// Feeds an event; the effects are to be performed in order.
    pub fn handle(&mut self, now: Moment, event: Event, timers: &Timers) -> &'static [Effect] {
        match self.state {
            State::Proceeding { trying, until } => self.proceeding(now, event, timers, trying, until),
            State::Accepted { repeat, until } => self.accepted(now, event, timers, repeat, until),
            State::Completed { repeat, until } => self.completed(now, event, timers, repeat, until),
            State::Confirmed { until } => self.confirmed(now, event, until),
            State::Terminated => &[],
        }
    }

    /// When the machine wants its next tick.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Proceeding { trying, until } => Some(trying.map_or(until, |t| t.min(until))),
            State::Accepted { repeat, until } | State::Completed { repeat, until } => earlier(repeat, until),
            State::Confirmed { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Whether the final response has still to be given.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether the last response may still have to be sent again.
    pub fn repeats_response(&self) -> bool {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => true,
            State::Accepted { repeat, .. } => repeat.is_some(),
            State::Confirmed { .. } | State::Terminated => false,
        }
    }

    /// Whether the transaction is over and can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// RFC 3261 §17.2.1, figure 7: Proceeding.
    fn proceeding(
        &mut self,
        now: Moment,
        event: Event,
        timers: &Timers,
        trying: Option<Moment>,
        until: Moment,
    ) -> &'static [Effect] {
        match event {
            Event::Repeated => &[Effect::SendResponse],
            Event::Respond(status) => {
                let end = now + timers.t64();
                self.state = if status.is_provisional() {
                    State::Proceeding { trying: None, until }
                } else if status.is_success() {
                    // The 2xx repeats on every transport: only its ACK shows that it arrived.
                    State::Accepted { repeat: Repeat::first(now, timers.t1, false), until: end }
                } else {
                    State::Completed { repeat: Repeat::first(now, timers.t1, self.reliable), until: end }
                };
                &[Effect::SendResponse]
            }
            Event::Tick if until <= now => self.end(&[Effect::Unanswered]),
            Event::Tick if trying.is_some_and(|t| t <= now) => {
                self.state = State::Proceeding { trying: None, until };
                &[Effect::SendTrying]
            }
            Event::Tick | Event::Ack => &[],
        }
    }

    /// RFC 6026 §7.1: Accepted, and RFC 3261 §13.3.1.4.
    fn accepted(
        &mut self,
        now: Moment,
        event: Event,
        timers: &Timers,
        repeat: Option<Repeat>,
        until: Moment,
    ) -> &'static [Effect] {
        match event {
            Event::Ack if repeat.is_some() => {
                self.state = State::Accepted { repeat: None, until };
                &[Effect::PassUpAck]
            }
            Event::Tick if until <= now && repeat.is_some() => self.end(&[Effect::NoAck]),
            Event::Tick if until <= now => self.end(&[]),
            Event::Tick => match due(repeat, now) {
                Some(repeat) => {
                    self.state = State::Accepted { repeat: Some(repeat.next(now, timers.t2)), until };
                    &[Effect::SendResponse]
                }
                None => &[],
            },
            Event::Ack | Event::Repeated | Event::Respond(_) => &[],
        }
    }

    /// RFC 3261 §17.2.1: Completed.
    fn completed(
        &mut self,
        now: Moment,
        event: Event,
        timers: &Timers,
        repeat: Option<Repeat>,
        until: Moment,
    ) -> &'static [Effect] {
        match event {
            Event::Repeated => &[Effect::SendResponse],
            Event::Ack if self.reliable => self.end(&[]),
            Event::Ack => {
                self.state = State::Confirmed { until: now + timers.t4 };
                &[]
            }
            Event::Tick if until <= now => self.end(&[]),
            Event::Tick => match due(repeat, now) {
                Some(repeat) => {
                    self.state = State::Completed { repeat: Some(repeat.next(now, timers.t2)), until };
                    &[Effect::SendResponse]
                }
                None => &[],
            },
            Event::Respond(_) => &[],
        }
    }

    /// RFC 3261 §17.2.1: Confirmed.
    fn confirmed(&mut self, now: Moment, event: Event, until: Moment) -> &'static [Effect] {
        match event {
            Event::Tick if until <= now => self.end(&[]),
            Event::Tick | Event::Repeated | Event::Ack | Event::Respond(_) => &[],
        }
    }

    fn end(&mut self, effects: &'static [Effect]) -> &'static [Effect] {
        self.state = State::Terminated;
        effects
    }
}
