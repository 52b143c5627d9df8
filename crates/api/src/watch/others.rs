//! What other nodes show: one stream from each of them while somebody watches here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carillon_acd::ids::{AgentId, NodeId, QueueId};
use carillon_actors::Center;
use carillon_rpc::v1::watch_service_client::WatchServiceClient;
use carillon_rpc::{names, v1};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;

use super::snapshot::{Seen, Snapshot};
use crate::cluster::Other;
use crate::elsewhere::{self, Elsewhere, forwarded};

/// How long the first picture waits for the others' part of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait before a node that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// The streams from all other nodes that may own something.
pub(super) struct Others {
    elsewhere: Elsewhere,
    streams: BTreeMap<NodeId, Stream>,
}

struct Stream {
    /// Of the node.
    run: u32,
    part: Arc<Mutex<Part>>,
    /// Whether it has been heard, or has failed.
    settled: watch::Receiver<bool>,
    /// Ends with this.
    _task: JoinSet<()>,
}

/// What one node has shown.
#[derive(Debug, Default)]
struct Part {
    queues: BTreeMap<QueueId, Seen<v1::Queue>>,
    agents: BTreeMap<AgentId, Seen<v1::Agent>>,
    /// Whether its stream is open, and the picture whole.
    answers: bool,
}

impl Others {
    pub(super) fn new(elsewhere: Elsewhere) -> Self {
        Others { elsewhere, streams: BTreeMap::new() }
    }

    /// Nobody watches any more.
    pub(super) fn rest(&mut self) {
        self.streams.clear();
    }

    /// Adds to what this node owns what the others own. What two of them show is as it was shown last.
    pub(super) async fn added(&mut self, center: &Center) -> Snapshot {
        self.follow(self.elsewhere.all_others(|it| it.acd));
        let all = async {
            for stream in self.streams.values_mut() {
                // Its task ends only with it.
                let _ = stream.settled.wait_for(|settled| *settled).await;
            }
        };
        // Who takes longer is missing in this picture, and in the next if it takes longer still.
        let _ = tokio::time::timeout(PATIENCE, all).await;
        let mut snapshot = Snapshot::take(center).await;
        for (node, stream) in &self.streams {
            let part = locked(&stream.part);
            snapshot.add(&part.queues, &part.agents);
            if !part.answers {
                snapshot.missing.insert(*node);
            }
        }
        snapshot
    }

    /// Opens streams from those that are new, and forgets those that are gone.
    fn follow(&mut self, others: Vec<Other>) {
        let known: BTreeSet<(NodeId, u32)> = others.iter().map(|it| (it.node, it.run)).collect();
        self.streams.retain(|node, stream| known.contains(&(*node, stream.run)));
        for other in others {
            self.streams.entry(other.node).or_insert_with(|| Stream::open(other));
        }
    }
}

impl Stream {
    fn open(Other { node, run, api, .. }: Other) -> Self {
        let part = Arc::<Mutex<Part>>::default();
        let (settle, settled) = watch::channel(api.is_none());
        let mut task = JoinSet::new();
        if let Some(api) = api {
            task.spawn(listen(node, api, part.clone(), settle));
        }
        Stream { run, part, settled, _task: task }
    }
}

/// Listens to a node for as long as it is wanted.
async fn listen(node: NodeId, api: Channel, part: Arc<Mutex<Part>>, settle: watch::Sender<bool>) {
    loop {
        let Err(status) = listen_once(&api, &part, &settle).await;
        if std::mem::take(&mut locked(&part).answers) || !*settle.borrow() {
            tracing::warn!(node = node.0, %status, "another node's part of the live view is missing");
        }
        settle.send_replace(true);
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen_once(
    api: &Channel,
    part: &Mutex<Part>,
    settle: &watch::Sender<bool>,
) -> Result<std::convert::Infallible, Status> {
    let client = WatchServiceClient::new(api.clone());
    let mut client = client.max_decoding_message_size(elsewhere::MOST_BYTES);
    let request = forwarded(v1::WatchRequest { parent: "tenants/-".to_owned() });
    let mut updates = client.watch(request).await?.into_inner();
    // The first update is everything. Until it is complete what was shown before stands.
    let mut whole = Part::default();
    loop {
        let message = updates.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))?;
        let complete = message.complete;
        let mut shown = locked(part);
        if shown.answers {
            shown.take(message, Instant::now());
        } else {
            whole.take(message, Instant::now());
            if complete {
                *shown = Part { answers: true, ..std::mem::take(&mut whole) };
                settle.send_replace(true);
            }
        }
    }
}

impl Part {
    /// What a newer version names in another way is left out.
    fn take(&mut self, message: v1::WatchResponse, at: Instant) {
        for object in message.queues {
            if let Ok(queue) = names::queue(&object.name) {
                self.queues.insert(queue, Seen { at, object });
            }
        }
        for object in message.agents {
            if let Ok(agent) = names::agent(&object.name) {
                self.agents.insert(agent, Seen { at, object });
            }
        }
        for name in message.removed {
            if let Ok(queue) = names::queue(&name) {
                self.queues.remove(&queue);
            }
            if let Ok(agent) = names::agent(&name) {
                self.agents.remove(&agent);
            }
        }
    }
}

fn locked(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use carillon_rpc::names::Parent;

    use super::*;

    fn agent(name: &str, handled_count: u64) -> v1::Agent {
        v1::Agent { name: format!("tenants/default/agents/{name}"), handled_count, ..Default::default() }
    }

    fn of(agents: Vec<v1::Agent>) -> v1::WatchResponse {
        v1::WatchResponse { agents, ..Default::default() }
    }

    fn shown(snapshot: &Snapshot) -> Vec<(String, u64)> {
        let messages = snapshot.since(None, &Parent::Everybody, Instant::now());
        messages.into_iter().flat_map(|it| it.agents).map(|it| (it.name, it.handled_count)).collect()
    }

    #[test]
    fn what_was_shown_last_counts_and_what_is_removed_is_gone() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let (mut before, mut after) = (Part::default(), Part::default());
        before.take(of(vec![agent("anna", 1), agent("ivan", 1), agent("zoe", 1)]), start);
        after.take(of(vec![agent("anna", 2)]), later);
        let gone = vec!["tenants/default/agents/zoe".to_owned()];
        before.take(v1::WatchResponse { removed: gone, ..Default::default() }, later);
        let expected = [("tenants/default/agents/anna".to_owned(), 2), ("tenants/default/agents/ivan".to_owned(), 1)];
        for parts in [[&before, &after], [&after, &before]] {
            let mut snapshot = Snapshot::default();
            parts.iter().for_each(|part| snapshot.add(&part.queues, &part.agents));
            assert_eq!(shown(&snapshot), expected);
        }
    }

    #[tokio::test]
    async fn who_cannot_be_reached_is_missing_at_once() {
        let api = Some(tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy());
        let other = |node, api| Other { node: NodeId(node), run: 1, edge: true, acd: true, api };
        let mut others = Others::new(Elsewhere::new(None));
        others.follow(vec![other(2, api), other(3, None)]);
        for stream in others.streams.values_mut() {
            stream.settled.wait_for(|settled| *settled).await.unwrap();
            assert!(!locked(&stream.part).answers);
        }
        others.follow(vec![other(3, None)]);
        assert_eq!(others.streams.keys().copied().collect::<Vec<_>>(), [NodeId(3)]);
    }

    #[tokio::test]
    async fn a_node_that_runs_anew_is_listened_to_where_it_is_now() {
        let other = |run| Other { node: NodeId(2), run, edge: true, acd: true, api: None };
        let mut others = Others::new(Elsewhere::new(None));
        others.follow(vec![other(1)]);
        locked(&others.streams[&NodeId(2)].part).answers = true;
        others.follow(vec![other(1)]);
        assert!(locked(&others.streams[&NodeId(2)].part).answers, "it is the same");
        others.follow(vec![other(2)]);
        assert!(!locked(&others.streams[&NodeId(2)].part).answers);
    }
}
