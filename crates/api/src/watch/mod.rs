//! The service of the live view. One task samples the center for all who watch, and rests while nobody does; each
//! stream compares what it sent last with the newest sample, so a slow client skips samples and never queues them.

mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use carillon_actors::Center;
use carillon_rpc::names::{self, Parent};
use carillon_rpc::v1::watch_service_server::WatchService;
use carillon_rpc::{Refusal, v1};
use tokio::sync::mpsc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use snapshot::Snapshot;

/// How often the center is sampled.
const PERIOD: Duration = Duration::from_secs(1);
/// How many may watch at once.
const PLACES: usize = 64;
/// Messages that wait for a slow client.
const BACKLOG: usize = 4;
/// How long a client may take no message before its stream is dropped.
const PATIENCE: Duration = Duration::from_secs(30);

/// Samples the center while somebody watches, until it is aborted; the streams end then.
pub(crate) struct Sampler {
    center: Center,
    places: Arc<Semaphore>,
    newest: watch::Sender<Arc<Snapshot>>,
}

pub(crate) struct Watch {
    center: Center,
    places: Arc<Semaphore>,
    newest: watch::Receiver<Arc<Snapshot>>,
}

/// The service and the task that feeds it.
pub(crate) fn new(center: Center) -> (Watch, Sampler) {
    let places = Arc::new(Semaphore::new(PLACES));
    let (sender, newest) = watch::channel(Arc::default());
    let sampler = Sampler { center: center.clone(), places: places.clone(), newest: sender };
    (Watch { center, places, newest }, sampler)
}

impl Sampler {
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.places.available_permits() < PLACES {
                self.newest.send_replace(Arc::new(Snapshot::take(&self.center).await));
            }
        }
    }
}

#[tonic::async_trait]
impl WatchService for Watch {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let parent = names::parent(&request.get_ref().parent).map_err(|error| Refusal::name("parent", error))?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Refusal::Exhausted(format!("{PLACES} clients watch already, which is the limit; try again later"))
        })?;
        let mut newest = self.newest.clone();
        newest.mark_unchanged();
        let (client, stream) = mpsc::channel(BACKLOG);
        let viewer = Viewer { parent, newest, client, _place: place };
        tokio::spawn(viewer.run(self.center.clone()));
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
    async fn run(mut self, center: Center) {
        let mut sent = Arc::new(Snapshot::take(&center).await);
        let mut update = sent.since(None, &self.parent);
        loop {
            for message in update {
                if self.client.send_timeout(Ok(message), PATIENCE).await.is_err() {
                    return;
                }
            }
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
            update = newest.since(Some(&sent), &self.parent);
            sent = newest;
        }
    }
}
