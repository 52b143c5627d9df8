//! The production machines on a clock that is set by hand: one heap of what is due, one queue of what happens now.
//! Everything that is not a machine (phones, callers, the network, the day's plan) is [`Outside`].

mod agenda;
mod slots;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent::{self, Agent, SavedAvailability};
use carillon_acd::call::{self, Call, FromAgent};
use carillon_acd::fence::Fence;
use carillon_acd::ids::{AgentId, CallId, Epoch, LegId, NodeId, QueueId};
use carillon_acd::leg::{Contact, Incoming, LegCommand, LegEvent, Location};
use carillon_acd::queue::{self, Queue};
use carillon_acd::record::Record;
use carillon_acd::route::Routing;
use carillon_acd::time::{Moment, Now, WallTime};
use carillon_acd::view::AgentCommand;

use agenda::{Agenda, Due};
use slots::{Owner, Place, Slot};

/// Where a simulated phone has registered. No simulated edge dials by it, so one place serves all.
fn registration(agent: &AgentId, device: u8) -> Location {
    let uri = format!("sip:{}-{device}@192.0.2.1", agent.name);
    let contact = Contact::new(&uri, [192, 0, 2, 1].into()).expect("a name makes a short printable URI");
    Location { edge: NodeId(1), contact }
}

/// What one machine says to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// To a call.
    Call(CallId, call::Event),
    /// To the owner of an agent.
    Agent(AgentId, agent::Event),
    /// To the owner of a queue.
    Queue(QueueId, queue::Event),
}

/// What a machine was told and what it did.
#[derive(Debug)]
pub enum Step<'a> {
    /// A call.
    Call(CallId, &'a call::Event, &'a [call::Effect]),
    /// An owner of an agent, which may have been replaced already.
    Agent(&'a AgentId, Epoch, &'a agent::Event, &'a [agent::Effect]),
    /// An owner of a queue, which may have been replaced already.
    Queue(&'a QueueId, Epoch, &'a queue::Event, &'a [queue::Effect]),
}

/// Everything around the machines.
pub trait Outside: Sized {
    /// What the outside plans for itself.
    type Event;

    /// Whether [`Outside::before`] and [`Outside::saw`] are asked; they cost a copy of every event.
    const WATCHES: bool = false;

    /// Something that was planned comes to pass.
    fn happens(&mut self, engine: &mut Engine<Self::Event>, event: Self::Event);

    /// A call asks something of the edge.
    fn command(&mut self, engine: &mut Engine<Self::Event>, leg: LegId, command: LegCommand);

    /// A leg is about to report; `false` when it is gone and says nothing.
    fn reports(&mut self, engine: &Engine<Self::Event>, leg: LegId, event: &LegEvent) -> bool;

    /// A call is over.
    fn finished(&mut self, engine: &mut Engine<Self::Event>, record: Record);

    /// The network. By default it is perfect and takes no time.
    fn carry(&mut self, engine: &mut Engine<Self::Event>, message: Message) {
        engine.send(Duration::ZERO, message);
    }

    /// Whether a message reaches this one of several who all take themselves for the owner of the queue or the agent that
    /// it is for; `newest` when nobody has replaced it.
    fn reaches(&mut self, newest: bool) -> bool {
        newest
    }

    /// An owner of a queue is about to take in an event.
    fn before(&mut self, _id: &QueueId, _queue: &Queue) {}

    /// The newest owner of an agent has taken in an event or a command.
    fn agent_is(&mut self, _engine: &Engine<Self::Event>, _id: &AgentId, _agent: &Agent) {}

    /// A machine has taken in an event; its effects are not performed yet.
    fn saw(&mut self, _engine: &Engine<Self::Event>, _step: &Step<'_>) {}
}

/// The machines and the clock.
pub struct Engine<E> {
    now: Moment,
    agenda: Agenda<E>,
    soon: VecDeque<Due<E>>,
    routing: Arc<Routing>,
    call_config: Arc<call::Config>,
    calls: BTreeMap<CallId, Slot<Call>>,
    agents: Vec<(AgentId, Vec<Owner<Agent>>)>,
    agent_places: HashMap<AgentId, usize>,
    /// Every node has heard of every new owner of an agent before that owner serves, so one stands for all.
    fence: Fence,
    queues: Vec<(QueueId, Vec<Owner<Queue>>)>,
    queue_places: HashMap<QueueId, usize>,
    steps: u64,
}

impl<E> Engine<E> {
    /// Nobody is here yet. The clock does not begin at zero, so that nothing works by accident because a duration is zero.
    pub fn new(routing: Arc<Routing>, call_config: Arc<call::Config>) -> Self {
        Engine {
            now: Moment::START + Duration::from_secs(100_000),
            agenda: Agenda::default(),
            soon: VecDeque::new(),
            routing,
            call_config,
            calls: BTreeMap::new(),
            agents: Vec::new(),
            agent_places: HashMap::new(),
            fence: Fence::default(),
            queues: Vec::new(),
            queue_places: HashMap::new(),
            steps: 0,
        }
    }

    /// What time it is.
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// How many events machines have taken in.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// The clock as a machine sees it whose node's clock is `ahead` of ours.
    pub fn clock(&self, ahead: Duration) -> Now {
        let mono = self.now + ahead;
        let micros = i64::try_from(mono.since(Moment::START).as_micros()).unwrap_or(i64::MAX);
        Now { mono, wall: WallTime(micros) }
    }

    /// Plans something of the outside.
    pub fn plan(&mut self, after: Duration, event: E) {
        self.due(after, Due::Outside(event));
    }

    /// Puts a message on its way.
    pub fn send(&mut self, after: Duration, message: Message) {
        self.due(after, Due::Message(message));
    }

    /// Plans what a leg reports.
    pub fn report(&mut self, after: Duration, leg: LegId, event: LegEvent) {
        self.due(after, Due::Leg(leg, event));
    }

    /// Somebody asks something of an agent; a refusal is as good an answer as any.
    pub fn command(&mut self, agent: AgentId, command: AgentCommand) {
        self.soon.push_back(Due::Command(agent, command));
    }

    fn due(&mut self, after: Duration, due: Due<E>) {
        if after.is_zero() {
            self.soon.push_back(due);
        } else {
            self.agenda.push(self.now + after, due);
        }
    }

    /// A call comes in on a node whose clock is `ahead`, and starts.
    pub fn call(&mut self, incoming: Incoming, ahead: Duration) {
        let id = incoming.call;
        let call = Call::new(self.clock(ahead), incoming, Arc::clone(&self.routing), Arc::clone(&self.call_config));
        self.calls.insert(id, Slot::new(call, ahead));
        self.soon.push_back(Due::Message(Message::Call(id, call::Event::Start)));
    }

    /// The edge of a call dies, and nobody is told.
    pub fn lose_call(&mut self, id: CallId) {
        self.calls.remove(&id);
    }

    /// A first or new owner of an agent. It announces itself to the nodes, hears of his devices and asks the living calls
    /// which of them hold him, before anything else reaches it and without loss, as the take-over of a shard does. The
    /// owners before it live on until they are ended.
    pub fn own_agent(&mut self, id: AgentId, config: agent::Config, epoch: Epoch, ahead: Duration) {
        let devices = u8::try_from(config.devices.len()).unwrap_or(u8::MAX);
        let machine = Agent::new(self.clock(ahead), id.clone(), config, SavedAvailability::default(), epoch);
        let place = *self.agent_places.entry(id.clone()).or_insert(self.agents.len());
        if place == self.agents.len() {
            self.agents.push((id.clone(), Vec::new()));
        }
        self.agents[place].1.push(Owner { epoch, slot: Slot::new(machine, ahead) });
        self.fence.announce(&id, epoch);
        self.soon.push_back(Due::Owner(place, agent::Event::Start));
        for device in 0..devices {
            let Location { edge, contact } = registration(&id, device);
            let event = agent::Event::Reachable { device, edge, contacts: vec![contact] };
            self.soon.push_back(Due::Owner(place, event));
        }
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        self.soon.extend(calls.into_iter().map(|call| Due::Asked(call, place)));
    }

    /// An owner of an agent dies.
    pub fn end_agent_owner(&mut self, id: &AgentId, epoch: Epoch) {
        if let Some(&place) = self.agent_places.get(id) {
            self.agents[place].1.retain(|owner| owner.epoch != epoch);
        }
    }

    /// A first or new owner of a queue. The owners before it live on until they are ended.
    pub fn own_queue(&mut self, id: QueueId, config: queue::Config, epoch: Epoch, seed: u64, ahead: Duration) {
        let machine = Queue::new(self.clock(ahead), id.clone(), config, epoch, seed);
        let place = *self.queue_places.entry(id.clone()).or_insert(self.queues.len());
        if place == self.queues.len() {
            self.queues.push((id, Vec::new()));
        }
        self.queues[place].1.push(Owner { epoch, slot: Slot::new(machine, ahead) });
    }

    /// An owner of a queue dies.
    pub fn end_owner(&mut self, id: &QueueId, epoch: Epoch) {
        if let Some(&place) = self.queue_places.get(id) {
            self.queues[place].1.retain(|owner| owner.epoch != epoch);
        }
    }

    /// The calls that are not over.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values().map(|slot| &slot.machine)
    }

    /// One of them.
    pub fn find_call(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id).map(|slot| &slot.machine)
    }

    /// The owners of all agents, the newest of each last.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentId, Epoch, &Agent)> {
        self.agents.iter().flat_map(|(id, owners)| owners.iter().map(move |o| (id, o.epoch, &o.slot.machine)))
    }

    /// The owners of all queues, the newest of each last.
    pub fn owners(&self) -> impl Iterator<Item = (&QueueId, Epoch, &Queue)> {
        self.queues.iter().flat_map(|(id, owners)| owners.iter().map(move |o| (id, o.epoch, &o.slot.machine)))
    }

    /// The newest owner of a queue.
    pub fn newest(&self, id: &QueueId) -> Option<(Epoch, &Queue)> {
        let owners = &self.queues[*self.queue_places.get(id)?].1;
        owners.last().map(|owner| (owner.epoch, &owner.slot.machine))
    }

    /// Does everything that is due until `until`, in order of time.
    pub fn run_until<O: Outside<Event = E>>(&mut self, outside: &mut O, until: Moment) {
        self.settle(outside);
        while let Some((at, due)) = self.agenda.pop_until(until) {
            self.now = self.now.max(at);
            self.perform(outside, due);
            self.settle(outside);
        }
        self.now = self.now.max(until);
    }

    fn settle<O: Outside<Event = E>>(&mut self, outside: &mut O) {
        let mut steps = 0_u32;
        while let Some(due) = self.soon.pop_front() {
            steps += 1;
            assert!(steps < 1_000_000, "the machines never come to rest at {:?}", self.now);
            self.perform(outside, due);
        }
    }

    fn perform<O: Outside<Event = E>>(&mut self, outside: &mut O, due: Due<E>) {
        match due {
            Due::Outside(event) => outside.happens(self, event),
            Due::Message(Message::Call(id, event)) => self.tell_call(outside, id, event),
            Due::Message(Message::Agent(id, event)) => self.tell_agent_owners(outside, &id, event),
            Due::Message(Message::Queue(id, event)) => self.tell_owners(outside, &id, event),
            Due::Owner(place, event) => self.tell_newest(outside, place, event),
            Due::Asked(call, place) => self.ask(outside, call, place),
            Due::Leg(leg, event) => {
                if outside.reports(self, leg, &event) {
                    self.tell_call(outside, leg.call, call::Event::Leg(leg, event));
                }
            }
            Due::Command(agent, command) => self.obey(outside, &agent, &command),
            Due::Wake(place) => self.wake(outside, place),
        }
    }

    fn wake<O: Outside<Event = E>>(&mut self, outside: &mut O, place: Place) {
        let now = self.now;
        match place {
            Place::Call(id) => match self.calls.get_mut(&id).map(|slot| slot.is_due(now, Call::deadline)) {
                Some(slots::Wakes::Now) => self.tell_call(outside, id, call::Event::Wake),
                Some(slots::Wakes::At(at)) => self.agenda.push(at, Due::Wake(place)),
                Some(slots::Wakes::Never) | None => {}
            },
            Place::Agent(index, epoch) => {
                let Some(i) = self.agents[index].1.iter().position(|owner| owner.epoch == epoch) else { return };
                match self.agents[index].1[i].slot.is_due(now, Agent::deadline) {
                    slots::Wakes::Now => self.tell_agent(outside, index, i, agent::Event::Wake),
                    slots::Wakes::At(at) => self.agenda.push(at, Due::Wake(place)),
                    slots::Wakes::Never => {}
                }
            }
            Place::Queue(index, epoch) => {
                let Some(i) = self.queues[index].1.iter().position(|owner| owner.epoch == epoch) else { return };
                match self.queues[index].1[i].slot.is_due(now, Queue::deadline) {
                    slots::Wakes::Now => self.tell_owner(outside, index, i, queue::Event::Wake),
                    slots::Wakes::At(at) => self.agenda.push(at, Due::Wake(place)),
                    slots::Wakes::Never => {}
                }
            }
        }
    }

    fn tell_call<O: Outside<Event = E>>(&mut self, outside: &mut O, id: CallId, event: call::Event) {
        if !self.fence.admits(&event) {
            return;
        }
        self.steps += 1;
        let seen = O::WATCHES.then(|| event.clone());
        let mut out = Vec::new();
        match self.calls.get_mut(&id) {
            Some(slot) => {
                let now = now_of(self.now, slot.ahead);
                slot.machine.handle(now, event, &mut out);
                if let Some(at) = slot.arm(Call::deadline) {
                    self.agenda.push(at, Due::Wake(Place::Call(id)));
                }
            }
            None => out.extend(call::gone(id, &event)),
        }
        if let Some(event) = seen {
            outside.saw(self, &Step::Call(id, &event, &out));
        }
        for effect in out {
            match effect {
                call::Effect::Leg(leg, command) => outside.command(self, leg, command),
                call::Effect::ToQueue(queue, event) => outside.carry(self, Message::Queue(queue, event)),
                call::Effect::ToAgent(agent, event) => outside.carry(self, Message::Agent(agent, event)),
                call::Effect::Finished(record) => {
                    self.calls.remove(&id);
                    outside.finished(self, *record);
                }
            }
        }
    }

    /// A call answers a new owner of an agent; nothing of it is lost.
    fn ask<O: Outside<Event = E>>(&mut self, outside: &mut O, id: CallId, place: usize) {
        let Some(slot) = self.calls.get_mut(&id) else { return };
        let (agent, owners) = &self.agents[place];
        let Some(epoch) = owners.last().map(|owner| owner.epoch) else { return };
        let agent = agent.clone();
        let mut out = Vec::new();
        let event = call::Event::Agent(agent.clone(), epoch, FromAgent::NewOwner);
        slot.machine.handle(now_of(self.now, slot.ahead), event, &mut out);
        for effect in out {
            match effect {
                call::Effect::ToAgent(to, event) if to == agent => self.tell_newest(outside, place, event),
                call::Effect::ToAgent(agent, event) => outside.carry(self, Message::Agent(agent, event)),
                call::Effect::ToQueue(queue, event) => outside.carry(self, Message::Queue(queue, event)),
                call::Effect::Leg(leg, command) => outside.command(self, leg, command),
                call::Effect::Finished(record) => {
                    self.calls.remove(&id);
                    outside.finished(self, *record);
                }
            }
        }
        if let Some(slot) = self.calls.get_mut(&id)
            && let Some(at) = slot.arm(Call::deadline)
        {
            self.agenda.push(at, Due::Wake(Place::Call(id)));
        }
    }

    fn tell_newest<O: Outside<Event = E>>(&mut self, outside: &mut O, place: usize, event: agent::Event) {
        if let Some(last) = self.agents[place].1.len().checked_sub(1) {
            self.tell_agent(outside, place, last, event);
        }
    }

    fn tell_agent_owners<O: Outside<Event = E>>(&mut self, outside: &mut O, id: &AgentId, event: agent::Event) {
        let Some(&place) = self.agent_places.get(id) else { return };
        let owners = self.agents[place].1.len();
        if owners == 1 {
            return self.tell_agent(outside, place, 0, event);
        }
        for i in 0..owners {
            if outside.reaches(i + 1 == owners) {
                self.tell_agent(outside, place, i, event.clone());
            }
        }
    }

    fn tell_agent<O: Outside<Event = E>>(&mut self, outside: &mut O, place: usize, i: usize, event: agent::Event) {
        self.steps += 1;
        let seen = O::WATCHES.then(|| event.clone());
        let mut out = Vec::new();
        let owner = &mut self.agents[place].1[i];
        owner.slot.machine.handle(now_of(self.now, owner.slot.ahead), event, &mut out);
        let epoch = owner.epoch;
        if let Some(event) = seen {
            outside.saw(self, &Step::Agent(&self.agents[place].0, epoch, &event, &out));
        }
        self.agent_did(outside, place, i, out);
    }

    fn obey<O: Outside<Event = E>>(&mut self, outside: &mut O, agent: &AgentId, command: &AgentCommand) {
        let Some(&place) = self.agent_places.get(agent) else { return };
        let Some(last) = self.agents[place].1.len().checked_sub(1) else { return };
        let mut out = Vec::new();
        let slot = &mut self.agents[place].1[last].slot;
        let _ = slot.machine.command(now_of(self.now, slot.ahead), command, &mut out);
        self.agent_did(outside, place, last, out);
    }

    fn agent_did<O: Outside<Event = E>>(&mut self, outside: &mut O, place: usize, i: usize, out: Vec<agent::Effect>) {
        let owner = &mut self.agents[place].1[i];
        if let Some(at) = owner.slot.arm(Agent::deadline) {
            self.agenda.push(at, Due::Wake(Place::Agent(place, owner.epoch)));
        }
        let (id, owners) = &self.agents[place];
        if i + 1 == owners.len() {
            outside.agent_is(self, id, &owners[i].slot.machine);
        }
        for effect in out {
            match effect {
                agent::Effect::ToCall(call, event) => outside.carry(self, Message::Call(call, event)),
                agent::Effect::ToQueue(queue, event) => outside.carry(self, Message::Queue(queue, event)),
                agent::Effect::Save(_) => {}
            }
        }
    }

    fn tell_owners<O: Outside<Event = E>>(&mut self, outside: &mut O, id: &QueueId, event: queue::Event) {
        let Some(&index) = self.queue_places.get(id) else { return };
        let owners = self.queues[index].1.len();
        if owners == 1 {
            return self.tell_owner(outside, index, 0, event);
        }
        for i in 0..owners {
            if outside.reaches(i + 1 == owners) {
                self.tell_owner(outside, index, i, event.clone());
            }
        }
    }

    fn tell_owner<O: Outside<Event = E>>(&mut self, outside: &mut O, index: usize, i: usize, event: queue::Event) {
        self.steps += 1;
        let seen = O::WATCHES.then(|| event.clone());
        let mut out = Vec::new();
        let (id, owners) = &mut self.queues[index];
        let owner = &mut owners[i];
        if O::WATCHES {
            outside.before(id, &owner.slot.machine);
        }
        owner.slot.machine.handle(now_of(self.now, owner.slot.ahead), event, &mut out);
        let epoch = owner.epoch;
        if let Some(at) = owner.slot.arm(Queue::deadline) {
            self.agenda.push(at, Due::Wake(Place::Queue(index, epoch)));
        }
        if let Some(event) = seen {
            outside.saw(self, &Step::Queue(&self.queues[index].0, epoch, &event, &out));
        }
        for queue::Effect::ToCall(call, event) in out {
            outside.carry(self, Message::Call(call, event));
        }
    }
}

fn now_of(now: Moment, ahead: Duration) -> Now {
    let mono = now + ahead;
    let micros = i64::try_from(mono.since(Moment::START).as_micros()).unwrap_or(i64::MAX);
    Now { mono, wall: WallTime(micros) }
}
