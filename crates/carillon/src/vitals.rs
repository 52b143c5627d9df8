//! How this node is: whether it is ready for calls, and its metrics. It is asked from the first moment of the process on,
//! when most of the node is not there yet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use carillon_actors::{Center, InProgress};
use carillon_api::{Configuration as _, InForce, Vitals as _};
use carillon_cluster::node::Status;
use carillon_edge::Edge;
use carillon_store::RecordWriter;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::cluster::Membership;
use crate::configuration::Settings;
use crate::metrics::{self, Member, Sources};

/// A scrape that is so young is given again: whoever scrapes too often costs the calls nothing.
const FRESH: Duration = Duration::from_secs(1);

const UNCONFIGURED: &str = "no configuration yet: `carillon apply -f DIR|FILE` gives it one";

/// What there is to ask once the node has started.
pub(crate) struct Parts {
    pub(crate) center: Center,
    pub(crate) edge: Option<Edge>,
    pub(crate) writer: RecordWriter,
    pub(crate) membership: Option<Membership>,
    pub(crate) settings: Settings,
    /// Whether it may own queues and agents.
    pub(crate) acd: bool,
}

/// See the module's description.
#[derive(Default)]
pub(crate) struct Vitals {
    parts: OnceLock<Parts>,
    ending: AtomicBool,
    /// The last scrape, and when it was begun. Who asks meanwhile waits for it and gets the same.
    scraped: Mutex<Option<(Instant, String)>>,
}

impl Vitals {
    /// The node has started.
    pub(crate) fn started(&self, parts: Parts) {
        // A node starts once.
        let _ = self.parts.set(parts);
    }

    /// The node will end: it is not ready from now on.
    pub(crate) fn ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Serves them over HTTP, on a thread of its own: a scrape takes no time from the calls' actors but what they need to
    /// answer.
    pub(crate) fn serve(self: &Arc<Self>, listener: TcpListener) -> anyhow::Result<()> {
        let (vitals, listener) = (self.clone(), listener.into_std()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            let served =
                runtime.block_on(async { carillon_api::serve_http(TcpListener::from_std(listener)?, vitals).await });
            if let Err(error) = served {
                tracing::error!(%error, "health and metrics are no longer served");
            }
        })?;
        Ok(())
    }
}

impl Vitals {
    async fn scrape(&self) -> String {
        let Some(parts) = self.parts.get() else { return metrics::of_nothing() };
        let survey = parts.center.survey().await;
        let membership = parts.membership.as_ref();
        let sources = Sources {
            ready: self.obstacles().is_empty(),
            draining: self.draining(parts),
            survey: &survey,
            in_progress: parts.center.in_progress(),
            refused: parts.center.refused(),
            edge: parts.edge.as_ref().map(Edge::stats),
            member: membership.map(|membership| Member::of(membership.cluster(), membership.link_stats())),
            records: parts.writer.stats(),
            in_force: self.in_force(),
        };
        sources.text()
    }

    fn draining(&self, parts: &Parts) -> bool {
        let by_command = |membership: &Membership| membership.cluster().status().borrow().draining;
        self.ending.load(Ordering::Relaxed) || parts.membership.as_ref().is_some_and(by_command)
    }
}

#[tonic::async_trait]
impl carillon_api::Vitals for Vitals {
    fn obstacles(&self) -> Vec<String> {
        let Some(parts) = self.parts.get() else { return vec!["the node starts".to_owned()] };
        let mut obstacles = Vec::new();
        let status = parts.membership.as_ref().map(|membership| *membership.cluster().status().borrow());
        if self.draining(parts) {
            obstacles.push(format!("draining: {} calls left", parts.center.in_progress().calls));
        }
        if !parts.settings.in_force().begun {
            obstacles.push(UNCONFIGURED.to_owned());
        }
        obstacles.extend(status.into_iter().flat_map(|status| of_cluster(status, parts.acd)).map(str::to_owned));
        obstacles
    }

    fn in_progress(&self) -> InProgress {
        self.parts.get().map(|parts| parts.center.in_progress()).unwrap_or_default()
    }

    fn in_force(&self) -> InForce {
        self.parts.get().map(|parts| parts.settings.in_force()).unwrap_or_default()
    }

    async fn metrics(&self) -> String {
        let mut scraped = self.scraped.lock().await;
        if let Some((_, text)) = scraped.as_ref().filter(|(begun, _)| begun.elapsed() < FRESH) {
            return text.clone();
        }
        let begun = Instant::now();
        let text = self.scrape().await;
        *scraped = Some((begun, text.clone()));
        text
    }
}

/// What of its place in the cluster is in the way.
fn of_cluster(status: Status, acd: bool) -> impl Iterator<Item = &'static str> {
    let joining = (!status.informed).then_some("joining: etcd has not yet said who owns what");
    // The word of all other owners is as good as the lease: a node does not leave the load balancer for a short outage.
    let alone = (acd && status.informed && !status.holds)
        .then_some("etcd cannot be reached, or another node has this one's number: the node may not act as an owner");
    joining.into_iter().chain(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: Status, acd: bool) -> Vec<&'static str> {
        of_cluster(status, acd).collect()
    }

    #[test]
    fn a_member_is_ready_when_it_knows_the_owners_and_may_be_one() {
        let joined = Status { informed: true, holds: true, ..Status::default() };
        assert_eq!(said(joined, true), Vec::<&str>::new());
        assert!(matches!(said(Status::default(), true)[..], [it] if it.starts_with("joining")));
        assert!(matches!(said(Status { holds: false, ..joined }, true)[..], [it] if it.starts_with("etcd")));
        assert_eq!(said(Status { holds: false, ..joined }, false), Vec::<&str>::new(), "it owns nothing anyway");
    }
}
