//! When actors are woken. Each has one alarm. Most deadlines move later all the time (a heartbeat pushes the next one), so
//! an alarm that is already set and not too late is left alone; when it goes off early, it is set again.
//!
//! One task rings for all actors of a node, and sleeps until the first of them is to be woken. A sleep costs a wake-up of the
//! runtime's thread, which is as much as twenty messages, so alarms go off together where that makes no difference: each at the
//! next full step of a size that grows with the time until then ([`step`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carillon_acd::time::Moment;
use ractor::ActorRef;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::agent::AgentMessage;
use crate::call::CallMessage;
use crate::clock::Clock;
use crate::owner::{Addressee, OwnerRef};
use crate::queue::QueueMessage;

/// An alarm may be late by this part of the time for which it was set.
const PART: u32 = 32;
/// And by no more than this, so that the callers of a large node are not all moved in one moment.
const LATEST: Duration = Duration::from_millis(128);
/// The runtime knows no shorter time.
const SHORTEST: Duration = Duration::from_millis(1);

/// Whom an alarm wakes.
pub(crate) enum Sleeper {
    Call(ActorRef<CallMessage>),
    Agent(OwnerRef<AgentMessage>),
    Queue(OwnerRef<QueueMessage>),
}

impl Sleeper {
    fn wake(self) {
        // Who has ended has nothing to wake up for.
        let _ = match self {
            Sleeper::Call(call) => call.tell(CallMessage::Alarm),
            Sleeper::Agent(agent) => agent.tell(AgentMessage::Alarm),
            Sleeper::Queue(queue) => queue.tell(QueueMessage::Alarm),
        };
    }
}

/// Rings for all actors of a node, until it is dropped.
pub(crate) struct Bell {
    clock: Clock,
    due: Arc<Due>,
    task: AbortHandle,
}

/// Who is to be woken when: one entry for each actor, and some for those that wanted to be woken earlier since.
#[derive(Default)]
struct Due {
    sleepers: Mutex<BTreeMap<Moment, Vec<Sleeper>>>,
    /// There is one before all others.
    earlier: Notify,
}

impl Bell {
    /// Must be called inside a tokio runtime.
    pub(crate) fn hang(clock: Clock) -> Self {
        let due = Arc::<Due>::default();
        let task = tokio::spawn(ring(clock, due.clone())).abort_handle();
        Bell { clock, due, task }
    }

    fn wake(&self, deadline: Moment, sleeper: Sleeper) {
        let at = next_step(deadline, step(deadline.since(self.clock.moment())));
        let mut sleepers = self.due.sleepers();
        let first = sleepers.first_key_value().is_none_or(|(first, _)| at < *first);
        sleepers.entry(at).or_default().push(sleeper);
        drop(sleepers);
        if first {
            self.due.earlier.notify_one();
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Due {
    fn first(&self) -> Option<Moment> {
        self.sleepers().first_key_value().map(|(at, _)| *at)
    }

    /// Those whose time has come, in order of time.
    fn take(&self, now: Moment) -> BTreeMap<Moment, Vec<Sleeper>> {
        let mut sleepers = self.sleepers();
        let later = sleepers.split_off(&(now + Duration::from_nanos(1)));
        std::mem::replace(&mut *sleepers, later)
    }

    fn sleepers(&self) -> MutexGuard<'_, BTreeMap<Moment, Vec<Sleeper>>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ring(clock: Clock, due: Arc<Due>) {
    loop {
        tokio::select! {
            biased;
            () = due.earlier.notified() => {}
            () = until(clock, due.first()) => due.take(clock.moment()).into_values().flatten().for_each(Sleeper::wake),
        }
    }
}

async fn until(clock: Clock, first: Option<Moment>) {
    match first {
        Some(first) => tokio::time::sleep_until(clock.instant(first)).await,
        None => std::future::pending().await,
    }
}

/// The size of the steps at which alarms go off that are `ahead`: a power of two in milliseconds, so that the steps of one size
/// are among those of each smaller one.
fn step(ahead: Duration) -> Duration {
    let part = (ahead / PART).clamp(SHORTEST, LATEST).as_millis();
    SHORTEST * (1 << part.ilog2())
}

/// The first full step that is not before `at`.
fn next_step(at: Moment, step: Duration) -> Moment {
    let nanos = at.since(Moment::START).as_nanos().next_multiple_of(step.as_nanos());
    // It ends 500 years after it has begun.
    Moment::START + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// When the actor will be woken, if it will.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    set_for: Option<Moment>,
}

impl Alarm {
    /// Sees to it that the actor is woken at `deadline` or before, or late by the time of a step.
    pub(crate) fn set(&mut self, deadline: Option<Moment>, bell: &Bell, actor: impl FnOnce() -> Sleeper) {
        let Some(deadline) = deadline else { return };
        if self.set_for.is_some_and(|set| set <= deadline) {
            return;
        }
        self.set_for = Some(deadline);
        bell.wake(deadline, actor());
    }

    /// Sees to it that the actor is woken after `pause`, not before.
    pub(crate) fn put_off(&mut self, pause: Duration, bell: &Bell, actor: impl FnOnce() -> Sleeper) {
        self.set_for = None;
        self.set(Some(bell.clock.moment() + pause), bell, actor);
    }

    /// It went off. Tells whether the deadline has really passed.
    pub(crate) fn fired(&mut self, deadline: Option<Moment>, now: Moment) -> bool {
        self.set_for = None;
        deadline.is_some_and(|d| d <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_alarm_is_late_by_a_part_of_its_time_at_most() {
        for ahead in [1, 2, 20, 31, 32, 63, 64, 1_000, 3_000, 5_000, 30_000, 86_400_000].map(ms) {
            for now in [0, 1, 77, 127, 128, 4_095, 999_999_937].map(ms) {
                let deadline = Moment::at(now) + ahead;
                let late = next_step(deadline, step(ahead)).since(deadline);
                assert!(late < LATEST.min((ahead / PART).max(SHORTEST)), "{late:?} late for {ahead:?} after {now:?}");
                assert!(next_step(deadline, step(ahead)) >= deadline, "an alarm is never early");
            }
        }
    }

    #[test]
    fn alarms_of_many_calls_go_off_together() {
        let deadlines = (0..1_000).map(|n| (Moment::at(ms(n)), ms(5_000)));
        let rung: std::collections::BTreeSet<Moment> =
            deadlines.map(|(now, ahead)| next_step(now + ahead, step(ahead))).collect();
        assert_eq!(rung.len(), 8, "1 s in steps of 128 ms: {rung:?}");
    }

    /// A queue's owner that says when it was woken.
    struct Ear(tokio::sync::mpsc::UnboundedSender<Moment>, Clock);

    impl crate::owner::Shell for Ear {
        type Message = QueueMessage;

        fn handle(&mut self, _: &OwnerRef<QueueMessage>, _: QueueMessage) {
            self.0.send(self.1.moment()).unwrap();
        }
    }

    /// A supervisor that hears nothing.
    struct Nobody;

    impl ractor::Actor for Nobody {
        type Msg = crate::supervisor::Order;
        type State = ();
        type Arguments = ();

        async fn pre_start(
            &self,
            _: ActorRef<crate::supervisor::Order>,
            (): (),
        ) -> Result<(), ractor::ActorProcessingErr> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_alarm_goes_off_first_and_the_later_one_too() {
        let clock = Clock::start();
        let bell = Bell::hang(clock);
        let (supervisor, _) = ractor::Actor::spawn(None, Nobody, ()).await.unwrap();
        let (woken, mut rings) = tokio::sync::mpsc::unbounded_channel();
        let owner = OwnerRef::begin(Ear(woken, clock), supervisor);
        let (mut alarm, began) = (Alarm::default(), clock.moment());
        let set = |alarm: &mut Alarm, after| {
            alarm.set(Some(began + after), &bell, || Sleeper::Queue(owner.clone()));
        };
        set(&mut alarm, ms(7_000));
        tokio::time::sleep(ms(10)).await;
        set(&mut alarm, ms(9_000));
        set(&mut alarm, ms(50));
        let first = rings.recv().await.unwrap();
        assert!(alarm.fired(Some(began + ms(50)), first));
        let second = rings.recv().await.unwrap();
        assert!(!alarm.fired(Some(began + ms(9_000)), second), "the first that was set goes off, too early by now");
        set(&mut alarm, ms(9_000));
        let third = rings.recv().await.unwrap();
        assert!(alarm.fired(Some(began + ms(9_000)), third));
        let rung = [first, second, third].map(|ring| ring.since(began).as_millis());
        assert!((50..=52).contains(&rung[0]) && (7_000..7_130).contains(&rung[1]), "{rung:?}");
        assert!((9_000..9_130).contains(&rung[2]), "{rung:?}");
    }
}
