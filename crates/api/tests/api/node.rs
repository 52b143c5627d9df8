//! A node without an edge: the real center and store behind the real API on a loopback socket.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_acd::agent::{DeviceKind, Membership, SavedAvailability};
use carillon_acd::ids::{AgentId, CallId, Epoch, Name, NodeId, NumberId, QueueId, TrunkId};
use carillon_acd::leg::{CallerId, Contact, Incoming, Reachability, Source};
use carillon_acd::stats::Definitions;
use carillon_acd::{agent, call, queue, route};
use carillon_actors::{Center, Clock, InProgress, Objects, Owned, Ports, Title};
use carillon_api::{ApiError, InForce, Vitals};
use carillon_rpc::v1;
use carillon_rpc::v1::agent_service_client::AgentServiceClient;
use carillon_store::Store;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::config::InMemory;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The agents of the center, in order of name.
pub(crate) const AGENTS: [&str; 3] = ["anna", "ivan", "piotr"];

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) center: Center,
    pub(crate) store: Store,
    pub(crate) channel: Channel,
    pub(crate) vitals: Arc<Mood>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ApiError>>,
}

impl Node {
    pub(crate) async fn start() -> Node {
        Node::configured_by(InMemory::default()).await
    }

    pub(crate) async fn configured_by(configuration: InMemory) -> Node {
        let store = Store::open(None).await.unwrap();
        let (writer, notes) = (store.writer(), store.writer());
        let ports = Ports {
            leg: Arc::new(|_, _| {}),
            abandon: Arc::new(|_| {}),
            checkpoint: None,
            awake: Arc::new(|| true),
            announce: Arc::new(|_| {}),
            record: Arc::new(move |record| writer.try_write(record).unwrap()),
            note: Arc::new(move |period| notes.try_note(period).unwrap()),
            save: Arc::new(|_, _| {}),
            saved: Arc::new(|_| SavedAvailability::default()),
            elsewhere: Arc::new(|message| panic!("for another node: {message:?}")),
        };
        let center = Center::start(NodeId(1), Clock::start(), ports, objects(), 7).await.unwrap();
        let everything = ["sales", "support"].map(|queue| Owned::Queue(queue_id(queue))).into_iter();
        let everything = everything.chain(AGENTS.map(|who| Owned::Agent(AgentId::new(name("default"), name(who)))));
        let titles = everything.map(|owned| (owned, Title::forever(Epoch(1 << 32)))).collect();
        center.own(titles, Vec::new()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let vitals = Arc::new(Mood::default());
        let shutdown = async move { stopped.await.unwrap_or_default() };
        let (configuration, vitality) = (Arc::new(configuration), vitals.clone());
        let (served_center, served_store) = (center.clone(), store.clone());
        let served =
            carillon_api::serve(listener, served_center, served_store, None, vitality, configuration, shutdown);
        let served = tokio::spawn(served);
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let node = Node { address, center, store, channel, vitals, stop, served };
        until("every owner has started", async || {
            let counted = (node.center.agents().await.len(), node.center.queues().await.len());
            (counted == (AGENTS.len(), 2)).then_some(())
        })
        .await;
        node
    }

    pub(crate) fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn agent(&self, name: &str) -> v1::Agent {
        let request = v1::GetAgentRequest { name: agent_name(name) };
        self.agents().get_agent(request).await.unwrap().into_inner().agent.unwrap()
    }

    /// An agent's phone can ring from now on.
    pub(crate) fn plug_in(&self, name: &str) {
        let contact = Contact::new("sip:phone@10.0.0.7", [192, 0, 2, 9].into()).unwrap();
        let (agent, edge) = (agent_id(name), NodeId(1));
        self.center.reachability(Reachability { agent, device: 0, edge, contacts: vec![contact] });
    }

    /// Stops the API and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.served).await.expect("the api stops").unwrap().unwrap();
    }
}

/// How the node says it is.
#[derive(Default)]
pub(crate) struct Mood {
    obstacles: Mutex<Vec<String>>,
    refused: Mutex<Option<Arc<str>>>,
}

impl Mood {
    pub(crate) fn refuses(&self, why: &str) {
        *self.refused.lock().unwrap() = Some(why.into());
    }

    pub(crate) fn becomes(&self, obstacles: &[&str]) {
        *self.obstacles.lock().unwrap() = obstacles.iter().map(ToString::to_string).collect();
    }
}

#[tonic::async_trait]
impl Vitals for Mood {
    fn obstacles(&self) -> Vec<String> {
        self.obstacles.lock().unwrap().clone()
    }

    fn in_progress(&self) -> InProgress {
        InProgress::default()
    }

    fn in_force(&self) -> InForce {
        let refused = self.refused.lock().unwrap().clone();
        InForce { begun: true, seen: 3, used: if refused.is_some() { 2 } else { 3 }, refused }
    }

    async fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}

pub(crate) fn agent_name(name: &str) -> String {
    format!("tenants/default/agents/{name}")
}

pub(crate) fn queue_name(name: &str) -> String {
    format!("tenants/default/queues/{name}")
}

pub(crate) fn call_id(number: u64) -> CallId {
    CallId { node: NodeId(1), boot: 0x6a0f_3c21, number }
}

/// A call to the number of the queue `support`.
pub(crate) fn incoming(number: u64) -> Incoming {
    Incoming {
        call: call_id(number),
        source: Source::Trunk(TrunkId::new(name("default"), name("carrier"))),
        dialled: "+33123456789".to_owned(),
        to_user: "+33123456789".to_owned(),
        caller: CallerId { number: "+48600000000".to_owned(), name: String::new() },
    }
}

/// Asks again until it is so.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// The next message, or the error that ended the stream.
pub(crate) async fn next<T>(stream: &mut tonic::Streaming<T>) -> Result<Option<T>, tonic::Status> {
    tokio::time::timeout(PATIENCE, stream.message()).await.expect("a message")
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn agent_id(text: &str) -> AgentId {
    AgentId::new(name("default"), name(text))
}

fn queue_id(text: &str) -> QueueId {
    QueueId::new(name("default"), name(text))
}

/// Three agents without a phone, who serve both queues; a number that leads to `support`.
fn objects() -> Objects {
    let number = route::NumberRoute::new(
        NumberId::new(name("default"), name("main")),
        "+33123456789".parse().unwrap(),
        TrunkId::new(name("default"), name("carrier")),
        route::Target::Queue(queue_id("support")),
    );
    let waiting = |which: &str| route::QueueRoute {
        pickup: if which == "support" { AGENTS.map(agent_id).to_vec() } else { Vec::new() },
        waiting_sound: route::WaitingSound::Music,
        ..route::QueueRoute::new(queue_id(which))
    };
    let queues = vec![waiting("sales"), waiting("support")];
    let tables = route::Tables { numbers: vec![number], queues, ..Default::default() };
    let membership = |which| Membership::new(queue_id(which));
    let agent = |who: &str| {
        let config = agent::Config {
            display_name: who.to_uppercase(),
            extension: None,
            devices: vec![DeviceKind::Hardware],
            queues: vec![membership("sales"), membership("support")],
        };
        (agent_id(who), config)
    };
    let queue = |which: &str| {
        let config = queue::Config {
            display_name: format!("the queue {which}"),
            extension: Some("201".parse().unwrap()),
            agents: AGENTS.map(agent_id).to_vec(),
            strategy: queue::Strategy::LongestIdle,
            ring_for: Duration::from_secs(20),
            unanswered: queue::Unanswered::Wait,
            max_wait: None,
            timeout: queue::Timeout::default(),
            max_waiting: 100,
            pickup: which == "support",
            ..queue::Config::default()
        };
        (queue_id(which), config)
    };
    Objects {
        routing: route::Routing::new(tables).unwrap(),
        agents: AGENTS.map(agent).to_vec(),
        queues: vec![queue("sales"), queue("support")],
        calls: call::Config::default(),
        definitions: Definitions::default(),
    }
}
