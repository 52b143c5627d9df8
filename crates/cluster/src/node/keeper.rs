//! Keeps a node registered: opens a lease, writes the node's entry on it, keeps it alive, and begins again when it is
//! lost. It tells the core when each request was *sent*, for that is what counts (Spec: CL-5).

use std::sync::Arc;
use std::time::Duration;

use carillon_acd::time::Moment;
use rand::RngExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::counts::{Counters, count};
use crate::coordinator::{Error, LeaseId};
use crate::member::Node;
use crate::ownership::{Event, Timing};
use crate::space::Space;

pub(super) struct Keeper {
    pub(super) space: Space,
    pub(super) timing: Timing,
    pub(super) start: Instant,
    /// What the node says of itself.
    pub(super) entry: watch::Receiver<Node>,
    pub(super) heard: mpsc::Sender<Event>,
    /// What is wrong, as it was said last.
    pub(super) trouble: Option<String>,
    pub(super) counted: Arc<Counters>,
}

impl Keeper {
    /// Runs until the core is gone.
    pub(super) async fn run(mut self) {
        while !self.heard.is_closed() {
            match self.register().await {
                Ok(lease) => {
                    self.complain(None);
                    self.keep(lease).await;
                }
                Err(Error::Conflict(_)) => {
                    let why = "an earlier run of this node is still registered, or another node has its number";
                    self.complain(Some(why.to_owned()));
                }
                Err(error @ (Error::Unavailable(_) | Error::LeaseLost | Error::Refused(_))) => {
                    self.complain(Some(format!("not registered: {error}")));
                }
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Says what is wrong once, and once that it is over: it is tried twice a second.
    fn complain(&mut self, trouble: Option<String>) {
        let node = self.entry.borrow().id.0;
        if trouble != self.trouble {
            match &trouble {
                Some(reason) => tracing::warn!(node, reason, "trouble with the coordinator"),
                None => tracing::info!(node, "the coordinator answers again"),
            }
        }
        self.trouble = trouble;
    }

    /// Not all nodes at once: after an outage they would.
    fn pause(&self) -> Duration {
        self.timing.retry.mul_f64(rand::rng().random_range(0.5..1.5))
    }

    async fn register(&self) -> Result<LeaseId, Error> {
        let sent = self.now();
        let lease = self.space.coordinator().grant(self.timing.ttl).await?;
        // A new registration stands for nothing until it is welcome.
        let entry = Node { standing: false, ..self.entry.borrow().clone() };
        if let Err(error) = self.space.register(lease, &entry).await {
            // What is not revoked ends by itself.
            let _ = self.space.coordinator().revoke(lease).await;
            return Err(error);
        }
        self.tell(Event::Registered { lease, sent }).await;
        Ok(lease)
    }

    /// Until the lease is lost.
    async fn keep(&mut self, lease: LeaseId) {
        let mut ticks = tokio::time::interval(self.timing.keep_alive);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.heard.is_closed() {
            ticks.tick().await;
            let sent = self.now();
            match self.space.coordinator().keep_alive(lease).await {
                Ok(()) => {
                    self.counted.answered(self.now().since(sent));
                    self.complain(None);
                    self.tell(Event::KeptAlive { lease, sent }).await;
                }
                Err(Error::LeaseLost) => {
                    self.complain(Some("the lease has ended".to_owned()));
                    return self.tell(Event::LeaseLost(lease)).await;
                }
                Err(error @ (Error::Unavailable(_) | Error::Refused(_) | Error::Conflict(_))) => {
                    count(&self.counted.not_kept_alive);
                    self.complain(Some(format!("lease not renewed: {error}")));
                }
            }
        }
    }

    fn now(&self) -> Moment {
        Moment::at(self.start.elapsed())
    }

    async fn tell(&self, event: Event) {
        // The core is gone when this fails, and the loop above ends.
        let _ = self.heard.send(event).await;
    }
}
