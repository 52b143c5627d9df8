//! A call on the wire.

use carillon_acd::leg::CallerId;
use carillon_acd::view::{CallView, Stage};

use crate::{names, time, v1};

impl From<CallView> for v1::Call {
    fn from(view: CallView) -> Self {
        v1::Call {
            name: names::of_call(view.call),
            caller: Some(view.caller.into()),
            dialled: view.dialled,
            stage: v1::Stage::from(view.stage).into(),
            queue: names::or_empty(view.queue),
            agent: names::or_empty(view.agent),
            duration: Some(time::duration(view.lasted)),
            position: view.place.map_or(0, |place| place.position),
            estimated_wait: view.place.and_then(|place| place.estimate).map(Into::into),
            callback: view.callback,
        }
    }
}

impl From<CallerId> for v1::CallerId {
    fn from(caller: CallerId) -> Self {
        v1::CallerId { number: caller.number, display_name: caller.name }
    }
}

impl From<Stage> for v1::Stage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Routing => v1::Stage::Routing,
            Stage::Waiting => v1::Stage::Waiting,
            Stage::Ringing => v1::Stage::Ringing,
            Stage::Talking => v1::Stage::Talking,
            Stage::Ending => v1::Stage::Ending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_acd::view::Place;

    use super::*;

    #[test]
    fn a_call_keeps_every_field() {
        let call = v1::Call::from(CallView {
            call: names::call("calls/1-6a0f3c21-42").unwrap(),
            caller: CallerId { number: "+33600000001".into(), name: "Zoé".into() },
            dialled: "+33123456789".into(),
            stage: Stage::Ringing,
            queue: Some(names::queue("tenants/default/queues/support").unwrap()),
            agent: None,
            callback: true,
            lasted: Duration::from_secs(12),
            place: Some(Place { position: 3, estimate: None }),
        });
        let expected = v1::Call {
            name: "calls/1-6a0f3c21-42".into(),
            caller: Some(v1::CallerId { number: "+33600000001".into(), display_name: "Zoé".into() }),
            dialled: "+33123456789".into(),
            stage: v1::Stage::Ringing.into(),
            queue: "tenants/default/queues/support".into(),
            agent: String::new(),
            duration: Some(prost_types::Duration { seconds: 12, nanos: 0 }),
            position: 3,
            estimated_wait: None,
            callback: true,
        };
        assert_eq!(call, expected);
    }
}
