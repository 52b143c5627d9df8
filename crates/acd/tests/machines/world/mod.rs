//! A whole center in memory: the three machines, phones, and a clock that is set by hand. No message takes time.

pub(crate) mod phones;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent::{self, Agent};
use carillon_acd::call::{self, Call};
use carillon_acd::ids::{AgentId, CallId, Epoch, LegId, NodeId, QueueId};
use carillon_acd::invariant::{self, Violation};
use carillon_acd::leg::{CallerId, Contact, Incoming, LegCommand, LegEvent, Source};
use carillon_acd::queue::{self, Queue};
use carillon_acd::record::Record;
use carillon_acd::route::Routing;
use carillon_acd::time::{Moment, Now, WallTime};
use carillon_acd::view::AgentCommand;

use phones::Phones;

/// The edge of all calls, and of all phones that did not register elsewhere.
pub(crate) const EDGE: NodeId = NodeId(1);

/// What is under way.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Call(CallId, call::Event),
    Agent(AgentId, agent::Event),
    Queue(QueueId, queue::Event),
}

/// Something worth telling, in the order in which it happened.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Leg(LegId, LegCommand),
    #[expect(dead_code, reason = "printed when an invariant is broken")]
    Agent(AgentId, agent::Event),
    #[expect(dead_code, reason = "printed when an invariant is broken")]
    Queue(QueueId, queue::Event),
    ToCall(CallId, call::Event),
    Finished(Box<Record>),
}

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) calls: BTreeMap<CallId, Call>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    pub(crate) phones: Phones,
    pub(crate) records: Vec<Record>,
    pub(crate) routing: Arc<Routing>,
    pub(crate) call_config: Arc<call::Config>,
    pub(crate) seen: Vec<(Moment, Seen)>,
    messages: VecDeque<Message>,
    next_call: u64,
}

impl World {
    pub(crate) fn new(routing: Routing) -> Self {
        World {
            // Not zero, so that nothing works by accident because a duration is zero.
            now: Moment::START + Duration::from_secs(1_000),
            calls: BTreeMap::new(),
            agents: BTreeMap::new(),
            queues: BTreeMap::new(),
            phones: Phones::default(),
            records: Vec::new(),
            routing: Arc::new(routing),
            call_config: Arc::new(call::Config::default()),
            seen: Vec::new(),
            messages: VecDeque::new(),
            next_call: 0,
        }
    }

    pub(crate) fn clock(&self) -> Now {
        let micros = i64::try_from(self.now.since(Moment::START).as_micros()).unwrap();
        Now { mono: self.now, wall: WallTime(micros) }
    }

    pub(crate) fn add_queue(&mut self, id: QueueId, config: queue::Config, epoch: u64, seed: u64) {
        let queue = Queue::new(self.clock(), id.clone(), config, Epoch(epoch), seed);
        self.queues.insert(id, queue);
    }

    pub(crate) fn add_agent(&mut self, id: AgentId, config: agent::Config, epoch: u64) {
        let devices = u8::try_from(config.devices.len()).unwrap();
        let saved = agent::SavedAvailability::default();
        self.agents.insert(id.clone(), Agent::new(self.clock(), id.clone(), config, saved, Epoch(epoch)));
        self.deliver(Message::Agent(id.clone(), agent::Event::Start));
        for device in 0..devices {
            self.registers(&id, device, EDGE, true);
        }
    }

    /// A device of an agent registers at an edge, or leaves it.
    pub(crate) fn registers(&mut self, agent: &AgentId, device: u8, edge: NodeId, there: bool) {
        let uri = format!("sip:{}-{device}@10.0.0.7", agent.name);
        let contact = Contact::new(&uri, [192, 0, 2, 9].into()).unwrap();
        let contacts = if there { vec![contact] } else { Vec::new() };
        self.deliver(Message::Agent(agent.clone(), agent::Event::Reachable { device, edge, contacts }));
    }

    /// The membership of nodes says that an edge is no more.
    pub(crate) fn edge_is_gone(&mut self, edge: NodeId) {
        let agents: Vec<AgentId> = self.agents.keys().cloned().collect();
        for agent in agents {
            self.deliver(Message::Agent(agent, agent::Event::EdgeGone { edge, calls: Arc::default() }));
        }
    }

    /// A new call; it starts at once.
    pub(crate) fn call(&mut self, source: Source, caller: &str, dialled: &str) -> CallId {
        self.next_call += 1;
        let call = CallId { node: EDGE, boot: 1, number: self.next_call };
        let caller = CallerId { number: caller.to_owned(), name: String::new() };
        let incoming = Incoming { call, source, dialled: dialled.to_owned(), to_user: dialled.to_owned(), caller };
        if let Source::Device(device) = &incoming.source {
            self.phones.calls(LegId::caller(call), device.clone());
        }
        let machine = Call::new(self.clock(), incoming, Arc::clone(&self.routing), Arc::clone(&self.call_config));
        self.calls.insert(call, machine);
        self.deliver(Message::Call(call, call::Event::Start));
        call
    }

    pub(crate) fn command(&mut self, agent: &AgentId, command: &AgentCommand) -> Result<(), agent::CommandRefusal> {
        let now = self.clock();
        let mut out = Vec::new();
        let machine = self.agents.get_mut(agent).expect("the scenario names an agent that exists");
        let answer = machine.command(now, command, &mut out);
        self.perform_agent(out);
        answer
    }

    pub(crate) fn leg_event(&mut self, leg: LegId, event: LegEvent) {
        self.phones.reported(leg, &event);
        self.deliver(Message::Call(leg.call, call::Event::Leg(leg, event)));
    }

    /// Lets a machine handle a message now, and sends what follows.
    pub(crate) fn deliver(&mut self, message: Message) {
        let now = self.clock();
        match message {
            Message::Call(id, event) => {
                self.saw(Seen::ToCall(id, event.clone()));
                let mut out = Vec::new();
                match self.calls.get_mut(&id) {
                    Some(call) => call.handle(now, event, &mut out),
                    None => out.extend(call::gone(id, &event)),
                }
                self.perform_call(id, out);
            }
            Message::Agent(id, event) => {
                self.saw(Seen::Agent(id.clone(), event.clone()));
                let mut out = Vec::new();
                if let Some(agent) = self.agents.get_mut(&id) {
                    agent.handle(now, event, &mut out);
                }
                self.perform_agent(out);
            }
            Message::Queue(id, event) => {
                self.saw(Seen::Queue(id.clone(), event.clone()));
                let mut out = Vec::new();
                if let Some(queue) = self.queues.get_mut(&id) {
                    queue.handle(now, event, &mut out);
                }
                for queue::Effect::ToCall(call, event) in out {
                    self.messages.push_back(Message::Call(call, event));
                }
            }
        }
    }

    fn saw(&mut self, what: Seen) {
        self.seen.push((self.now, what));
    }

    fn perform_call(&mut self, id: CallId, out: Vec<call::Effect>) {
        for effect in out {
            match effect {
                call::Effect::Leg(leg, command) => {
                    self.saw(Seen::Leg(leg, command.clone()));
                    self.phones.command(self.now, leg, &command);
                }
                call::Effect::ToQueue(queue, event) => self.messages.push_back(Message::Queue(queue, event)),
                call::Effect::ToAgent(agent, event) => self.messages.push_back(Message::Agent(agent, event)),
                call::Effect::Finished(record) => {
                    self.records.push((*record).clone());
                    self.saw(Seen::Finished(record));
                    self.calls.remove(&id);
                }
            }
        }
    }

    fn perform_agent(&mut self, out: Vec<agent::Effect>) {
        for effect in out {
            match effect {
                agent::Effect::ToCall(call, event) => self.messages.push_back(Message::Call(call, event)),
                agent::Effect::ToQueue(queue, event) => self.messages.push_back(Message::Queue(queue, event)),
                agent::Effect::Save(_) => {}
            }
        }
    }

    /// Everything that happens at this moment, and nothing later.
    pub(crate) fn settle(&mut self) {
        let mut steps = 0;
        while self.step(self.now) {
            steps += 1;
            assert!(
                steps < 100_000,
                "the machines never come to rest: {:?}",
                &self.seen[self.seen.len().saturating_sub(30)..]
            );
        }
    }

    /// Everything up to `until`, in order of time.
    pub(crate) fn run_until(&mut self, until: Moment) {
        self.settle();
        while let Some(next) = self.next_at().filter(|at| *at <= until) {
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = until;
    }

    /// When something happens next.
    pub(crate) fn next_at(&self) -> Option<Moment> {
        let soon = self.messages.front().map(|_| self.now);
        let calls = self.calls.values().filter_map(Call::deadline);
        let agents = self.agents.values().filter_map(Agent::deadline);
        let queues = self.queues.values().filter_map(Queue::deadline);
        soon.into_iter().chain(self.phones.next_at()).chain(calls).chain(agents).chain(queues).min()
    }

    /// One thing that is due at `at` or before; `false` when there is none.
    fn step(&mut self, at: Moment) -> bool {
        let due = |deadline: Option<Moment>| deadline.is_some_and(|d| d <= at);
        if let Some(message) = self.messages.pop_front() {
            self.deliver(message);
        } else if let Some((leg, event)) = self.phones.next_due(at) {
            self.leg_event(leg, event);
        } else if let Some((&id, _)) = self.calls.iter().find(|(_, call)| due(call.deadline())) {
            self.deliver(Message::Call(id, call::Event::Wake));
        } else if let Some((id, _)) = self.agents.iter().find(|(_, agent)| due(agent.deadline())) {
            self.deliver(Message::Agent(id.clone(), agent::Event::Wake));
        } else if let Some((id, _)) = self.queues.iter().find(|(_, queue)| due(queue.deadline())) {
            self.deliver(Message::Queue(id.clone(), queue::Event::Wake));
        } else {
            return false;
        }
        if let Err(violation) = self.check() {
            panic!("{violation}; the last steps: {:#?}", &self.seen[self.seen.len().saturating_sub(40)..]);
        }
        true
    }

    /// What must be true at every moment.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        self.phones.check();
        invariant::one_call_per_agent(self.calls.values())?;
        invariant::activity_fits_call(&self.agents)
    }
}
