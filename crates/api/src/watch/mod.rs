//! The service of the live view. One task samples the center for all who watch, and rests while nobody does; each
//! stream compares what it sent last with the newest sample, so a slow client skips samples and never queues them. Clients see
//! all nodes, other nodes what is owned here.

mod others;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use carillon_actors::Center;
use carillon_rpc::names::{self, Parent};
use carillon_rpc::v1::watch_service_server::WatchService;
use carillon_rpc::{Refusal, v1};
use tokio::sync::mpsc;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::elsewhere::Elsewhere;
use others::Others;
use snapshot::Snapshot;

/// How often the center is sampled.
const PERIOD: Duration = Duration::from_secs(1);
/// How many clients may watch at once, and how many other nodes.
const PLACES: usize = 64;
/// Messages that wait for a slow client.
const BACKLOG: usize = 4;
/// How long a client may take no message before its stream is dropped.
const PATIENCE: Duration = Duration::from_secs(30);

/// Samples the center while somebody watches, until it is aborted; the streams end then.
pub(crate) struct Sampler {
    center: Center,
    others: Others,
    clients: Stage,
    nodes: Stage,
}

pub(crate) struct Watch {
    elsewhere: Elsewhere,
    clients: Hall,
    nodes: Hall,
}

/// Where samples are shown.
struct Stage {
    places: Arc<Semaphore>,
    wanted: Arc<Notify>,
    newest: watch::Sender<Arc<Snapshot>>,
}

/// Where they are looked at.
struct Hall {
    places: Arc<Semaphore>,
    wanted: Arc<Notify>,
    newest: watch::Receiver<Arc<Snapshot>>,
}

impl Stage {
    fn new() -> (Stage, Hall) {
        let (places, wanted) = (Arc::new(Semaphore::new(PLACES)), Arc::new(Notify::new()));
        let (sender, newest) = watch::channel(Arc::default());
        let hall = Hall { places: places.clone(), wanted: wanted.clone(), newest };
        (Stage { places, wanted, newest: sender }, hall)
    }

    /// Until a sample is due. Who comes anew is not kept waiting. `false`: nobody looks.
    async fn due(&self, ticks: &mut Interval) -> bool {
        tokio::select! {
            _ = ticks.tick() => {}
            () = self.wanted.notified() => {}
        }
        self.places.available_permits() < PLACES
    }

    fn show(&self, snapshot: Snapshot) {
        self.newest.send_replace(Arc::new(snapshot));
    }
}

/// The service and the task that feeds it.
pub(crate) fn new(center: Center, elsewhere: Elsewhere) -> (Watch, Sampler) {
    let ((clients, client_hall), (nodes, node_hall)) = (Stage::new(), Stage::new());
    let sampler = Sampler { center, others: Others::new(elsewhere.clone()), clients, nodes };
    (Watch { elsewhere, clients: client_hall, nodes: node_hall }, sampler)
}

impl Sampler {
    /// The two do not wait for each other: two nodes may wait for each other's first picture.
    pub(crate) async fn run(self) {
        let Sampler { center, mut others, clients, nodes } = self;
        let own = async {
            let mut ticks = ticks();
            loop {
                if nodes.due(&mut ticks).await {
                    nodes.show(Snapshot::take(&center).await);
                }
            }
        };
        let all = async {
            let mut ticks = ticks();
            loop {
                if clients.due(&mut ticks).await {
                    clients.show(others.added(&center).await);
                } else {
                    others.rest();
                }
            }
        };
        let ((), ()) = tokio::join!(own, all);
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[tonic::async_trait]
impl WatchService for Watch {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let parent = names::parent(&request.get_ref().parent).map_err(|error| Refusal::name("parent", error))?;
        let hall = if self.elsewhere.is_forwarded(&request) { &self.nodes } else { &self.clients };
        let place = hall.places.clone().try_acquire_owned().map_err(|_| {
            Refusal::Exhausted(format!("{PLACES} clients watch already, which is the limit; try again later"))
        })?;
        let mut newest = hall.newest.clone();
        newest.mark_unchanged();
        hall.wanted.notify_one();
        let (client, stream) = mpsc::channel(BACKLOG);
        let viewer = Viewer { parent, newest, client, _place: place };
        tokio::spawn(viewer.run());
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// One stream.
struct Viewer {
    parent: Parent,
    newest: watch::Receiver<Arc<Snapshot>>,
    client: mpsc::Sender<Result<v1::WatchResponse, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    async fn run(mut self) {
        let mut sent: Option<Arc<Snapshot>> = None;
        loop {
            tokio::select! {
                () = self.client.closed() => return,
                changed = self.newest.changed() => if changed.is_err() {
                    let stopping = Status::unavailable("the server stops");
                    // A client with a full backlog learns it from the closed connection.
                    let _ = self.client.try_send(Err(stopping));
                    return;
                },
            }
            let newest = self.newest.borrow_and_update().clone();
            for message in newest.since(sent.as_deref(), &self.parent, Instant::now()) {
                if self.client.send_timeout(Ok(message), PATIENCE).await.is_err() {
                    return;
                }
            }
            sent = Some(newest);
        }
    }
}
