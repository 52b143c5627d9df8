//! The shells with real machines and an edge made of a function: what a whole node does, without sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use carillon_acd::agent::{self, DeviceKind, Membership, SavedAvailability};
use carillon_acd::ids::{AgentId, CallId, Epoch, LegId, Name, NodeId, QueueId, TrunkId};
use carillon_acd::leg::{CallerId, Cause, Contact, DialTarget, Incoming, LegCommand, LegEvent, Reachability, Source};
use carillon_acd::record::{Outcome, Record};
use carillon_acd::stats::{Books, Definitions, Subject, Tally, of_record};
use carillon_acd::ticket::Sequence;
use carillon_acd::time::{Moment, Now, WallTime};
use carillon_acd::view::{Activity, AgentCommand, Availability, Stage};
use carillon_acd::whereabouts::Taken;
use carillon_acd::{call, queue, route};
use carillon_actors::{Center, CenterError, Clock, Departure, Objects, Owned, Ports, Title};
use carillon_rpc::cluster::Message;
use tokio::sync::mpsc;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn agent_id(text: &str) -> AgentId {
    AgentId::new(name("default"), name(text))
}

fn support() -> QueueId {
    QueueId::new(name("default"), name("support"))
}

fn objects(agents: &[&str]) -> Objects {
    let number = route::NumberRoute::new(
        carillon_acd::ids::NumberId::new(name("default"), name("main")),
        "+33123456789".parse().unwrap(),
        TrunkId::new(name("default"), name("carrier")),
        route::Target::Queue(support()),
    );
    let queue_route = route::QueueRoute {
        extension: Some("201".parse().unwrap()),
        waiting_sound: route::WaitingSound::Music,
        exits: [('2', queue::Exit::Callback)].into(),
        pickup: agents.iter().map(|who| agent_id(who)).collect(),
        ..route::QueueRoute::new(support())
    };
    let trunks = vec![route::TrunkRoute { id: TrunkId::new(name("default"), name("carrier")), outbound: true }];
    let tables = route::Tables { numbers: vec![number], queues: vec![queue_route], trunks, ..Default::default() };
    let membership = Membership::new(support());
    let agent = |who: &&str| {
        let config = agent::Config {
            display_name: (*who).to_owned(),
            extension: None,
            devices: vec![DeviceKind::Hardware],
            queues: vec![membership.clone()],
        };
        (agent_id(who), config)
    };
    let queue = queue::Config {
        display_name: "Support".to_owned(),
        extension: Some("201".parse().unwrap()),
        agents: agents.iter().map(|who| agent_id(who)).collect(),
        strategy: queue::Strategy::LongestIdle,
        ring_for: Duration::from_secs(20),
        unanswered: queue::Unanswered::Wait,
        max_wait: None,
        timeout: queue::Timeout::default(),
        max_waiting: 100,
        pickup: true,
        ..queue::Config::default()
    };
    Objects {
        routing: route::Routing::new(tables).unwrap(),
        agents: agents.iter().map(agent).collect(),
        queues: vec![(support(), queue)],
        calls: call::Config::default(),
        definitions: Definitions::default(),
    }
}

/// A node whose edge answers every dialled phone at once, and whose records come to `records`.
struct Node {
    center: Center,
    commands: Arc<Mutex<VecDeque<(LegId, LegCommand)>>>,
    records: mpsc::Receiver<Record>,
    saved: mpsc::Receiver<(AgentId, SavedAvailability)>,
}

/// The edge panics when it is asked to play to a call with this number: the call's actor fails with it.
const CURSED: u64 = 666;

async fn node(agents: &[&str]) -> Node {
    let elsewhere = Arc::new(|message| panic!("for another node: {message:?}"));
    let node = idle_node(NodeId(1), agents, elsewhere).await;
    node.owns_everything(agents, Epoch(1 << 32), Vec::new()).await;
    node
}

/// A node that owns nothing.
async fn idle_node(id: NodeId, agents: &[&str], elsewhere: Arc<dyn Fn(Message) + Send + Sync>) -> Node {
    let commands: Arc<Mutex<VecDeque<(LegId, LegCommand)>>> = Arc::default();
    let center: Arc<OnceLock<Center>> = Arc::default();
    let (record, records) = mpsc::channel(100);
    let (save, saved) = mpsc::channel(100);
    let (seen, late, registrar) = (commands.clone(), center.clone(), center.clone());
    let ports = Ports {
        leg: Arc::new(move |leg, command| {
            assert!(leg.call.number != CURSED, "the edge has a bug");
            if let LegCommand::Dial { target: DialTarget::Device { .. }, .. } = &command {
                late.wait().leg_event(leg, LegEvent::Alerting { early_media: false });
                late.wait().leg_event(leg, LegEvent::Answered);
            }
            seen.lock().unwrap().push_back((leg, command));
        }),
        abandon: Arc::new(|_| {}),
        checkpoint: None,
        awake: Arc::new(|| true),
        announce: Arc::new(move |agent| {
            registrar.wait().reachability(registered(agent, true));
        }),
        record: Arc::new(move |r| record.try_send(r).unwrap()),
        note: Arc::new(|_| {}),
        save: Arc::new(move |agent, availability| {
            assert!(agent.name.as_str() != "cursed", "the store has a bug");
            save.try_send((agent, availability)).unwrap();
        }),
        saved: Arc::new(|_| SavedAvailability::default()),
        elsewhere,
    };
    let started = Center::start(id, Clock::start(), ports, objects(agents), 7).await.unwrap();
    let _ = center.set(started.clone());
    Node { center: started, commands, records, saved }
}

/// What the edge reports of an agent's phone.
fn registered(agent: &AgentId, there: bool) -> Reachability {
    let contact = Contact::new("sip:phone@10.0.0.7", [192, 0, 2, 9].into()).unwrap();
    let contacts = if there { vec![contact] } else { Vec::new() };
    Reachability { agent: agent.clone(), device: 0, edge: NodeId(1), contacts }
}

fn call_id(number: u64) -> CallId {
    CallId { node: NodeId(1), boot: 1, number }
}

fn incoming(number: u64) -> Incoming {
    Incoming {
        call: call_id(number),
        source: Source::Trunk(TrunkId::new(name("default"), name("carrier"))),
        dialled: "+33123456789".to_owned(),
        to_user: "+33123456789".to_owned(),
        caller: CallerId { number: "+48600000000".to_owned(), name: String::new() },
    }
}

/// Asks again until it is so. Every question is answered by an actor, so this waits for messages, not for a time.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

impl Node {
    async fn owns_everything(&self, agents: &[&str], epoch: Epoch, held: Vec<Message>) {
        let everything = agents.iter().map(|who| Owned::Agent(agent_id(who))).chain([Owned::Queue(support())]);
        let titles = everything.map(|owned| (owned, Title::forever(epoch))).collect();
        self.center.own(titles, held).await.unwrap();
    }

    fn phone(&self, who: &str, reachable: bool) {
        self.center.reachability(registered(&agent_id(who), reachable));
    }

    async fn record(&mut self) -> Record {
        tokio::time::timeout(Duration::from_secs(10), self.records.recv()).await.expect("a record").unwrap()
    }

    async fn talking(&self, number: u64) {
        until(&format!("call {number} talks"), async || {
            self.center.call(call_id(number)).await.ok().filter(|v| v.stage == Stage::Talking)
        })
        .await;
    }
}

// spec: UN-7, PL-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_records_the_callbacks_that_wait() {
    let mut node = node(&["anna"]).await;
    node.center.incoming(incoming(1));
    until("waiting", async || node.center.call(call_id(1)).await.ok().filter(|v| v.stage == Stage::Waiting)).await;
    node.center.leg_event(LegId::caller(call_id(1)), LegEvent::Digit('2'));
    node.center.leg_event(LegId::caller(call_id(1)), LegEvent::PlayFinished);
    until("a callback", async || node.center.queue(&support()).await.ok().filter(|v| v.callbacks == 1)).await;
    node.center.hang_up_all().await;
    let record = node.records.try_recv().expect("it is there when all calls have hung up");
    assert_eq!((record.call, record.outcome), (call_id(1), Outcome::Missed));
}

// spec: CL-1, QU-3, PL-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_connected_and_leaves_one_record() {
    let mut node = node(&["anna"]).await;
    node.phone("anna", true);
    node.center.incoming(incoming(1));
    node.talking(1).await;
    let anna = node.center.agent(&agent_id("anna")).await.unwrap();
    assert_eq!((anna.activity, anna.call), (Activity::Talking, Some(call_id(1))));

    node.center.leg_event(LegId::caller(call_id(1)), LegEvent::Ended(Cause::Normal));
    let record = node.record().await;
    assert_eq!((record.outcome, record.agent), (Outcome::Answered, Some(agent_id("anna"))));
    until("anna is idle", async || {
        node.center.agent(&agent_id("anna")).await.ok().filter(|v| v.activity == Activity::Idle)
    })
    .await;
    assert!(node.center.calls().await.is_empty());
    let dialled = node.commands.lock().unwrap().iter().filter(|(_, c)| matches!(c, LegCommand::Dial { .. })).count();
    assert_eq!(dialled, 1);
    assert!(node.records.try_recv().is_err(), "one record per call");
}

// spec: OB-5, UN-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_caller_waits_for_the_only_agent() {
    let mut node = node(&["anna"]).await;
    node.phone("anna", true);
    node.center.incoming(incoming(1));
    node.talking(1).await;
    node.center.incoming(incoming(2));
    until("one waits", async || node.center.queue(&support()).await.ok().filter(|v| v.waiting == 1)).await;
    node.center.leg_event(LegId::caller(call_id(1)), LegEvent::Ended(Cause::Normal));
    node.talking(2).await;
    assert_eq!(node.record().await.call, call_id(1));
}

// spec: SE-6: a bug met by one call ends that call with a record and concerns nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_call_is_recorded_and_the_others_go_on() {
    let mut node = node(&["anna"]).await;
    node.phone("anna", true);
    node.center.incoming(incoming(1));
    node.talking(1).await;
    node.center.incoming(incoming(CURSED));
    let record = node.record().await;
    assert_eq!((record.call, record.outcome), (call_id(CURSED), Outcome::Failed));
    // spec: PL-4: what it had come to by then counts live and in the record.
    assert_eq!((&record.queue, record.wait_ms.is_some()), (&Some(support()), true));
    let queue = Subject::Queue(support());
    let live = node.center.statistics().with(|books| *books.whole().find(|(s, _)| **s == queue).unwrap().1);
    assert_eq!((live.offered, live.answered, live.lost), (2, 1, 1));
    let mut history = Books::default();
    of_record(&Definitions::default(), &record).iter().for_each(|fact| history.post(fact));
    assert_eq!(history.whole().find(|(s, _)| **s == queue).map(|(_, tally)| (tally.offered, tally.lost)), Some((1, 1)));
    assert_eq!(node.center.call(call_id(1)).await.unwrap().stage, Stage::Talking);
}

// spec: CL-1: an owner that fails is replaced, and the new one learns from the registrar who can ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_agent_owner_is_replaced_and_serves_on() {
    let mut node = node(&["cursed"]).await;
    node.phone("cursed", true);
    let answer = node.center.command_agent(&agent_id("cursed"), AgentCommand::Break).await;
    assert!(answer.is_err(), "{answer:?}");
    node.center.incoming(incoming(1));
    node.talking(1).await;
    node.center.hang_up(call_id(1)).await.unwrap();
    assert_eq!(node.record().await.outcome, Outcome::Answered);
}

// spec: PL-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pl_4_the_live_figures_equal_those_of_the_records() {
    let mut node = node(&["anna"]).await;
    node.phone("anna", true);
    node.center.incoming(incoming(1));
    node.talking(1).await;
    node.center.incoming(incoming(2));
    until("one waits", async || node.center.queue(&support()).await.ok().filter(|v| v.waiting == 1)).await;
    let queue = Subject::Queue(support());
    let so_far = node.center.statistics().with(|books| *books.whole().find(|(s, _)| **s == queue).unwrap().1);
    assert_eq!((so_far.offered, so_far.answered, so_far.handled), (2, 1, 0), "calls in progress count");
    node.center.leg_event(LegId::caller(call_id(2)), LegEvent::Ended(Cause::Cancelled));
    node.center.leg_event(LegId::caller(call_id(1)), LegEvent::Ended(Cause::Normal));
    let records = [node.record().await, node.record().await];
    let mut history = Books::default();
    for record in &records {
        of_record(&Definitions::default(), record).iter().for_each(|fact| history.post(fact));
    }
    // The agents' time is counted by itself.
    let calls_only = |tally: &Tally| Tally { handling: 0, idle: 0, wrap_up: 0, ..*tally };
    let sums = |books: &Books| -> Vec<(Subject, Tally)> {
        books.whole().map(|(subject, tally)| (subject.clone(), calls_only(tally))).collect()
    };
    assert_eq!(node.center.statistics().with(sums), sums(&history));
    assert_eq!(sums(&history).len(), 3, "queue, agent and number");
}

// spec: CL-4, PL-4: the edge that has the call now counts all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pl_4_an_edge_does_not_count_a_call_that_another_has() {
    let mut node = idle_node(NodeId(1), &["anna"], Arc::new(|_| {})).await;
    node.owns_everything(&["anna"], Epoch(1 << 32), Vec::new()).await;
    node.phone("anna", true);
    node.center.incoming(incoming(1));
    node.talking(1).await;
    let counted = || node.center.statistics().with(|books| books.whole().map(|(_, it)| it.offered).sum::<u64>());
    assert!(counted() > 0);
    let taken = Taken { call: call_id(1), edge: NodeId(2), moves: 1 };
    assert_eq!(node.center.taken_over(taken), Departure::Left);
    until("nothing is counted", async || (counted() == 0).then_some(())).await;
    assert_eq!(node.center.taken_over(taken), Departure::NoNews);
    let other = Taken { call: call_id(2), ..taken };
    assert_eq!(node.center.taken_over(other), Departure::Ended, "if it ever was");
    let theirs = Taken { call: CallId { node: NodeId(3), ..call_id(3) }, ..taken };
    assert_eq!(node.center.taken_over(theirs), Departure::NotHere);
    assert!(node.records.try_recv().is_err());
}

// spec: CL-3, CL-4: it has slept, and says what its calls held before it hears who has them.
#[tokio::test]
async fn cl_3_an_edge_does_not_speak_for_calls_that_another_has() {
    let node = idle_node(NodeId(3), &["anna"], Arc::new(|_| {})).await;
    node.center.taken_over(Taken { call: call_id(1), edge: NodeId(2), moves: 1 });
    let says = |number: u64| {
        let (call, anna) = (call_id(number), agent_id("anna"));
        let reservation = agent::ReservationId { call, n: 1 };
        [
            Message::Agent(anna.clone(), agent::Event::Reserve { reservation, purpose: agent::Purpose::Own }),
            Message::Agent(anna.clone(), agent::Event::Connected { reservation, queue: None }),
            Message::Agent(anna, agent::Event::Release { reservation, why: agent::Released::Ended }),
            Message::Queue(support(), queue::Event::Leave { call, why: queue::Left::Abandoned }),
        ]
    };
    assert!(says(1).iter().all(|message| !node.center.heeds(NodeId(1), message)));
    assert_eq!(node.center.refused().former_edges, 4);
    let reachable = agent::Event::Reachable { device: 0, edge: NodeId(1), contacts: Vec::new() };
    assert!(node.center.heeds(NodeId(1), &Message::Agent(agent_id("anna"), reachable)), "the phones are its own");
    assert!(says(2).iter().all(|message| node.center.heeds(NodeId(1), message)));
    assert!(says(1).iter().all(|message| node.center.heeds(NodeId(2), message)));
    assert_eq!(node.center.refused().former_edges, 4);
}

/// Two nodes, each of which hands the other what is not its own. The first takes the calls.
async fn two_nodes(agents: &[&str]) -> (Node, Node) {
    let centers: [Arc<OnceLock<Center>>; 2] = Default::default();
    let to = |center: &Arc<OnceLock<Center>>| -> Arc<dyn Fn(Message) + Send + Sync> {
        let center = center.clone();
        // What nobody owns is lost.
        Arc::new(move |message| drop(center.wait().deliver(message)))
    };
    let one = idle_node(NodeId(1), agents, to(&centers[1])).await;
    let two = idle_node(NodeId(2), agents, to(&centers[0])).await;
    let _ = centers[0].set(one.center.clone());
    let _ = centers[1].set(two.center.clone());
    (one, two)
}

// spec: CL-1, CL-2, CL-4, QU-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cl_4_a_new_owner_on_another_node_hears_who_waits_and_who_talks() {
    let (mut one, two) = two_nodes(&["anna"]).await;
    two.owns_everything(&["anna"], Epoch(10), Vec::new()).await;
    // She has registered at the node that owns nothing.
    one.phone("anna", true);
    one.center.incoming(incoming(1));
    one.talking(1).await;
    one.center.incoming(incoming(2));
    until("one waits", async || two.center.queue(&support()).await.ok().filter(|v| v.waiting == 1)).await;
    one.center.incoming(incoming(3));
    until("two wait", async || two.center.queue(&support()).await.ok().filter(|v| v.waiting == 2)).await;

    // Their owner's node dies; the first takes over.
    two.center.disown(vec![Owned::Queue(support()), Owned::Agent(agent_id("anna"))]).await.unwrap();
    let mut held = one.center.held(|_| Some(Epoch(20))).await;
    let Reachability { agent, device, edge, contacts } = registered(&agent_id("anna"), true);
    held.push(Message::Agent(agent, agent::Event::Reachable { device, edge, contacts }));
    one.owns_everything(&["anna"], Epoch(20), held).await;
    let anna = one.center.agent(&agent_id("anna")).await.unwrap();
    assert_eq!((anna.activity, anna.call), (Activity::Talking, Some(call_id(1))), "she is not given to anybody else");
    assert_eq!(one.center.queue(&support()).await.unwrap().waiting, 2);

    one.center.leg_event(LegId::caller(call_id(1)), LegEvent::Ended(Cause::Normal));
    one.talking(2).await;
    assert_eq!(one.center.call(call_id(3)).await.unwrap().stage, Stage::Waiting, "who came first is served first");
    assert_eq!(one.record().await.call, call_id(1));
}

// spec: CL-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cl_5_an_owner_whose_title_is_over_is_silent() {
    let (one, two) = two_nodes(&["anna"]).await;
    let may = Arc::new(AtomicBool::new(true));
    let everything = [Owned::Queue(support()), Owned::Agent(agent_id("anna"))];
    let titles = everything.map(|owned| (owned, title_while(&may))).into();
    two.center.own(titles, Vec::new()).await.unwrap();
    one.phone("anna", true);
    until("she is free", async || two.center.queue(&support()).await.ok().filter(|v| v.free == 1)).await;
    may.store(false, Ordering::SeqCst);
    one.center.incoming(incoming(1));
    until("it waits", async || one.center.call(call_id(1)).await.ok().filter(|v| v.stage == Stage::Waiting)).await;
    let refused = two.center.command_agent(&agent_id("anna"), AgentCommand::Break).await;
    assert!(refused.is_err(), "{refused:?}");
    let rings = two.center.rings(&support(), &agent_id("anna"), None).await;
    assert!(matches!(rings, Err(CenterError::NotFound { .. })), "nobody answers for the queue: {rings:?}");
    assert_eq!(two.center.queue(&support()).await.unwrap().waiting, 0);
}

// spec: TR-5, CL-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tr_5_an_agent_logs_in_to_a_queue_whose_owner_is_on_another_node() {
    let (one, two) = two_nodes(&["anna"]).await;
    let title = |owned| vec![(owned, Title::forever(Epoch(10)))];
    one.center.own(title(Owned::Agent(agent_id("anna"))), Vec::new()).await.unwrap();
    two.center.own(title(Owned::Queue(support())), Vec::new()).await.unwrap();
    let anna = one.center.command_agent(&agent_id("anna"), AgentCommand::QueueLogOut(support())).await.unwrap();
    assert!(anna.queues.iter().all(|(_, logged_in)| !logged_in), "{anna:?}");
    let misspelled = AgentCommand::QueueLogIn(QueueId::new(name("default"), name("suport")));
    let refused = one.center.command_agent(&agent_id("anna"), misspelled).await;
    let Err(CenterError::NotFound { what, nearest }) = &refused else { panic!("{refused:?}") };
    assert!(what.ends_with("queues/suport") && *nearest == [support().to_string()], "{refused:?}");
}

/// A title that holds as long as `may` says so.
fn title_while(may: &Arc<AtomicBool>) -> Title {
    let may = may.clone();
    Title::while_it_holds(Epoch(10), Arc::new(move || may.load(Ordering::SeqCst)))
}

// spec: PL-4: a quarter of an hour is not lost when another node becomes the owner, or this one stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pl_4_an_owner_that_ends_has_counted_what_its_agent_did() {
    let anna = Subject::Agent(agent_id("anna"));
    let spent = |node: &Node| {
        let find = |books: &Books| books.whole().find(|(subject, _)| **subject == anna).map(|(_, sum)| sum.idle);
        node.center.statistics().with(find).unwrap_or_default()
    };
    let node = node(&["anna"]).await;
    node.phone("anna", true);
    let ready = async || node.center.agent(&agent_id("anna")).await.ok().filter(|it| it.reachable_devices > 0);
    until("she is ready", ready).await;
    let before = spent(&node);
    node.center.disown(node.center.owned()).await.unwrap();
    assert!(spent(&node) > before, "{before}");
    assert!(node.center.owned().is_empty());
}

// spec: TR-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_saved_and_keeps_callers_waiting() {
    let mut node = node(&["anna"]).await;
    node.phone("anna", true);
    let view = node.center.command_agent(&agent_id("anna"), AgentCommand::Break).await.unwrap();
    assert_eq!(view.availability, Availability::OnBreak);
    let (who, saved) = tokio::time::timeout(Duration::from_secs(10), node.saved.recv()).await.unwrap().unwrap();
    assert_eq!((who, saved.availability), (agent_id("anna"), Availability::OnBreak));
    node.center.incoming(incoming(1));
    until("one waits", async || node.center.queue(&support()).await.ok().filter(|v| v.waiting == 1)).await;
    node.center.command_agent(&agent_id("anna"), AgentCommand::Ready).await.unwrap();
    node.talking(1).await;
}

#[tokio::test]
async fn a_wrong_name_is_answered_with_near_ones() {
    let node = node(&["anna", "piotr"]).await;
    let asked = node.center.agent(&agent_id("ana")).await;
    let Err(CenterError::NotFound { nearest, .. }) = asked else { panic!("{asked:?}") };
    assert_eq!(nearest, ["tenants/default/agents/anna"]);
    let refused = node.center.command_agent(&agent_id("anna"), AgentCommand::EndWrapUp).await;
    assert!(matches!(refused, Err(CenterError::Refused(_))), "{refused:?}");
}

// spec: CL-4
#[tokio::test]
async fn cl_4_a_thousand_owners_that_start_let_others_have_their_turn() {
    let names: Vec<String> = (0..2_000).map(|n| format!("a{n}")).collect();
    let agents: Vec<&str> = names.iter().map(String::as_str).collect();
    let node = idle_node(NodeId(1), &agents, Arc::new(|_| {})).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    node.owns_everything(&agents, Epoch(1), Vec::new()).await;
    let turns = turns.load(Ordering::SeqCst);
    assert!(turns >= 20, "one in a hundred owners, not {turns} in all");
    other.abort();
    assert_eq!(node.center.agents().await.len(), 2_000);
}

#[tokio::test]
async fn a_page_of_agents_is_the_first_of_those_that_are_wanted() {
    let node = node(&["eva", "anna", "ivan", "piotr", "maria"]).await;
    let page = node.center.agents_among(|agent| *agent > agent_id("anna"), 2).await;
    let names: Vec<&str> = page.iter().map(|view| view.agent.name.as_str()).collect();
    assert_eq!(names, ["eva", "ivan"]);
}

// spec: CL-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cl_4_a_new_owner_of_a_queue_hears_at_once_who_is_free() {
    let (one, two) = two_nodes(&["anna"]).await;
    let owned = |owned, epoch| vec![(owned, Title::forever(Epoch(epoch)))];
    two.center.own(owned(Owned::Queue(support()), 10), Vec::new()).await.unwrap();
    one.center.own(owned(Owned::Agent(agent_id("anna")), 10), Vec::new()).await.unwrap();
    one.phone("anna", true);
    until("she is free", async || two.center.queue(&support()).await.ok().filter(|v| v.free == 1)).await;

    two.center.disown(vec![Owned::Queue(support())]).await.unwrap();
    let held = one.center.held(|owned| matches!(owned, Owned::Queue(_)).then_some(Epoch(20))).await;
    assert_eq!(held.len(), 1, "{held:?}");
    one.center.own(owned(Owned::Queue(support()), 20), held).await.unwrap();
    assert_eq!(one.center.queue(&support()).await.unwrap().free, 1);
}

// spec: CL-5
#[tokio::test(start_paused = true)]
async fn cl_5_owners_whose_title_is_over_do_not_keep_the_node_busy() {
    let node = idle_node(NodeId(1), &["anna"], Arc::new(|_| {})).await;
    let may = Arc::new(AtomicBool::new(true));
    let everything = [Owned::Queue(support()), Owned::Agent(agent_id("anna"))];
    let titles = everything.map(|owned| (owned, title_while(&may))).into();
    node.center.own(titles, Vec::new()).await.unwrap();
    may.store(false, Ordering::SeqCst);
    // Both want to repeat themselves or to give somebody up meanwhile.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let woken = node.center.refused().without_title;
    assert!((1..=2 * 60 * 4).contains(&woken), "woken {woken} times");
    may.store(true, Ordering::SeqCst);
    node.phone("anna", true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.center.queue(&support()).await.unwrap().free, 1, "they may act again, and do");
}

/// A call that waits at another node, as that one has let it be known.
fn waiting_elsewhere(number: u64) -> call::Checkpoint {
    let now = Now { mono: Moment::at(Duration::from_secs(100)), wall: WallTime(0) };
    let routing = Arc::new(objects(&["anna"]).routing);
    let (mut machine, mut out) = (call::Call::new(now, incoming(number), routing, Arc::default()), Vec::new());
    machine.handle(now, call::Event::Start, &mut out);
    machine.handle(now, placed(), &mut out);
    machine.checkpoint(now).unwrap()
}

fn placed() -> call::Event {
    let sequence = Sequence { epoch: Epoch(1), counter: 1 };
    call::Event::Queue(support(), call::FromQueue::Enqueued { sequence })
}

// spec: CL-3, CL-4: the owner of its queue speaks to it at the moment at which it is taken over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cl_3_a_call_that_is_being_taken_over_is_never_answered_for_as_gone() {
    const CALLS: u64 = 300;
    let gone = Arc::new(AtomicUsize::new(0));
    let counted = gone.clone();
    let elsewhere = Arc::new(move |message| {
        if matches!(message, Message::Queue(_, queue::Event::Leave { .. })) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let heir = idle_node(NodeId(2), &["anna"], elsewhere).await;
    let checkpoints: Vec<call::Checkpoint> = (1..=CALLS).map(waiting_elsewhere).collect();
    let center = heir.center.clone();
    let owner = std::thread::spawn(move || {
        for number in 1..=CALLS {
            while center.deliver(Message::Call(call_id(number), placed())).is_err() {
                std::hint::spin_loop();
            }
        }
    });
    for checkpoint in &checkpoints {
        let (age, images) = (Duration::ZERO, HashMap::new());
        let inheritance = call::Inheritance { from: NodeId(1), to: NodeId(2), planned: false, age, images };
        assert!(heir.center.resume(checkpoint, inheritance));
    }
    owner.join().unwrap();
    assert_eq!(gone.load(Ordering::SeqCst), 0, "queues believe that these callers have left");
}
