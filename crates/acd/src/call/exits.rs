//! Digits that a caller presses while he waits in a queue (Spec: UN-7).

use super::Call;
use super::callback::Callback;
use super::state::State;
use crate::queue::{Exit, Then};
use crate::record::Happened;

impl Call {
    /// Does what the queue has for this digit; any other digit does nothing.
    pub(super) fn digit(&mut self, digit: char) {
        let State::Queued(queued) = &mut self.state else { return };
        if queued.callback.is_some() {
            return;
        }
        let Some(route) = self.core.routing.queue(&queued.queue) else { return };
        let refused = match route.exits.get(&digit) {
            None => return,
            Some(Exit::Leave(Then::Queue(queue))) if self.core.visited.contains(queue) => {
                // Each queue once per call (Spec: UN-5). He need not lose his place for it.
                format!("{queue} was visited before: digit {digit} is refused")
            }
            Some(Exit::Leave(then)) => {
                let then = then.clone();
                self.leave_queue(&format!("{LEFT_BY_DIGIT}{digit}"));
                return self.go(then, self.core.config.ring_for, None);
            }
            Some(Exit::Callback) => match Callback::new(&self.core, route.callback) {
                Ok(callback) => {
                    let why = format!("digit {digit}: {callback}");
                    self.core.write(Happened::Routed { why });
                    callback.begin(&mut self.core);
                    return queued.call_back(&mut self.core, callback);
                }
                Err(why) => format!("digit {digit} is refused: {why}"),
            },
        };
        self.core.write(Happened::Routed { why: refused });
        queued.refuse_digit(&mut self.core);
    }
}

/// What the reason in the record begins with when a caller has left a queue by a digit.
pub(crate) const LEFT_BY_DIGIT: &str = "digit ";
