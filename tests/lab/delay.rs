//! A slow network: this kernel has no `netem`, so packets wait in a queue of the packet filter (NFQUEUE) until this program
//! lets them go. It runs as a process of its own in the namespace of each node whose packets are late.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nfq::{Message, Queue, Verdict};

/// The number of the packet filter's queue.
pub(crate) const QUEUE: u16 = 7;
/// How exactly packets are late.
const STEP: Duration = Duration::from_millis(1);
/// Packets that may wait, of the kernel's side and of ours; more are lost.
const MOST: u32 = 8192;

/// Lets each packet of the queue go after `delay`, until it is killed.
pub(crate) fn run(delay: Duration) -> Result<()> {
    let mut queue = Queue::open().context("netlink")?;
    queue.bind(QUEUE).context("NFQUEUE")?;
    queue.set_queue_max_len(QUEUE, MOST).context("the queue's length")?;
    // Its headers are more than enough: nobody looks at the packet.
    queue.set_copy_range(QUEUE, 64).context("the queue's copies")?;
    queue.set_nonblocking(true);
    let mut waiting: VecDeque<(Instant, Message)> = VecDeque::new();
    loop {
        match queue.recv() {
            Ok(packet) => {
                waiting.push_back((Instant::now() + delay, packet));
                continue;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The kernel had more for us than the socket takes: packets are lost, as they may be.
            Err(error) if error.raw_os_error() == Some(105) => {}
            Err(error) => return Err(error).context("reading the queue"),
        }
        let now = Instant::now();
        while waiting.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, mut packet)) = waiting.pop_front() else { break };
            packet.set_verdict(Verdict::Accept);
            queue.verdict(packet).context("a verdict")?;
        }
        std::thread::sleep(STEP);
    }
}
