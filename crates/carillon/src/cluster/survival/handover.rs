//! Handing calls over while the edge lives (Spec: CL-6): by the same means as when it dies, but with what is true now, and to
//! an heir that is asked.

use std::collections::HashMap;
use std::time::Duration;

use carillon_acd::ids::CallId;
use carillon_acd::view::Stage;
use carillon_rpc::cluster::wire::{self, envelope::Message as Wire};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Estate, lock};

/// How long the heir may take to say that it has the call. Then the call goes on here; should the heir have it all the same,
/// its word counts whenever it comes.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two rounds over the callers who wait: somebody's phone may have stopped ringing.
const ROUND: Duration = Duration::from_millis(500);
/// So long nobody tries again to hand over who was not taken.
const PEACE: Duration = Duration::from_secs(8);
/// Callers who are handed over at a time.
const AT_ONCE: usize = 64;

/// What has become of a call that was to be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handed {
    /// Another edge has it.
    Over,
    /// It was not stopped.
    Stays,
    /// It was stopped, and no heir has taken it.
    InVain,
}

impl Estate {
    /// Hands a call over. It stays where it is while a phone rings for it, and when no edge can take it.
    async fn hand_over(&self, call: CallId) -> Handed {
        // Who has no heir does not stop for it.
        let Some(parts) = self.0.parts.get().filter(|_| self.0.checkpoints.has_heir(call)) else {
            return Handed::Stays;
        };
        let Ok(Some(checkpoint)) = parts.center.hand_over(call, PATIENCE).await else { return Handed::Stays };
        let Some((heir, checkpoint)) = self.0.checkpoints.hand_over(&checkpoint) else { return Handed::InVain };
        let (tell, told) = oneshot::channel();
        lock(&self.0.handing).insert(call, tell);
        let message = wire::Checkpoints { calls: vec![checkpoint], ..Default::default() };
        let sent = parts.links.send(heir, Wire::Checkpoints(message).into());
        let done = sent.is_ok() && tokio::time::timeout(PATIENCE, told).await.is_ok_and(|told| told.is_ok());
        lock(&self.0.handing).remove(&call);
        if done { Handed::Over } else { Handed::InVain }
    }

    /// Hands over everybody who waits in a queue, again and again. Whom no heir has taken is left in peace for a while: he
    /// accepts no offer while he is handed over.
    pub(in crate::cluster) async fn hand_over_waiting(&self) {
        let mut not_taken: HashMap<CallId, Instant> = HashMap::new();
        loop {
            let now = Instant::now();
            not_taken.retain(|_, until| now < *until);
            let wanted = |call: CallId, stage| stage == Stage::Waiting && !not_taken.contains_key(&call);
            let in_vain = self.hand_over_all(wanted).await;
            not_taken.extend(in_vain.into_iter().map(|call| (call, Instant::now() + PEACE)));
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Hands over these calls once; gives back those that have stopped for it in vain.
    pub(in crate::cluster) async fn hand_over_all(&self, wanted: impl Fn(CallId, Stage) -> bool) -> Vec<CallId> {
        let Some(parts) = self.0.parts.get() else { return Vec::new() };
        let calls = parts.center.calls().await;
        let wanted: Vec<CallId> = calls.into_iter().filter(|it| wanted(it.call, it.stage)).map(|it| it.call).collect();
        let mut in_vain = Vec::new();
        for calls in wanted.chunks(AT_ONCE) {
            let handed: Vec<_> = calls
                .iter()
                .map(|call| {
                    let (estate, call) = (self.clone(), *call);
                    (call, tokio::spawn(async move { estate.hand_over(call).await }))
                })
                .collect();
            for (call, handed) in handed {
                if handed.await.is_ok_and(|handed| handed == Handed::InVain) {
                    in_vain.push(call);
                }
            }
        }
        in_vain
    }
}
