//! One datapath thread.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::MediaEvent;
use super::counters::ThreadCounters;
use super::inbox::{Command, Inbox};

pub(super) struct Shard {
    inbox: Arc<Inbox>,
}

impl Shard {
    pub(super) fn new(
        _silence: Duration,
        inbox: Arc<Inbox>,
        _counters: Arc<ThreadCounters>,
        _on_event: Arc<dyn Fn(MediaEvent) + Send + Sync>,
    ) -> io::Result<Self> {
        Ok(Shard { inbox })
    }

    pub(super) fn run(self) {
        let mut taken: Vec<Command> = Vec::new();
        while !self.inbox.is_closed() {
            self.inbox.take(&mut taken);
            taken.clear();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
