//! A queue on the wire.

use carillon_acd::view::{Estimate, QueueView};

use crate::{names, time, v1};

impl From<QueueView> for v1::Queue {
    fn from(view: QueueView) -> Self {
        v1::Queue {
            name: view.queue.to_string(),
            display_name: view.display_name,
            extension: names::or_empty(view.extension),
            strategy: strategy(&view.strategy).into(),
            waiting_count: view.waiting,
            offering_count: view.offered_now,
            longest_wait: Some(time::duration(view.longest_wait)),
            agent_count: view.agents,
            logged_in_count: view.logged_in,
            free_count: view.free,
            offered_count: view.offered,
            answered_count: view.answered,
            abandoned_count: view.abandoned,
            overflowed_count: view.overflowed,
            estimated_wait: view.estimate.map(Into::into),
            estimate_count: view.estimates.0,
            estimate_held_count: view.estimates.1,
            callback_count: view.callbacks,
        }
    }
}

impl From<Estimate> for v1::WaitEstimate {
    fn from(estimate: Estimate) -> Self {
        v1::WaitEstimate {
            wait: Some(time::duration(estimate.wait)),
            at_least: Some(time::duration(estimate.at_least)),
            at_most: Some(time::duration(estimate.at_most)),
        }
    }
}

/// The strategy of that name in the configuration; unspecified when a later version has added one that this API cannot
/// say yet.
pub(crate) fn strategy(name: &str) -> v1::Strategy {
    v1::Strategy::from_str_name(&format!("STRATEGY_{}", name.to_uppercase())).unwrap_or(v1::Strategy::Unspecified)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_queue_keeps_every_field() {
        let queue = v1::Queue::from(QueueView {
            queue: names::queue("tenants/default/queues/support").unwrap(),
            display_name: "Customer support".into(),
            extension: None,
            strategy: "longest_idle".into(),
            waiting: 5,
            offered_now: 2,
            callbacks: 3,
            longest_wait: Duration::from_secs(61),
            agents: 4,
            logged_in: 3,
            free: 1,
            offered: 100,
            answered: 90,
            abandoned: 6,
            overflowed: 4,
            estimate: Some(Estimate {
                wait: Duration::from_secs(90),
                at_least: Duration::from_secs(30),
                at_most: Duration::from_secs(180),
            }),
            estimates: (50, 41),
        });
        let expected = v1::Queue {
            name: "tenants/default/queues/support".into(),
            display_name: "Customer support".into(),
            extension: String::new(),
            strategy: v1::Strategy::LongestIdle.into(),
            waiting_count: 5,
            offering_count: 2,
            longest_wait: Some(prost_types::Duration { seconds: 61, nanos: 0 }),
            agent_count: 4,
            logged_in_count: 3,
            free_count: 1,
            offered_count: 100,
            answered_count: 90,
            abandoned_count: 6,
            overflowed_count: 4,
            estimated_wait: Some(v1::WaitEstimate {
                wait: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
                at_least: Some(prost_types::Duration { seconds: 30, nanos: 0 }),
                at_most: Some(prost_types::Duration { seconds: 180, nanos: 0 }),
            }),
            estimate_count: 50,
            estimate_held_count: 41,
            callback_count: 3,
        };
        assert_eq!(queue, expected);
    }

    #[test]
    fn each_configured_strategy_has_a_value() {
        for name in carillon_acd::queue::Strategy::ALL.map(carillon_acd::queue::Strategy::as_str) {
            assert_ne!(strategy(name), v1::Strategy::Unspecified, "{name}");
        }
    }
}
