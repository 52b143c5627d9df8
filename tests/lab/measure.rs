//! What the phones' observations come to, in numbers.

use std::collections::HashMap;
use std::time::Duration;

use carillon_tests::audio::Pause;
use tokio::time::Instant;

use crate::journal::{Caller, CallerEnd, Facts, Hearing, Talk};
use crate::world::voice;

/// Between the ring at an agent's and his voice at the caller's ear the stream changes; pauses there are no pauses of music.
const BEFORE_RING: Duration = Duration::from_millis(50);
const AFTER_ANSWER: Duration = Duration::from_secs(1);
/// So long a take-over may take; who hangs up before need not have heard anything again.
const TAKE_OVER: Duration = Duration::from_secs(5);

/// All facts of a run, put in order.
pub(crate) struct Seen {
    pub(crate) callers: HashMap<String, Caller>,
    /// In the order of their rings.
    pub(crate) talks: Vec<Talk>,
    late: Vec<(Instant, Duration)>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Window {
    /// A pause belongs to the time in which it ended: what began before and ended after a fault is due to it.
    fn touches(&self, pause: &Pause) -> bool {
        let end = pause.began + pause.length;
        end >= self.from && end <= self.until
    }
}

impl From<Facts> for Seen {
    fn from(mut facts: Facts) -> Self {
        facts.talks.sort_by_key(|talk| talk.rang);
        let callers = facts.callers.into_iter().map(|caller| (caller.number.clone(), caller)).collect();
        Seen { callers, talks: facts.talks, late: facts.late }
    }
}

impl Seen {
    /// The conversations of a caller; usually one.
    pub(crate) fn talks_of<'a>(&'a self, number: &'a str) -> impl Iterator<Item = &'a Talk> + 'a {
        self.talks.iter().filter(move |talk| talk.number == number)
    }

    /// Whether an agent talked with him.
    pub(crate) fn was_served(&self, number: &str) -> bool {
        self.talks_of(number).any(|talk| talk.answered.is_some())
    }

    /// The longest pause of the music that a waiting caller noticed in `window`, at any edge but `except`. Pauses in which the
    /// lab's own tasks came late do not count.
    pub(crate) fn music_gap(&self, window: Window, except: Option<u8>) -> Duration {
        let rings = self.rings();
        let callers = self.callers.values().filter(|caller| Some(caller.edge) != except && caller.answered.is_some());
        let longest = callers.map(|caller| {
            let talks = rings.get(caller.number.as_str()).map_or(&[][..], Vec::as_slice);
            let waits = |pause: &&Pause| !talks.iter().any(|talk| is_of(pause, talk));
            self.longest(caller.heard.pauses.iter().filter(waits), window)
        });
        longest.max().unwrap_or_default()
    }

    /// The longest pause in a conversation, on either side, at any edge but `except`.
    pub(crate) fn talk_gap(&self, window: Window, except: Option<u8>) -> Duration {
        let longest = self.talks.iter().map(|talk| {
            let caller = self.callers.get(&talk.number);
            let (Some(answered), Some(caller)) = (talk.answered, caller) else { return Duration::ZERO };
            if Some(caller.edge) == except {
                return Duration::ZERO;
            }
            let inside = |pause: &&Pause| {
                pause.began > answered + AFTER_ANSWER && pause.began + pause.length < talk.ended - BEFORE_RING
            };
            let both = talk.heard.pauses.iter().chain(&caller.heard.pauses);
            self.longest(both.filter(inside), window)
        });
        longest.max().unwrap_or_default()
    }

    fn longest<'a>(&self, pauses: impl Iterator<Item = &'a Pause>, window: Window) -> Duration {
        let real = pauses.filter(|pause| window.touches(pause) && !self.lab_was_late(pause));
        real.map(|pause| pause.length).max().unwrap_or_default()
    }

    fn lab_was_late(&self, pause: &Pause) -> bool {
        let end = pause.began + pause.length;
        self.late.iter().any(|(at, by)| *at < end && *at + *by > pause.began)
    }

    /// How long the lab itself was late at worst: what is heard is not measured better than that.
    pub(crate) fn own_delay(&self, window: Window) -> Duration {
        let inside = self.late.iter().filter(|(at, _)| *at >= window.from && *at <= window.until);
        inside.map(|(_, by)| *by).max().unwrap_or_default()
    }

    fn rings(&self) -> HashMap<&str, Vec<&Talk>> {
        let mut rings: HashMap<&str, Vec<&Talk>> = HashMap::new();
        for talk in &self.talks {
            rings.entry(talk.number.as_str()).or_default().push(talk);
        }
        rings
    }

    /// The longest time in which no phone began to ring although one of `agents` agents was free. Callers wait all the time.
    pub(crate) fn without_offers(&self, window: Window, agents: usize) -> Duration {
        // In time: true for a ring, false for an end.
        let mut changes: Vec<(Instant, bool)> =
            self.talks.iter().flat_map(|talk| [(talk.rang, true), (talk.ended, false)]).collect();
        changes.sort_unstable();
        let (mut busy, mut longest) = (0_usize, Duration::ZERO);
        // Since when somebody has been free, and nothing rang.
        let mut idle_since = Some(window.from);
        for (at, rings) in changes {
            let at = at.clamp(window.from, window.until);
            if rings {
                longest = longest.max(idle_since.map_or(Duration::ZERO, |since| at - since));
                busy += 1;
                idle_since = (busy < agents).then_some(at);
            } else {
                busy = busy.saturating_sub(1);
                idle_since = idle_since.or(Some(at));
            }
        }
        longest.max(idle_since.map_or(Duration::ZERO, |since| window.until - since))
    }

    /// How long agents who have ended a call wait for the next one while callers wait; sorted. The last of them belongs to the
    /// agent who is named, with the moment when he became free.
    pub(crate) fn hand_outs(&self, window: Window) -> (Vec<Duration>, Option<(&str, Instant)>) {
        let mut ended: HashMap<&str, Instant> = HashMap::new();
        let mut times = Vec::new();
        for talk in &self.talks {
            if let Some(ended) = ended.get(talk.agent.as_str())
                && *ended >= window.from
                && talk.rang <= window.until
            {
                times.push((talk.rang.saturating_duration_since(*ended), talk.agent.as_str(), *ended));
            }
            ended.insert(&talk.agent, talk.ended);
        }
        times.sort_unstable();
        let worst = times.last().map(|(_, agent, free)| (*agent, *free));
        (times.into_iter().map(|(time, ..)| time).collect(), worst)
    }

    /// Conversations at `edge` that were older than a second at `moment` and went on, with the time until both sides heard
    /// each other again; and those that did not.
    pub(crate) fn resumed(&self, edge: u8, moment: Instant) -> (Vec<Duration>, Vec<&Talk>) {
        let mut back = Vec::new();
        let mut lost = Vec::new();
        for talk in &self.talks {
            let Some(caller) = self.callers.get(&talk.number).filter(|caller| caller.edge == edge) else { continue };
            // Who hung up in that moment did not notice anything.
            let soon = moment + Duration::from_millis(300);
            let went_on = talk.answered.is_some_and(|at| at + AFTER_ANSWER < moment) && talk.ended > soon;
            if !went_on || caller.ended < soon {
                continue;
            }
            match (heard_again(&talk.heard, moment), heard_again(&caller.heard, moment)) {
                (Some(agent), Some(caller)) => back.push(agent.max(caller)),
                _ if talk.hung_up.is_some_and(|at| at < moment + TAKE_OVER) || gave_up(caller, moment) => {}
                (Some(_) | None, None) | (None, Some(_)) => lost.push(talk),
            }
        }
        (back, lost)
    }

    /// The same of callers who waited there.
    pub(crate) fn music_back(&self, edge: u8, moment: Instant) -> (Vec<Duration>, Vec<&Caller>) {
        let mut back = Vec::new();
        let mut lost = Vec::new();
        let rings = self.rings();
        for caller in self.callers.values().filter(|caller| caller.edge == edge && caller.ended > moment) {
            let talked = rings.get(caller.number.as_str()).is_some_and(|talks| talks.iter().any(|t| t.rang < moment));
            if talked || caller.answered.is_none_or(|at| at + AFTER_ANSWER > moment) {
                continue;
            }
            match heard_again(&caller.heard, moment) {
                Some(after) => back.push(after),
                None if gave_up(caller, moment) => {}
                None => lost.push(caller),
            }
        }
        (back, lost)
    }

    /// Conversations of more than two seconds in which somebody heard another voice than the other's at their end.
    pub(crate) fn crossed(&self) -> usize {
        let wrong = |heard: &Hearing, voice: f64| heard.tone.is_some_and(|tone| (tone - voice).abs() > voice * 0.01);
        let crossed = self.talks.iter().filter(|talk| {
            let long = talk.answered.is_some_and(|at| talk.ended > at + Duration::from_secs(2));
            let Some(caller) = self.callers.get(&talk.number).filter(|_| long) else { return false };
            let agent: u64 = talk.agent.trim_start_matches('a').parse().unwrap_or(0);
            let own: u64 = talk.number.get(talk.number.len().saturating_sub(5)..).unwrap_or("").parse().unwrap_or(0);
            wrong(&talk.heard, voice(own)) || wrong(&caller.heard, voice(agent))
        });
        crossed.count()
    }
}

/// Whether a caller hung up himself before a take-over had to be over. Nobody may have answered his BYE before a sleeping edge
/// woke, so it is not the end of his call that counts.
fn gave_up(caller: &Caller, moment: Instant) -> bool {
    matches!(caller.end, CallerEnd::ByHimself) && caller.hung_up.is_some_and(|at| at < moment + TAKE_OVER)
}

/// Whether this pause of a caller's belongs to the way into a conversation, or to the conversation.
fn is_of(pause: &Pause, talk: &Talk) -> bool {
    let Some(answered) = talk.answered else { return false };
    pause.began + pause.length + BEFORE_RING > answered
}

/// How long after `moment` something was heard again: the end of the pause that held it. Nothing when it was not.
fn heard_again(heard: &Hearing, moment: Instant) -> Option<Duration> {
    let (_, last) = heard.between?;
    let around = |pause: &&Pause| {
        pause.began < moment + Duration::from_secs(1) && pause.began + pause.length > moment + Duration::from_millis(50)
    };
    let pause = heard.pauses.iter().find(around);
    match pause {
        Some(pause) => Some((pause.began + pause.length).saturating_duration_since(moment)),
        // Packets of a dead edge that were on their way arrive within a few milliseconds.
        None => (last > moment + Duration::from_millis(100)).then_some(Duration::ZERO),
    }
}

/// The value at `part` of a hundred of sorted values.
pub(crate) fn percentile(sorted: &[Duration], part: usize) -> Duration {
    let at = (sorted.len() * part).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(agent: &str, number: &str, from: Instant, times: [u64; 3]) -> Talk {
        let [rang, answered, ended] = times.map(|ms| from + Duration::from_millis(ms));
        let heard = Hearing::default();
        Talk {
            agent: agent.into(),
            edge: 1,
            number: number.into(),
            rang,
            answered: Some(answered),
            hung_up: None,
            ended,
            heard,
        }
    }

    fn caller(number: &str, edge: u8, from: Instant, pauses: &[(u64, u64)]) -> Caller {
        let pauses = pauses
            .iter()
            .map(|&(at, ms)| Pause { began: from + Duration::from_millis(at), length: Duration::from_millis(ms) })
            .collect();
        let ended = from + Duration::from_secs(20);
        let heard = Hearing { between: Some((from, ended)), pauses, tone: None };
        let (number, end) = (number.into(), CallerEnd::ByCenter);
        Caller { number, edge, dialled: from, answered: Some(from), hung_up: None, ended, end, heard }
    }

    #[test]
    fn the_change_from_music_to_a_voice_is_no_gap() {
        let from = Instant::now();
        let seen = Seen::from(Facts {
            callers: vec![caller("1", 1, from, &[(5_000, 90), (10_100, 300)]), caller("2", 2, from, &[(6_000, 120)])],
            talks: vec![talk("a1", "1", from, [10_000, 10_200, 15_000])],
            late: vec![],
        });
        let window = Window { from, until: from + Duration::from_secs(20) };
        assert_eq!(seen.music_gap(window, None), Duration::from_millis(120));
        assert_eq!(seen.music_gap(window, Some(2)), Duration::from_millis(90));
    }

    #[test]
    fn a_lab_that_was_late_proves_nothing() {
        let from = Instant::now();
        let seen = Seen::from(Facts {
            callers: vec![caller("1", 1, from, &[(5_000, 190)])],
            talks: vec![],
            late: vec![(from + Duration::from_millis(5_050), Duration::from_millis(100))],
        });
        let window = Window { from, until: from + Duration::from_secs(20) };
        assert_eq!(seen.music_gap(window, None), Duration::ZERO);
        assert_eq!(seen.own_delay(window), Duration::from_millis(100));
    }

    #[test]
    fn the_time_without_offers_ends_with_the_next_ring_or_never() {
        let from = Instant::now();
        let talks = vec![talk("a1", "1", from, [1_000, 1_200, 2_000]), talk("a1", "2", from, [4_500, 4_700, 5_000])];
        let seen = Seen::from(Facts { callers: vec![], talks, late: vec![] });
        let at = |ms| from + Duration::from_millis(ms);
        let without = |from, until| seen.without_offers(Window { from: at(from), until: at(until) }, 1);
        assert_eq!(without(1_500, 4_800), Duration::from_millis(2_500), "the agent is free from 2 s to 4.5 s");
        assert_eq!(without(5_000, 9_000), Duration::from_secs(4));
        assert_eq!(without(1_100, 1_900), Duration::ZERO, "nobody is free");
        let (times, worst) = seen.hand_outs(Window { from, until: at(9_000) });
        assert_eq!((times, worst), (vec![Duration::from_millis(2_500)], Some(("a1", at(2_000)))));
    }

    #[test]
    fn who_hears_nothing_any_more_was_not_resumed() {
        let from = Instant::now();
        let mut lost = caller("2", 1, from, &[]);
        lost.heard.between = Some((from, from + Duration::from_secs(5)));
        // Nobody answers their BYEs before the edge wakes.
        let hangs_up = |number: &str, after: u64| {
            let mut caller = caller(number, 1, from, &[]);
            caller.heard.between = Some((from, from + Duration::from_secs(5)));
            (caller.end, caller.hung_up) = (CallerEnd::ByHimself, Some(from + Duration::from_secs(after)));
            caller
        };
        let callers = vec![caller("1", 1, from, &[(4_980, 3_020)]), lost, hangs_up("3", 9), hangs_up("4", 11)];
        let seen = Seen::from(Facts { callers, talks: vec![], late: vec![] });
        let moment = from + Duration::from_secs(5);
        let (back, mut lost) = seen.music_back(1, moment);
        lost.sort_by_key(|caller| &caller.number);
        let lost: Vec<&str> = lost.iter().map(|caller| caller.number.as_str()).collect();
        assert_eq!((back, lost), (vec![Duration::from_secs(3)], vec!["2", "4"]), "the third had enough before");
        assert!(matches!(seen.music_back(2, moment), (back, lost) if back.is_empty() && lost.is_empty()));
    }
}
