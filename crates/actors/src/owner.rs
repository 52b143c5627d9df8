//! The actors that own queues and agents. A large center has tens of thousands of them, of which few have something to do at
//! a time, so one that waits is no more than its machine and an empty mailbox. A message that finds it idle begins a task
//! for it, and the task ends when the mailbox is empty. (Calls and the supervisor are ractor's; an actor of ractor costs
//! 6.6 KB while it waits.)

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ractor::ActorRef;
use tokio::runtime::Handle;

use crate::supervisor::Order;

/// After so many messages others have their turn.
const TURN: usize = 64;

/// Tells owners apart, also those of one queue or agent one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OwnerNumber(u64);

/// What an owner does with a message. One at a time, in the order in which they were sent.
pub(crate) trait Shell: Send + 'static {
    type Message: Send + 'static;

    fn handle(&mut self, myself: &OwnerRef<Self::Message>, message: Self::Message);

    /// It ends, and handles nothing any more. Not called when it has failed.
    fn end(&mut self) {}
}

/// What takes messages: an owner, or an actor of ractor.
pub(crate) trait Addressee<M> {
    /// Whether it was taken. Who has ended takes nothing; who ends later may not look at it any more.
    fn tell(&self, message: M) -> bool;
}

/// The address of an owner. It does not keep it alive.
pub(crate) struct OwnerRef<M>(Arc<Inner<M>>);

struct Inner<M> {
    number: OwnerNumber,
    runtime: Handle,
    supervisor: ActorRef<Order>,
    mailbox: Mutex<Mailbox<M>>,
    /// Locked by the owner's task, of which there is one at most, and by whoever ends an owner that has none.
    shell: Mutex<Option<Box<dyn Shell<Message = M>>>>,
}

struct Mailbox<M> {
    waiting: VecDeque<M>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has no task, and nothing waits.
    Idle,
    /// It has one.
    Works,
    /// It handles nothing any more.
    Ended,
}

impl<M: Send + 'static> OwnerRef<M> {
    /// Begins an owner. `supervisor` is told when it fails. Must be called inside a tokio runtime.
    pub(crate) fn begin(shell: impl Shell<Message = M>, supervisor: ActorRef<Order>) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = OwnerNumber(NUMBERS.fetch_add(1, Ordering::Relaxed));
        let mailbox = Mutex::new(Mailbox { waiting: VecDeque::new(), state: State::Idle });
        let shell: Box<dyn Shell<Message = M>> = Box::new(shell);
        OwnerRef(Arc::new(Inner {
            number,
            runtime: Handle::current(),
            supervisor,
            mailbox,
            shell: Mutex::new(Some(shell)),
        }))
    }

    pub(crate) fn number(&self) -> OwnerNumber {
        self.0.number
    }

    /// Ends it. What is in its mailbox is lost, as any message may be.
    pub(crate) fn stop(&self) {
        let (state, _lost) = {
            let mut mailbox = self.mailbox();
            (std::mem::replace(&mut mailbox.state, State::Ended), std::mem::take(&mut mailbox.waiting))
        };
        match state {
            State::Idle => self.end(),
            // Its task ends it.
            State::Works | State::Ended => {}
        }
    }

    /// It ends by itself, and its supervisor hears of it.
    pub(crate) fn leave(&self) {
        self.stop();
        // The supervisor ends with the node.
        let _ = self.0.supervisor.send_message(Order::Left(self.number()));
    }

    async fn work(self) {
        loop {
            for _ in 0..TURN {
                let Some(message) = self.next() else { return };
                if let Err(why) = self.handle(message) {
                    self.stop();
                    drop(self.shell().take());
                    // The supervisor ends with the node.
                    let _ = self.0.supervisor.send_message(Order::Failed(self.number(), why));
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// The next message; `None` when the task is to end.
    fn next(&self) -> Option<M> {
        let mut mailbox = self.mailbox();
        let next = mailbox.waiting.pop_front();
        match (next, mailbox.state) {
            (Some(message), State::Works | State::Idle) => return Some(message),
            (None, State::Works | State::Idle) => {
                *mailbox = Mailbox { waiting: VecDeque::new(), state: State::Idle };
            }
            (_, State::Ended) => {
                drop(mailbox);
                self.end();
            }
        }
        None
    }

    fn end(&self) {
        let shell = self.shell().take();
        if let Some(mut shell) = shell {
            shell.end();
        }
    }

    /// A machine that fails takes nobody with it.
    fn handle(&self, message: M) -> Result<(), String> {
        let mut shell = self.shell();
        let Some(shell) = shell.as_mut() else { return Ok(()) };
        catch_unwind(AssertUnwindSafe(|| shell.handle(self, message))).map_err(|panic| said(panic.as_ref()))
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox<M>> {
        self.0.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shell(&self) -> MutexGuard<'_, Option<Box<dyn Shell<Message = M>>>> {
        self.0.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

impl<M> Clone for OwnerRef<M> {
    fn clone(&self) -> Self {
        OwnerRef(self.0.clone())
    }
}

impl<M: Send + 'static> Addressee<M> for OwnerRef<M> {
    fn tell(&self, message: M) -> bool {
        let mut mailbox = self.mailbox();
        match mailbox.state {
            State::Ended => return false,
            State::Works => mailbox.waiting.push_back(message),
            State::Idle => {
                mailbox.waiting.push_back(message);
                mailbox.state = State::Works;
                drop(mailbox);
                self.0.runtime.spawn(self.clone().work());
            }
        }
        true
    }
}

impl<M: ractor::Message> Addressee<M> for ActorRef<M> {
    fn tell(&self, message: M) -> bool {
        self.send_message(message).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ractor::{Actor, ActorProcessingErr};
    use tokio::sync::mpsc;

    use super::*;

    /// A supervisor that tells what it hears.
    struct Ear(mpsc::UnboundedSender<(OwnerNumber, String)>);

    impl Actor for Ear {
        type Msg = Order;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<Order>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn handle(&self, _: ActorRef<Order>, order: Order, (): &mut ()) -> Result<(), ActorProcessingErr> {
            match order {
                Order::Failed(who, why) => self.0.send((who, why))?,
                Order::Own(..) | Order::Configure(..) | Order::Left(_) | Order::Disown(..) => {}
            }
            Ok(())
        }
    }

    const CURSED: u32 = u32::MAX;

    /// Writes down what it is told, but for one number, at which it fails.
    struct Scribe(mpsc::UnboundedSender<u32>);

    impl Shell for Scribe {
        type Message = u32;

        fn handle(&mut self, _: &OwnerRef<u32>, message: u32) {
            assert!(message != CURSED, "cursed");
            // The test has ended when nobody reads.
            let _ = self.0.send(message);
        }
    }

    type Heard = mpsc::UnboundedReceiver<(OwnerNumber, String)>;

    async fn scribe() -> (OwnerRef<u32>, mpsc::UnboundedReceiver<u32>, Heard) {
        let (failed, failures) = mpsc::unbounded_channel();
        let (supervisor, _) = Actor::spawn(None, Ear(failed), ()).await.unwrap();
        let (written, book) = mpsc::unbounded_channel();
        (OwnerRef::begin(Scribe(written), supervisor), book, failures)
    }

    // spec: CL-1
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn cl_1_messages_of_each_sender_are_handled_in_order_by_one() {
        let (owner, mut book, _failures) = scribe().await;
        let senders = [0, 1].map(|sender| {
            let owner = owner.clone();
            std::thread::spawn(move || (0..10_000).all(|n| owner.tell(sender * 100_000 + n)))
        });
        assert!(senders.into_iter().all(|sender| sender.join().unwrap()), "an owner that lives takes everything");
        let mut next = [0, 100_000];
        for _ in 0..20_000 {
            let number = book.recv().await.unwrap();
            let next = &mut next[(number / 100_000) as usize];
            assert_eq!(number, *next);
            *next += 1;
        }
    }

    #[tokio::test]
    async fn one_that_fails_is_reported_and_handles_nothing_any_more() {
        let (owner, mut book, mut failures) = scribe().await;
        assert!([1, CURSED, 2].into_iter().all(|n| owner.tell(n)));
        assert_eq!(failures.recv().await, Some((owner.number(), "cursed".to_owned())));
        assert!(!owner.tell(3));
        assert_eq!((book.recv().await, book.recv().await), (Some(1), None), "its shell is gone");
    }

    #[tokio::test]
    async fn one_that_is_stopped_is_gone_whether_it_works_or_not() {
        let (owner, mut book, _failures) = scribe().await;
        owner.stop();
        assert!(!owner.tell(1));
        assert_eq!(book.recv().await, None);
        let (owner, mut book, _failures) = scribe().await;
        assert!(owner.tell(1));
        owner.stop();
        assert_eq!(book.recv().await, None, "what waited is lost");
    }
}
