//! What a call went through, read from its transitions: which way it was routed, and what became of each offer.

use std::time::Duration;

use crate::ids::{AgentId, LegId, PhoneNumber, QueueId};
use crate::leg::Cause;
use crate::offer::OfferId;
use crate::record::{Happened, Transition};
use crate::time::WallTime;

use super::Choice;

/// Something that decided where the call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the call began, by the wall clock of its node.
    pub after: Duration,
    /// What.
    pub kind: StepKind,
}

/// See [`Step`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The routing decided (Spec: RT-9).
    Routed {
        /// Step and rule in words.
        why: String,
    },
    /// It entered a queue.
    Entered {
        /// Which.
        queue: QueueId,
    },
    /// The queue offered it.
    Offered {
        /// Which queue; `None` in a record that does not say.
        queue: Option<QueueId>,
        /// Which offer.
        offer: OfferId,
        /// To whom, and what became of it.
        agents: Vec<OfferedAgent>,
        /// Why them; `None` in a record of an older version.
        why: Option<Choice>,
    },
    /// Somebody was called without a queue: the agent whose extension was dialled, or a number outside.
    Called {
        /// Whom.
        whom: Called,
        /// What became of it.
        fate: Fate,
    },
    /// It left the queue unanswered.
    Left {
        /// Which.
        queue: QueueId,
        /// Why, in words.
        why: String,
    },
    /// Something other than the two sides ended it.
    Stopped {
        /// What, in words.
        why: String,
    },
}

/// Who was called without a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// An agent, on all of his devices.
    Agent(AgentId),
    /// A number outside.
    Number(PhoneNumber),
}

/// One agent of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedAgent {
    /// Who.
    pub agent: AgentId,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an offer to one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// His owner was asked and has not answered yet.
    Asked,
    /// His owner refused, or did not answer in time.
    Refused {
        /// Why, in words.
        why: String,
    },
    /// His devices are being called.
    Dialled,
    /// His phone rings.
    Rings,
    /// It rang, or he declined; the end of his last phone.
    NotAnswered {
        /// Why.
        cause: Cause,
    },
    /// None of his devices could be made to ring.
    Unreachable {
        /// The end of the last one.
        cause: Cause,
    },
    /// He answered.
    Answered,
    /// Another agent answered first.
    Lost,
    /// The call went away before.
    Withdrawn,
}

impl Fate {
    const fn is_open(&self) -> bool {
        matches!(self, Fate::Asked | Fate::Dialled | Fate::Rings)
    }
}

/// The steps of a call that began at `started`.
pub fn history(started: WallTime, transitions: &[Transition]) -> Vec<Step> {
    let mut reader = Reader::default();
    for Transition { at, what } in transitions {
        let micros = u64::try_from(at.0.saturating_sub(started.0)).unwrap_or(0);
        reader.take_in(Duration::from_micros(micros), what);
    }
    reader.steps
}

#[derive(Default)]
struct Reader {
    steps: Vec<Step>,
    queue: Option<QueueId>,
    /// The offer under way.
    offer: Option<OfferId>,
    /// Where the first step stands whose agents may still answer.
    from: usize,
    /// Legs that have not ended, and the agent behind each if there is one.
    legs: Vec<(LegId, Option<AgentId>)>,
}

impl Reader {
    fn take_in(&mut self, after: Duration, what: &Happened) {
        match what {
            Happened::Routed { why } => self.add(after, StepKind::Routed { why: why.clone() }),
            Happened::Enqueued { queue, .. } => {
                // Written again when the place is known.
                if self.queue.as_ref() != Some(queue) {
                    self.queue = Some(queue.clone());
                    self.add(after, StepKind::Entered { queue: queue.clone() });
                }
            }
            Happened::Offered { offer, agents, why } => self.offered(after, *offer, agents, why.clone()),
            Happened::ReservationRefused { agent, why } => {
                self.called(after, Called::Agent(agent.clone()));
                self.set(Some(agent), Fate::Refused { why: why.clone() });
            }
            Happened::Dialled { leg, agent, number } => self.dialled(after, *leg, agent.as_ref(), number.as_ref()),
            Happened::Alerting { leg } => {
                if let Some((_, agent)) = self.legs.iter().find(|(known, _)| known == leg).cloned() {
                    self.set(agent.as_ref(), Fate::Rings);
                }
            }
            Happened::NotAnswered { leg, agent, cause } => self.not_answered(*leg, agent.as_ref(), *cause),
            Happened::Connected { agent, .. } => {
                self.set(agent.as_ref(), Fate::Answered);
                self.close(&Fate::Lost);
            }
            Happened::LeftQueue { queue, why } => {
                self.close(&Fate::Withdrawn);
                self.queue = None;
                self.add(after, StepKind::Left { queue: queue.clone(), why: why.clone() });
            }
            Happened::Stopped { why } => self.add(after, StepKind::Stopped { why: why.clone() }),
            Happened::PickedUp { leg, agent, .. } => {
                self.legs.push((*leg, Some(agent.clone())));
                self.set(Some(agent), Fate::Dialled);
            }
            Happened::TakenOver { by } => {
                self.add(after, StepKind::Routed { why: format!("the agent's leg went over to call {by}") });
            }
            Happened::Moved { from, to, planned } => {
                // What rang, rang at the other edge.
                self.close(&Fate::Withdrawn);
                let how = if *planned { "handed the call over" } else { "died" };
                let why = format!("node {} {how}: node {} took the call over", from.0, to.0);
                self.add(after, StepKind::Routed { why });
            }
            Happened::Commanded { agent, what, refused } => {
                let done = refused.as_ref().map_or_else(|| "done".to_owned(), |why| format!("refused: {why}"));
                let why = format!("{} asked to {what}: {done}", agent.name);
                self.add(after, StepKind::Routed { why });
            }
            Happened::LegEnded { leg, .. } => {
                if *leg == LegId::caller(leg.call) {
                    self.close(&Fate::Withdrawn);
                }
            }
            Happened::Playing { .. }
            | Happened::CallerAnswered
            | Happened::Held { .. }
            | Happened::Resumed { .. }
            | Happened::Digit { .. } => {}
        }
    }

    fn add(&mut self, after: Duration, kind: StepKind) {
        self.steps.push(Step { after, kind });
    }

    fn offered(&mut self, after: Duration, offer: OfferId, agents: &[AgentId], why: Option<Choice>) {
        // Agents who join an offer come with its name again.
        if self.offer != Some(offer) {
            self.close(&Fate::Withdrawn);
            self.offer = Some(offer);
        }
        let agents = agents.iter().map(|agent| OfferedAgent { agent: agent.clone(), fate: Fate::Asked }).collect();
        self.add(after, StepKind::Offered { queue: self.queue.clone(), offer, agents, why });
    }

    fn dialled(&mut self, after: Duration, leg: LegId, agent: Option<&AgentId>, number: Option<&PhoneNumber>) {
        match (agent, number) {
            (Some(agent), _) => self.called(after, Called::Agent(agent.clone())),
            (None, Some(number)) => self.called(after, Called::Number(number.clone())),
            (None, None) => {}
        }
        self.legs.push((leg, agent.cloned()));
        self.set(agent, Fate::Dialled);
    }

    /// Without an offer somebody is called directly; an agent once, however many devices he has.
    fn called(&mut self, after: Duration, whom: Called) {
        let known = self.steps[self.from..].iter().any(|step| match (&step.kind, &whom) {
            (StepKind::Called { whom: known, .. }, _) => *known == whom,
            (StepKind::Offered { agents, .. }, Called::Agent(agent)) => {
                agents.iter().any(|offered| offered.agent == *agent)
            }
            (StepKind::Offered { .. }, Called::Number(_))
            | (
                StepKind::Routed { .. } | StepKind::Entered { .. } | StepKind::Left { .. } | StepKind::Stopped { .. },
                _,
            ) => false,
        });
        if !known {
            self.add(after, StepKind::Called { whom, fate: Fate::Asked });
        }
    }

    fn not_answered(&mut self, leg: LegId, agent: Option<&AgentId>, cause: Cause) {
        self.legs.retain(|(known, _)| *known != leg);
        if self.legs.iter().any(|(_, other)| other.as_ref() == agent) {
            return;
        }
        let rang = self.fates().any(|(who, fate)| who == agent && *fate == Fate::Rings);
        let answered = matches!(cause, Cause::Busy | Cause::Declined);
        self.set(agent, if rang || answered { Fate::NotAnswered { cause } } else { Fate::Unreachable { cause } });
    }

    /// What becomes of those who may still answer; `None` is the number outside.
    fn fates(&mut self) -> impl Iterator<Item = (Option<&AgentId>, &mut Fate)> {
        self.steps.iter_mut().skip(self.from).flat_map(|step| {
            let (called, offered) = match &mut step.kind {
                StepKind::Called { whom: Called::Agent(agent), fate } => (Some((Some(&*agent), fate)), [].iter_mut()),
                StepKind::Called { whom: Called::Number(_), fate } => (Some((None, fate)), [].iter_mut()),
                StepKind::Offered { agents, .. } => (None, agents.iter_mut()),
                StepKind::Routed { .. }
                | StepKind::Entered { .. }
                | StepKind::Left { .. }
                | StepKind::Stopped { .. } => (None, [].iter_mut()),
            };
            called.into_iter().chain(offered.map(|offered| (Some(&offered.agent), &mut offered.fate)))
        })
    }

    /// The last word counts: a phone that is dialled after another of his rings does not silence it.
    fn set(&mut self, who: Option<&AgentId>, fate: Fate) {
        let open = self.fates().find(|(known, fate)| *known == who && fate.is_open()).map(|(_, fate)| fate);
        if let Some(open) = open
            && !(*open == Fate::Rings && fate == Fate::Dialled)
        {
            *open = fate;
        }
    }

    /// Nobody who was asked so far can answer any more.
    fn close(&mut self, fate: &Fate) {
        self.fates().filter(|(_, open)| open.is_open()).for_each(|(_, open)| *open = fate.clone());
        self.offer = None;
        self.from = self.steps.len();
        self.legs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CallId, Epoch, NodeId};

    const CALL: CallId = CallId { node: NodeId(1), boot: 1, number: 1 };

    fn agent(name: &str) -> AgentId {
        AgentId::new("default".parse().unwrap(), name.parse().unwrap())
    }

    fn queue(name: &str) -> QueueId {
        QueueId::new("default".parse().unwrap(), name.parse().unwrap())
    }

    const fn leg(n: u16) -> LegId {
        LegId { call: CALL, n }
    }

    fn offered(counter: u64, agents: &[&str]) -> Happened {
        let agents = agents.iter().map(|name| agent(name)).collect();
        Happened::Offered { offer: OfferId { epoch: Epoch(1), counter }, agents, why: None }
    }

    fn dialled(n: u16, name: &str) -> Happened {
        Happened::Dialled { leg: leg(n), agent: Some(agent(name)), number: None }
    }

    fn failed(n: u16, name: &str, cause: Cause) -> Happened {
        Happened::NotAnswered { leg: leg(n), agent: Some(agent(name)), cause }
    }

    /// Each agent of each offer, with what became of it.
    fn fates(happened: Vec<Happened>) -> Vec<(String, Fate)> {
        let entered = Happened::Enqueued { queue: queue("support"), sequence: None };
        let all = std::iter::once(entered).chain(happened);
        let transitions: Vec<Transition> = all.map(|what| Transition { at: WallTime(7), what }).collect();
        let offers = history(WallTime(5), &transitions).into_iter().filter_map(|step| match step.kind {
            StepKind::Offered { agents, .. } => Some(agents),
            StepKind::Called { .. }
            | StepKind::Routed { .. }
            | StepKind::Entered { .. }
            | StepKind::Left { .. }
            | StepKind::Stopped { .. } => None,
        });
        offers.flatten().map(|offered| (offered.agent.name.to_string(), offered.fate)).collect()
    }

    // spec: RT-9
    #[test]
    fn rt_9_what_became_of_an_offer_to_one_agent_after_the_other() {
        let found = fates(vec![
            offered(1, &["anna"]),
            Happened::ReservationRefused { agent: agent("anna"), why: "on break".into() },
            offered(2, &["piotr"]),
            dialled(1, "piotr"),
            dialled(2, "piotr"),
            Happened::Alerting { leg: leg(1) },
            failed(1, "piotr", Cause::NoAnswer),
            failed(2, "piotr", Cause::Unreachable),
            offered(3, &["ivan"]),
            dialled(3, "ivan"),
            failed(3, "ivan", Cause::Unreachable),
            offered(4, &["anna"]),
            dialled(4, "anna"),
            Happened::Alerting { leg: leg(4) },
        ]);
        let expected = [
            ("anna", Fate::Refused { why: "on break".into() }),
            ("piotr", Fate::NotAnswered { cause: Cause::Unreachable }),
            ("ivan", Fate::Unreachable { cause: Cause::Unreachable }),
            ("anna", Fate::Rings),
        ];
        assert_eq!(found, expected.map(|(name, fate)| (name.to_owned(), fate)));
    }

    // spec: QU-2
    #[test]
    fn qu_2_one_answers_and_the_others_lose_also_those_who_joined() {
        let found = fates(vec![
            offered(1, &["anna", "piotr"]),
            dialled(1, "anna"),
            dialled(2, "piotr"),
            Happened::Alerting { leg: leg(1) },
            offered(1, &["ivan"]),
            Happened::Alerting { leg: leg(2) },
            failed(1, "anna", Cause::Declined),
            Happened::Connected { leg: leg(2), agent: Some(agent("piotr")) },
        ]);
        let expected =
            [("anna", Fate::NotAnswered { cause: Cause::Declined }), ("piotr", Fate::Answered), ("ivan", Fate::Lost)];
        assert_eq!(found, expected.map(|(name, fate)| (name.to_owned(), fate)));
    }

    #[test]
    fn who_rings_when_the_caller_leaves_is_not_rung_any_more() {
        let left = Happened::LegEnded { leg: leg(0), cause: Cause::Cancelled };
        let found = fates(vec![offered(1, &["anna"]), dialled(1, "anna"), left]);
        assert_eq!(found, [("anna".to_owned(), Fate::Withdrawn)]);
    }

    #[test]
    fn a_second_queue_is_a_second_entry() {
        let entered = |name| Happened::Enqueued { queue: queue(name), sequence: None };
        let left = Happened::LeftQueue { queue: queue("support"), why: "max_wait".into() };
        let all = [entered("support"), entered("support"), left, entered("sales")];
        let transitions: Vec<Transition> =
            (0..).zip(all).map(|(at, what)| Transition { at: WallTime(at * 1_000_000), what }).collect();
        let steps = history(WallTime(0), &transitions);
        let expected = [
            (0, StepKind::Entered { queue: queue("support") }),
            (2, StepKind::Left { queue: queue("support"), why: "max_wait".into() }),
            (3, StepKind::Entered { queue: queue("sales") }),
        ];
        let expected = expected.map(|(after, kind)| Step { after: Duration::from_secs(after), kind });
        assert_eq!(steps, expected);
    }

    // spec: UN-6
    #[test]
    fn who_is_called_without_a_queue_is_a_step_too() {
        let number: PhoneNumber = "+33123456789".parse().unwrap();
        let outside = Happened::Dialled { leg: leg(3), agent: None, number: Some(number.clone()) };
        let all = [
            dialled(1, "anna"),
            dialled(2, "anna"),
            Happened::Alerting { leg: leg(1) },
            failed(2, "anna", Cause::Unreachable),
            failed(1, "anna", Cause::NoAnswer),
            outside,
            Happened::Alerting { leg: leg(3) },
            Happened::Connected { leg: leg(3), agent: None },
        ];
        let transitions: Vec<Transition> = all.into_iter().map(|what| Transition { at: WallTime(0), what }).collect();
        let kinds: Vec<StepKind> = history(WallTime(0), &transitions).into_iter().map(|step| step.kind).collect();
        let expected = [
            StepKind::Called { whom: Called::Agent(agent("anna")), fate: Fate::NotAnswered { cause: Cause::NoAnswer } },
            StepKind::Called { whom: Called::Number(number), fate: Fate::Answered },
        ];
        assert_eq!(kinds, expected);
    }
}
