//! The sums, and how they are added.

use crate::call::{LEFT_BY_DIGIT, LEFT_FOR_CALLBACK};
use crate::queue::OverflowReason;

/// Why a visit ended that was neither answered nor abandoned: the caller went on, or was sent on (Spec: PL-5, flow-out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowOut {
    /// Every eligible agent was tried once (Spec: UN-1).
    RoundUnanswered,
    /// The wait limit of the queue (Spec: UN-4).
    MaxWait,
    /// The wait limit of the number, over all queues of the call (Spec: UN-4).
    MaxTotalWait,
    /// Nobody was logged in (Spec: UN-4).
    NobodyLoggedIn,
    /// The queue was full (Spec: QU-12).
    MaxWaiting,
    /// The caller pressed a digit (Spec: UN-7).
    Digit,
    /// He asked to be called back (Spec: UN-7).
    Callback,
    /// Another rule.
    Other,
}

impl FlowOut {
    /// All of them, in the order of [`Tally::flow_outs`].
    pub const ALL: [FlowOut; 8] = [
        FlowOut::RoundUnanswered,
        FlowOut::MaxWait,
        FlowOut::MaxTotalWait,
        FlowOut::NobodyLoggedIn,
        FlowOut::MaxWaiting,
        FlowOut::Digit,
        FlowOut::Callback,
        FlowOut::Other,
    ];

    /// As programs read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FlowOut::RoundUnanswered => "round_unanswered",
            FlowOut::MaxWait => "max_wait",
            FlowOut::MaxTotalWait => "max_total_wait",
            FlowOut::NobodyLoggedIn => "nobody_logged_in",
            FlowOut::MaxWaiting => "max_waiting",
            FlowOut::Digit => "digit",
            FlowOut::Callback => "callback",
            FlowOut::Other => "other",
        }
    }

    /// Reads the reason of a `LeftQueue` transition, as the call wrote it.
    pub(super) fn read(why: &str) -> Self {
        let by_rule = [
            (OverflowReason::RoundUnanswered, FlowOut::RoundUnanswered),
            (OverflowReason::MaxWait, FlowOut::MaxWait),
            (OverflowReason::MaxTotalWait, FlowOut::MaxTotalWait),
            (OverflowReason::NobodyLoggedIn, FlowOut::NobodyLoggedIn),
            (OverflowReason::MaxWaiting, FlowOut::MaxWaiting),
        ];
        if why == LEFT_FOR_CALLBACK {
            return FlowOut::Callback;
        }
        if why.starts_with(LEFT_BY_DIGIT) {
            return FlowOut::Digit;
        }
        let rule = by_rule.into_iter().find(|(reason, _)| reason.to_string() == why);
        rule.map_or(FlowOut::Other, |(_, flow_out)| flow_out)
    }
}

/// Sums of one subject over some time. Times are in microseconds.
///
/// For a queue `offered = answered + abandoned + abandoned_short + flow-outs + lost` once all of its callers have left
/// it. For a number `offered = answered + abandoned + abandoned_short + missed + lost` once all of its calls are over; its
/// flow-outs are those of the queues in between. For an agent `offered` counts his rings, and a ring that ends by itself
/// (the caller left, a colleague was faster) is neither answered nor missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entered the queue; came to the number; rang at the agent.
    pub offered: u64,
    /// Two-way audio.
    pub answered: u64,
    /// Of those, after a wait of T or less.
    pub answered_within: u64,
    /// The caller left while waiting or ringing, after more than a short abandon's wait.
    pub abandoned: u64,
    /// The caller left at once.
    pub abandoned_short: u64,
    /// Of both, after a wait of T or less.
    pub abandoned_within: u64,
    /// A rule ended the call unanswered; for an agent: his phone rang, and he did not answer or declined.
    pub missed: u64,
    /// The call broke, or was ended by request, before an answer.
    pub lost: u64,
    /// Left by a rule, by reason, in the order of [`FlowOut::ALL`].
    pub flow_outs: [u64; FlowOut::ALL.len()],
    /// The waits of the answered; for an agent: the ringing before his answers.
    pub wait: u64,
    /// The longest wait of all who have left, however they did.
    pub longest_wait: u64,
    /// Conversations that are over.
    pub handled: u64,
    /// Conversation, without hold.
    pub talk: u64,
    /// Hold.
    pub hold: u64,
    /// Wrap-up after calls of the queue; all wrap-up of the agent. A number has none: wrap-up belongs to a queue.
    pub wrap_up: u64,
    /// Talk, hold and wrap-up of the agent, calls that he made himself included; of the agents who were logged in to the
    /// queue. For occupancy.
    pub handling: u64,
    /// Ready and idle, likewise.
    pub idle: u64,
}

impl Tally {
    /// How many sums there are.
    pub(super) const SUMS: usize = 16 + FlowOut::ALL.len();

    /// All of them, in one order.
    pub(super) fn sums(&self) -> [u64; Self::SUMS] {
        let mut sums = *self;
        sums.places().map(|sum| *sum)
    }

    /// What [`Tally::sums`] gave.
    pub(super) fn from_sums(sums: [u64; Self::SUMS]) -> Self {
        let mut tally = Tally::default();
        tally.places().into_iter().zip(sums).for_each(|(place, sum)| *place = sum);
        tally
    }

    /// Where they stand, in that order.
    fn places(&mut self) -> [&mut u64; Self::SUMS] {
        let Tally {
            offered,
            answered,
            answered_within,
            abandoned,
            abandoned_short,
            abandoned_within,
            missed,
            lost,
            flow_outs: [a, b, c, d, e, f, g, h],
            wait,
            longest_wait,
            handled,
            talk,
            hold,
            wrap_up,
            handling,
            idle,
        } = self;
        [
            offered,
            answered,
            answered_within,
            abandoned,
            abandoned_short,
            abandoned_within,
            missed,
            lost,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            wait,
            longest_wait,
            handled,
            talk,
            hold,
            wrap_up,
            handling,
            idle,
        ]
    }

    /// Flow-outs of all reasons.
    pub fn flowed_out(&self) -> u64 {
        self.flow_outs.iter().sum()
    }

    /// One flow-out.
    pub(super) fn flow_out(why: FlowOut) -> Self {
        Tally { flow_outs: FlowOut::ALL.map(|each| u64::from(each == why)), ..Tally::default() }
    }

    /// Takes back what was added. The longest wait stays: of those who have left, whoever counts them.
    pub fn subtract(&mut self, other: &Tally) {
        let longest_wait = self.longest_wait;
        self.places().into_iter().zip(other.sums()).for_each(|(sum, less)| *sum = sum.saturating_sub(less));
        self.longest_wait = longest_wait;
    }

    /// Adds another sum. The order of additions does not matter, so intervals and nodes can be added up in any way.
    pub fn add(&mut self, other: &Tally) {
        let longest_wait = std::mem::take(&mut self.longest_wait).max(other.longest_wait);
        self.places().into_iter().zip(other.sums()).for_each(|(sum, more)| *sum += more);
        self.longest_wait = longest_wait;
    }
}
