//! One day: who comes when, and what is asked after every step.

mod evening;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::call;
use carillon_acd::ids::{CallId, DeviceId, Epoch, LegId, NodeId, QueueId};
use carillon_acd::invariant;
use carillon_acd::leg::{CallerId, Cause, Incoming, LegCommand, LegEvent, Source};
use carillon_acd::queue::{self, Queue};
use carillon_acd::record::{Outcome as CallOutcome, Record};
use carillon_acd::rng::Rng;
use carillon_acd::time::Moment;
use carillon_acd::view::{Activity, AgentCommand};
use carillon_simulate::engine::{Engine, Message, Outside, Step};

use crate::center::{
    AGENTS, QUEUES, agent_config, agent_id, extension, number, queue_config, queue_id, routing, trunk,
};
use crate::order::{self, Order};
use crate::owners::{KEEP_ALIVE, Place};
use crate::phones::Phones;
use crate::watch::Watch;
use trouble::CutOff;

const CALLERS: usize = 20;
/// What agents dial besides extensions; the short numbers of the queues are 0, 1 and 2.
const PICKUP: &str = "*11";
const CODES: [&str; 6] = ["*410", "*421", "*422", "*43", "*44", "*46"];
/// Long enough for everybody to be served and to go home.
const EVENING: Duration = Duration::from_secs(1_500);

/// How to run a day.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Lost messages of a hundred; by default 0, 5 and 20 take turns.
    pub lost: Option<usize>,
    /// Print every step.
    pub trace: bool,
}

/// What a day came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Events that machines took in.
    pub steps: u64,
    /// Calls that were answered.
    pub answered: usize,
    /// Legs of agents who dialled the code for pickup that went over to a ringing call.
    pub picked_up: usize,
    /// The records of the day.
    pub records: Vec<String>,
}

/// Runs the day that `seed` names.
///
/// # Errors
/// The first promise that was broken, in words.
pub fn run(seed: u64, options: Options) -> Result<Outcome, String> {
    let mut day = Day::new(seed, options);
    let routing = routing(&day.configs, &mut day.rng);
    let mut engine = Engine::new(Arc::new(routing), Arc::new(call_config()));
    day.begin(&mut engine);
    let end = engine.now() + day.length + EVENING;
    while engine.now() < end && day.broken.is_none() {
        let next = (engine.now() + Duration::from_secs(5)).min(end);
        engine.run_until(&mut day, next);
    }
    day.check_the_end(&engine);
    match day.broken {
        Some(what) => Err(what),
        None => Ok(Outcome {
            steps: engine.steps(),
            answered: day.records.iter().filter(|record| record.outcome == CallOutcome::Answered).count(),
            picked_up: day.picked_up,
            records: day.records.iter().map(|record| format!("{record:?}")).collect(),
        }),
    }
}

/// Under heavy loss a lease must be renewed more often to hold.
fn call_config() -> call::Config {
    call::Config { renew: Duration::from_secs(2), ..call::Config::default() }
}

/// What the day has planned for itself.
#[derive(Clone, Debug)]
pub(crate) enum Planned {
    Caller,
    /// Somebody dials the code for pickup on the edge of this number.
    PicksUp(usize),
    HangsUp(CallId),
    /// A caller presses a digit: of the exits of a queue, or another one.
    Presses(CallId, char),
    Trouble,
    KeepAlive(usize, Epoch),
    HeardByCoordinator {
        queue: usize,
        epoch: Epoch,
        sent: Moment,
    },
    Confirmed {
        queue: usize,
        epoch: Epoch,
        sent: Moment,
    },
    /// The coordinator looks whether the place is free.
    PlaceExpires(usize),
    /// An owner looks whether it may still act.
    LeaseEnds(usize, Epoch),
    OwnerDies(usize, Epoch),
    AgentOwnerDies(usize, Epoch),
    EverybodyReady,
}

struct Day {
    rng: Rng,
    options: Options,
    lost: usize,
    repeated: usize,
    delay: Duration,
    /// No owner or edge dies: what was counted must add up.
    calm: bool,
    ahead: [Duration; 3],
    configs: Vec<queue::Config>,
    places: Vec<Place>,
    cut_off: [CutOff; QUEUES],
    agent_epochs: [u64; AGENTS],
    phones: Phones,
    watch: Watch,
    order: Order,
    callers: BTreeSet<CallId>,
    comes: usize,
    started: BTreeSet<CallId>,
    unknown_since: BTreeMap<CallId, Moment>,
    records: Vec<Record>,
    picked_up: usize,
    /// Calls whose edge died.
    without_record: u64,
    length: Duration,
    broken: Option<String>,
}

impl Day {
    fn new(seed: u64, options: Options) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed));
        let turn = usize::try_from(seed % 12).unwrap_or_default();
        let configs: Vec<queue::Config> = (0..QUEUES).map(|n| queue_config(n, &mut rng)).collect();
        Day {
            options,
            lost: options.lost.unwrap_or([0, 5, 20][turn % 3]),
            repeated: [0, 5, 20][rng.below(3)],
            delay: Duration::from_millis([0, 30, 400, 1_500][rng.below(4)]),
            calm: turn / 3 == 3,
            ahead: std::array::from_fn(|_| Duration::from_millis(rng.below(10_000_000) as u64)),
            configs,
            places: vec![Place::default(); QUEUES],
            cut_off: [CutOff::default(); QUEUES],
            agent_epochs: [0; AGENTS],
            phones: Phones::default(),
            watch: Watch::default(),
            order: Order::default(),
            callers: BTreeSet::new(),
            comes: 0,
            started: BTreeSet::new(),
            unknown_since: BTreeMap::new(),
            records: Vec::new(),
            picked_up: 0,
            without_record: 0,
            length: Duration::from_secs(120),
            broken: None,
            rng,
        }
    }

    fn begin(&mut self, engine: &mut Engine<Planned>) {
        for queue in 0..QUEUES {
            self.appoint(engine, queue);
        }
        for agent in 0..AGENTS {
            self.agent_gets_an_owner(engine, agent);
        }
        for _ in 0..CALLERS {
            let at = self.random(self.length);
            engine.plan(at, Planned::Caller);
            let at = self.random(self.length);
            engine.plan(at, Planned::Trouble);
        }
        engine.plan(self.length, Planned::EverybodyReady);
    }

    fn random(&mut self, up_to: Duration) -> Duration {
        let most = usize::try_from(up_to.as_millis()).unwrap_or(usize::MAX - 1);
        Duration::from_millis(self.rng.below(most + 1) as u64)
    }

    fn a_node(&mut self) -> Duration {
        self.ahead[self.rng.below(self.ahead.len())]
    }

    fn broke(&mut self, what: Result<(), impl ToString>) {
        if let (None, Err(what)) = (&self.broken, what) {
            self.broken = Some(what.to_string());
        }
    }

    fn caller_comes(&mut self, engine: &mut Engine<Planned>) {
        let node = self.rng.below(self.ahead.len());
        let (source, dialled) = match self.rng.below(12) {
            0 => (self.phone_of_an_agent(), extension(self.rng.below(AGENTS + QUEUES))),
            1 => (self.phone_of_an_agent(), CODES[self.rng.below(CODES.len())].to_owned()),
            2 => (self.phone_of_an_agent(), PICKUP.to_owned()),
            _ => (Source::Trunk(trunk()), number(self.rng.below(QUEUES))),
        };
        // Some call again, some have no number.
        let caller = CallerId {
            number: match self.rng.below(8) {
                0 => "anonymous".to_owned(),
                n => format!("+3360000000{n}"),
            },
            name: String::new(),
        };
        self.calls(engine, node, source, dialled, caller);
    }

    fn calls(&mut self, engine: &mut Engine<Planned>, node: usize, source: Source, dialled: String, caller: CallerId) {
        self.comes += 1;
        let call = CallId { node: NodeId(u32::try_from(node).unwrap_or_default()), boot: 1, number: self.comes as u64 };
        if let Source::Device(device) = &source {
            self.phones.calls(LegId::caller(call), device.clone());
        }
        let outside = matches!(source, Source::Trunk(_));
        let incoming = Incoming { call, source, dialled: dialled.clone(), to_user: dialled, caller };
        self.started.insert(call);
        self.callers.insert(call);
        engine.call(incoming, self.ahead[node]);
        // One in three presses keys, at any time.
        for _ in 0..self.rng.below(3) * self.rng.below(2) {
            let (at, digit) =
                (self.random(Duration::from_secs(60)), ['0', '1', '2', '2', '2', '3', '*'][self.rng.below(7)]);
            engine.plan(at, Planned::Presses(call, digit));
        }
        // One in four stays until he is answered or sent away. An agent does not: he may be waiting for himself.
        if !outside || self.rng.below(4) > 0 {
            let patience = self.random(Duration::from_secs(120));
            engine.plan(patience, Planned::HangsUp(call));
        }
    }

    /// Where a phone rings, somebody may hear it and pick the call up, on the same edge or another.
    fn somebody_hears_it(&mut self, engine: &mut Engine<Planned>, call: CallId) {
        if self.rng.below(4) > 0 {
            return;
        }
        let same_edge = self.rng.below(4) > 0;
        let node = if same_edge { call.node.0 as usize } else { self.rng.below(self.ahead.len()) };
        let after = self.random(Duration::from_secs(6));
        engine.plan(after, Planned::PicksUp(node));
    }

    fn phone_of_an_agent(&mut self) -> Source {
        Source::Device(DeviceId { agent: agent_id(self.rng.below(AGENTS)), index: 0 })
    }

    fn agent_gets_an_owner(&mut self, engine: &mut Engine<Planned>, agent: usize) {
        self.agent_epochs[agent] += 1;
        let config = agent_config(agent, &self.configs);
        let ahead = self.a_node();
        engine.own_agent(agent_id(agent), config, Epoch(self.agent_epochs[agent]), ahead);
    }

    fn appoint(&mut self, engine: &mut Engine<Planned>, queue: usize) {
        let epoch = self.places[queue].appoint(engine.now());
        let (ahead, seed) = (self.a_node(), self.rng.next_u64());
        engine.own_queue(queue_id(queue), self.configs[queue].clone(), epoch, seed, ahead);
        engine.plan(KEEP_ALIVE, Planned::KeepAlive(queue, epoch));
        self.look_at_lease(engine, queue, epoch);
        self.look_at_place(engine, queue);
        let now = engine.now();
        self.broke(self.places[queue].check(now));
    }

    fn look_at_place(&self, engine: &mut Engine<Planned>, queue: usize) {
        engine.plan(self.places[queue].expires.since(engine.now()), Planned::PlaceExpires(queue));
    }

    fn look_at_lease(&mut self, engine: &mut Engine<Planned>, queue: usize, epoch: Epoch) {
        if let Some(owner) = self.places[queue].owner(epoch) {
            engine.plan(owner.lease.until().since(engine.now()), Planned::LeaseEnds(queue, epoch));
        }
    }

    /// A word between an owner and the coordinator, over the same network as all others.
    fn keep_alive(&mut self, engine: &mut Engine<Planned>, queue: usize, epoch: Epoch, word: Planned) {
        let now = engine.now();
        let cut = self.places[queue].owner(epoch).is_none_or(|owner| now < owner.cut_until);
        let lost = self.rng.below(100) < self.lost;
        if !cut && !lost {
            let after = self.random(self.delay);
            engine.plan(after, word);
        }
    }

    fn confirmed(&mut self, engine: &mut Engine<Planned>, queue: usize, epoch: Epoch, sent: Moment) {
        let now = engine.now();
        if let Some(owner) = self.places[queue].owner(epoch).filter(|owner| now >= owner.cut_until) {
            owner.lease.confirmed(sent, now);
            self.look_at_lease(engine, queue, epoch);
        }
    }

    fn lease_ends(&mut self, engine: &mut Engine<Planned>, queue: usize, epoch: Epoch) {
        let now = engine.now();
        let over = self.places[queue].owner(epoch).is_some_and(|owner| !owner.lawless && !owner.lease.holds(now));
        if over {
            self.places[queue].end(epoch);
            engine.end_owner(&queue_id(queue), epoch);
        }
    }

    fn everybody_ready(&mut self, engine: &mut Engine<Planned>) {
        for agent in 0..AGENTS {
            engine.command(agent_id(agent), AgentCommand::Ready);
            for queue in 0..QUEUES {
                engine.command(agent_id(agent), AgentCommand::QueueLogIn(queue_id(queue)));
            }
        }
    }
}

impl Outside for Day {
    type Event = Planned;
    const WATCHES: bool = true;

    fn happens(&mut self, engine: &mut Engine<Planned>, event: Planned) {
        match event {
            Planned::Caller => self.caller_comes(engine),
            Planned::PicksUp(node) => {
                let phone = self.phone_of_an_agent();
                let caller = CallerId { number: "anonymous".to_owned(), name: String::new() };
                self.calls(engine, node, phone, PICKUP.to_owned(), caller);
            }
            Planned::HangsUp(call) => {
                engine.report(Duration::ZERO, LegId::caller(call), LegEvent::Ended(Cause::Normal));
            }
            Planned::Presses(call, digit) => {
                engine.report(Duration::ZERO, LegId::caller(call), LegEvent::Digit(digit));
            }
            Planned::Trouble => {
                self.look_for_lost_callers(engine);
                self.trouble(engine);
            }
            Planned::KeepAlive(queue, epoch) => {
                let sent = engine.now();
                self.keep_alive(engine, queue, epoch, Planned::HeardByCoordinator { queue, epoch, sent });
                if self.places[queue].owner(epoch).is_some() && engine.now() < self.end() {
                    engine.plan(KEEP_ALIVE, Planned::KeepAlive(queue, epoch));
                }
                self.look_for_lost_callers(engine);
            }
            Planned::HeardByCoordinator { queue, epoch, sent } => {
                if self.places[queue].keep(engine.now(), epoch) {
                    self.look_at_place(engine, queue);
                    self.keep_alive(engine, queue, epoch, Planned::Confirmed { queue, epoch, sent });
                }
            }
            Planned::Confirmed { queue, epoch, sent } => self.confirmed(engine, queue, epoch, sent),
            Planned::PlaceExpires(queue) => {
                if self.places[queue].expires <= engine.now() {
                    self.appoint(engine, queue);
                }
            }
            Planned::LeaseEnds(queue, epoch) => self.lease_ends(engine, queue, epoch),
            Planned::OwnerDies(queue, epoch) => {
                self.places[queue].end(epoch);
                engine.end_owner(&queue_id(queue), epoch);
            }
            Planned::AgentOwnerDies(agent, epoch) => engine.end_agent_owner(&agent_id(agent), epoch),
            Planned::EverybodyReady => {
                self.everybody_ready(engine);
                if engine.now() < self.end() {
                    engine.plan(Duration::from_secs(60), Planned::EverybodyReady);
                }
            }
        }
    }

    fn command(&mut self, engine: &mut Engine<Planned>, leg: LegId, command: LegCommand) {
        self.trace(engine, || format!("{leg} <- {command:?}"));
        if leg.n == 0 && matches!(command, LegCommand::HangUp(_)) {
            self.callers.remove(&leg.call);
        }
        if let LegCommand::Dial { .. } = command {
            self.somebody_hears_it(engine, leg.call);
        }
        if let LegCommand::Adopt { from } = command {
            let adopted = self.phones.adopts(leg, from);
            self.picked_up += usize::from(adopted);
            // Between two workers of an edge the other hears of it, between two edges it does not.
            let yields = !adopted && self.rng.below(2) == 0 && self.phones.yields(leg, from);
            if adopted || yields {
                engine.report(Duration::ZERO, from, LegEvent::TakenOver { by: leg });
                self.callers.remove(&from.call);
            }
        }
        for (after, event) in self.phones.command(leg, &command, &mut self.rng) {
            engine.report(after, leg, event);
        }
        self.broke(self.phones.check());
    }

    fn reports(&mut self, engine: &Engine<Planned>, leg: LegId, event: &LegEvent) -> bool {
        let there = if let LegEvent::TakenOver { .. } = event {
            true
        } else if leg.n > 0 {
            self.phones.reports(leg, event)
        } else if matches!(event, LegEvent::Ended(_)) {
            self.phones.stops_calling(leg);
            self.callers.remove(&leg.call)
        } else {
            self.callers.contains(&leg.call)
        };
        if there {
            self.trace(engine, || format!("{leg} -> {event:?}"));
        }
        there
    }

    fn finished(&mut self, engine: &mut Engine<Planned>, record: Record) {
        self.broke(evening::clients_are_called_as_often_as_configured(&record));
        self.trace(engine, || format!("{} is over: {:?}", record.call, record.outcome));
        self.callers.remove(&record.call);
        self.records.push(record);
    }

    fn carry(&mut self, engine: &mut Engine<Planned>, message: Message) {
        if self.rng.below(100) < self.lost || self.is_cut_off(engine.now(), &message) {
            return self.trace(engine, || format!("lost: {message:?}"));
        }
        if self.rng.below(100) < self.repeated {
            let after = self.random(self.delay);
            engine.send(after, message.clone());
        }
        let after = self.random(self.delay);
        engine.send(after, message);
    }

    /// Some senders still take the old owner for the owner, and only him.
    fn reaches(&mut self, newest: bool) -> bool {
        if newest { self.rng.below(8) > 0 } else { self.rng.below(2) == 0 }
    }

    fn before(&mut self, _id: &QueueId, queue: &Queue) {
        self.order.before(queue);
    }

    fn saw(&mut self, engine: &Engine<Planned>, step: &Step<'_>) {
        self.trace(engine, || format!("{step:?}"));
        match step {
            Step::Call(id, event, effects) => {
                let seen = self.watch.call(*id, event, effects, &self.phones);
                self.broke(seen);
                self.order.call(*id, engine.now(), event, effects);
                if effects.iter().any(|effect| matches!(effect, call::Effect::Leg(_, LegCommand::Bridge { .. }))) {
                    self.broke(invariant::one_call_per_agent(engine.calls()));
                }
            }
            Step::Agent(id, epoch, event, effects) => {
                let seen = self.watch.agent(id, *epoch, event, effects);
                self.broke(seen);
                if let Some((id, _, agent)) = engine.agents().find(|(agent, e, _)| agent == id && e == epoch) {
                    self.broke(invariant::activity_fits_call([(id, agent)]));
                    let waits_for_ever = agent.activity() != Activity::Idle && agent.deadline().is_none();
                    if waits_for_ever {
                        self.broke(Err(format!("{id} has no deadline")));
                    }
                }
            }
            Step::Queue(id, epoch, _, effects) => {
                let Some(n) = (0..QUEUES).find(|n| queue_id(*n) == **id) else { return };
                let owner =
                    order::Owner { id, epoch: *epoch, config: &self.configs[n], now: engine.now(), delay: self.delay };
                if let Some((.., queue)) = engine.owners().find(|(queue, e, _)| queue == id && e == epoch) {
                    let seen = self.order.queue(owner, effects, queue);
                    self.broke(seen);
                }
            }
        }
    }
}

impl Day {
    fn end(&self) -> Moment {
        Moment::START + Duration::from_secs(100_000) + self.length + EVENING
    }

    fn trace(&self, engine: &Engine<Planned>, what: impl FnOnce() -> String) {
        if self.options.trace && self.broken.is_none() {
            println!("{:>10.3}  {}", engine.now().since(Moment::START).as_secs_f64() - 100_000.0, what());
        }
    }
}
