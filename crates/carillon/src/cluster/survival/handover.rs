//! Handing calls over while the edge lives (Spec: CL-6): by the same means as when it dies, but with what is true now, and to
//! an heir that is asked.

use std::time::Duration;

use carillon_acd::ids::CallId;
use carillon_acd::view::Stage;
use carillon_rpc::cluster::wire::{self, envelope::Message as Wire};
use tokio::sync::oneshot;

use super::{Estate, lock};

/// How long the heir may take to say that it has the call. Then the call goes on here; should the heir have it all the same,
/// its word counts whenever it comes.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two rounds over the callers who wait: somebody's phone may have stopped ringing.
const ROUND: Duration = Duration::from_millis(500);
/// Callers who are handed over at a time.
const AT_ONCE: usize = 64;

impl Estate {
    /// Hands a call over; `true` when another edge has it. It stays where it is while a phone rings for it, and when no edge can
    /// take it.
    pub(in crate::cluster) async fn hand_over(&self, call: CallId) -> bool {
        let Some(parts) = self.0.parts.get() else { return false };
        let Ok(Some(checkpoint)) = parts.center.hand_over(call, PATIENCE).await else { return false };
        let Some((heir, checkpoint)) = self.0.checkpoints.hand_over(&checkpoint) else { return false };
        let (tell, told) = oneshot::channel();
        lock(&self.0.handing).insert(call, tell);
        let message = wire::Checkpoints { calls: vec![checkpoint], ..Default::default() };
        let sent = parts.links.send(heir, Wire::Checkpoints(message).into());
        let done = sent.is_ok() && tokio::time::timeout(PATIENCE, told).await.is_ok_and(|told| told.is_ok());
        lock(&self.0.handing).remove(&call);
        done
    }

    /// Hands over everybody who waits in a queue, again and again.
    pub(in crate::cluster) async fn hand_over_waiting(&self) {
        loop {
            self.hand_over_all(|stage| stage == Stage::Waiting).await;
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Hands over the calls at such stages, once.
    pub(in crate::cluster) async fn hand_over_all(&self, wanted: impl Fn(Stage) -> bool) {
        let Some(parts) = self.0.parts.get() else { return };
        let calls = parts.center.calls().await;
        let wanted: Vec<CallId> = calls.into_iter().filter(|call| wanted(call.stage)).map(|call| call.call).collect();
        for calls in wanted.chunks(AT_ONCE) {
            let handed: Vec<_> = calls
                .iter()
                .map(|call| {
                    let (estate, call) = (self.clone(), *call);
                    tokio::spawn(async move { estate.hand_over(call).await })
                })
                .collect();
            for handed in handed {
                // Who was not handed over is tried again, or stays.
                let _ = handed.await;
            }
        }
    }
}
