//! A thread for the work that a change of the configuration is: reading, judging, putting together. One for all of it: each
//! thread has memory of its own from the allocator, and what one change has needed for a moment is there for the next.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

/// Work that may wait; more has to wait before it can.
const WAITING: usize = 8;

type Work = Box<dyn FnOnce() + Send>;

/// See the module's description. The thread ends with the last clone.
#[derive(Clone)]
pub(super) struct Desk(mpsc::Sender<Work>);

impl Desk {
    /// # Errors
    /// The machine gives no more threads.
    pub(super) fn new() -> anyhow::Result<Self> {
        let (desk, mut waiting) = mpsc::channel::<Work>(WAITING);
        let works = move || {
            while let Some(work) = waiting.blocking_recv() {
                // Who waits for it is told that it failed: its answer never comes.
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
        };
        std::thread::Builder::new().name("configuration".to_owned()).spawn(works).context("cannot start a thread")?;
        Ok(Desk(desk))
    }

    /// What `work` brings.
    ///
    /// # Errors
    /// It failed.
    pub(super) async fn does<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
        let (done, answer) = oneshot::channel();
        let work: Work = Box::new(move || {
            // Who asked may have gone.
            let _ = done.send(work());
        });
        self.0.send(work).await.ok().context("the thread for the configuration has ended")?;
        answer.await.context("the configuration could not be worked on")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_does_not_stop_what_follows() {
        let desk = Desk::new().unwrap();
        let here = desk.does(std::thread::current).await.unwrap().id();
        let failed: anyhow::Result<u8> = desk.does(|| panic!("a bug")).await;
        assert!(failed.is_err());
        assert_eq!(desk.does(std::thread::current).await.unwrap().id(), here, "all on one thread");
    }
}
