//! What people read from the sums: shares and averages (Spec: PL-5).

use std::time::Duration;

use super::Tally;

/// The service level in its four readings, each 0 to 1; `None` when nothing was offered that it could be a share of.
///
/// A: answered within T. B: abandoned within T. N: offered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceLevels {
    /// A / (N − B), the default: who left in time is nobody's fault.
    pub default: Option<f64>,
    /// A / N, the negative variant: who left in time counts against us.
    pub negative: Option<f64>,
    /// (A + B) / N, the positive variant: who left in time counts for us.
    pub positive: Option<f64>,
    /// A / answered: of those who were answered at all.
    pub of_answered: Option<f64>,
}

/// Shares and averages of a tally.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// See [`ServiceLevels`]. Of an agent they say nothing.
    pub service: ServiceLevels,
    /// The average wait of the answered; of an agent: the average ringing.
    pub speed_of_answer: Option<Duration>,
    /// The average of talk, hold and wrap-up over the conversations that are over.
    pub handle_time: Option<Duration>,
    /// Handling / (handling + idle), 0 to 1. Ringing and breaks are in neither.
    pub occupancy: Option<f64>,
}

impl Tally {
    /// Shares and averages.
    pub fn figures(&self) -> Figures {
        let within = self.answered_within;
        Figures {
            service: ServiceLevels {
                default: share(within, self.offered.saturating_sub(self.abandoned_within)),
                negative: share(within, self.offered),
                positive: share(within + self.abandoned_within, self.offered),
                of_answered: share(within, self.answered),
            },
            speed_of_answer: average(self.wait, self.answered),
            handle_time: average(self.talk + self.hold + self.wrap_up, self.handled),
            occupancy: share(self.handling, self.handling + self.idle),
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn average(micros: u64, count: u64) -> Option<Duration> {
    micros.checked_div(count).map(Duration::from_micros)
}
