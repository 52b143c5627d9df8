//! The checker: what phones saw against the records and the views of all nodes. Spec: CL-3, CL-4, QU-7, QU-8.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use carillon_tests::records::{Place, Record};
use tokio::time::Instant;

use crate::journal::{CallerEnd, Talk};
use crate::measure::Seen;

/// How long two legs of an agent or of a caller may overlap: the end of one travels while the other begins.
const OVERLAP: Duration = Duration::from_millis(300);
/// How long the word that a caller is back may travel to the owner of his queue.
const TICKET: Duration = Duration::from_millis(250);
/// The carrier's number of a call in its From header, as records show it.
type Number<'a> = &'a str;

/// What is wrong, one line each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Callers who were neither served nor hung up themselves.
    pub(crate) lost: Vec<String>,
    /// Calls without exactly one record, or with a record that says something else than the phones.
    pub(crate) records: Vec<String>,
    /// Callers whom others overtook.
    pub(crate) overtaken: Vec<String>,
    /// Callers who were connected with two agents, and voices in the wrong conversation.
    pub(crate) double: Vec<String>,
    /// Agents whose phones rang while they were busy.
    pub(crate) disturbed: Vec<String>,
    /// Agents who are not idle although nobody calls any more, and calls that are still shown.
    pub(crate) orphans: Vec<String>,
}

/// The disaster that excuses something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excuse {
    /// Calls at this edge were interrupted …
    pub(crate) edge: u8,
    /// … at this moment; who came in the second before could not be saved.
    pub(crate) at: Instant,
    /// The same moment on the clock of the records, in microseconds since 1970.
    pub(crate) at_wall: i64,
}

/// Everything but the orphans.
pub(crate) fn check(seen: &Seen, records: &[(u8, Record)], excuse: Option<Excuse>) -> Findings {
    let mut by_number: HashMap<Number<'_>, Vec<&(u8, Record)>> = HashMap::new();
    for record in records {
        by_number.entry(record.1.caller.number.as_str()).or_default().push(record);
    }
    Findings {
        lost: lost(seen, excuse),
        records: wrong_records(seen, &by_number, excuse),
        overtaken: overtaken(seen, records, excuse),
        double: double(seen),
        disturbed: disturbed(seen, excuse),
        orphans: vec![],
    }
}

fn too_young(seen: &Seen, number: Number<'_>, excuse: Option<Excuse>) -> bool {
    let (Some(excuse), Some(caller)) = (excuse, seen.callers.get(number)) else { return false };
    let saved_from = excuse.at.checked_sub(Duration::from_secs(1)).unwrap_or(excuse.at);
    caller.edge == excuse.edge && caller.ended > excuse.at && caller.answered.is_none_or(|at| at > saved_from)
}

fn lost(seen: &Seen, excuse: Option<Excuse>) -> Vec<String> {
    let callers = seen.callers.values().filter(|caller| match caller.end {
        // Who talked and heard nothing any more is counted where conversations are.
        CallerEnd::ByCenter | CallerEnd::InSilence => !seen.was_served(&caller.number),
        CallerEnd::LeftOver => true,
        CallerEnd::ByHimself | CallerEnd::Refused(_) | CallerEnd::Unanswered => false,
    });
    callers
        .filter(|caller| !too_young(seen, &caller.number, excuse))
        .map(|caller| {
            format!(
                "{} at edge {}: {:?}, served: {}",
                caller.number,
                caller.edge,
                caller.end,
                seen.was_served(&caller.number)
            )
        })
        .collect()
}

/// Spec: PL-6, CL-4: one record per call.
fn wrong_records(
    seen: &Seen,
    records: &HashMap<Number<'_>, Vec<&(u8, Record)>>,
    excuse: Option<Excuse>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for caller in seen.callers.values() {
        let number = caller.number.as_str();
        let own = records.get(number).map_or(&[][..], Vec::as_slice);
        let nodes: Vec<u8> = own.iter().map(|(node, _)| *node).collect();
        let taken = caller.answered.is_some();
        if own.len() > 1 || (taken && own.is_empty() && !too_young(seen, number, excuse)) {
            wrong.push(format!("{number} at edge {} has {} records, at {nodes:?}", caller.edge, own.len()));
            continue;
        }
        // What an agent has answered shortly before the end may count as either.
        let served: Vec<&Talk> = seen.talks_of(number).filter(|talk| lasted(talk) > Duration::from_secs(1)).collect();
        if let (Some(last), [(_, record)]) = (served.last(), own)
            && record.answered_by() != Some(last.agent.as_str())
        {
            let (said, cause) = (record.answered_by(), &record.cause);
            wrong.push(format!(
                "{number} talked with {}, the record says {said:?} ({}, {cause})",
                last.agent, record.outcome
            ));
        }
    }
    wrong
}

fn lasted(talk: &Talk) -> Duration {
    talk.answered.map_or(Duration::ZERO, |at| talk.ended.saturating_duration_since(at))
}

/// Spec: QU-7. A queue's owner gives places in the order of entry and counts its offers, and later epochs sort after earlier
/// ones; so whoever has a lower place must have the lower first offer.
///
/// Two things are excused. A caller whose edge was dead could not be offered, until he heard music again. And a caller who
/// dialled later was not overtaken: while an owner is replaced, a place that it still gave may reach the call after the call
/// has reported to the next owner, who gives it another.
fn overtaken(seen: &Seen, records: &[(u8, Record)], excuse: Option<Excuse>) -> Vec<String> {
    let mut queued: Vec<(Place, Place, i64, &Record)> = records
        .iter()
        .filter_map(|(_, record)| Some((record.place()?, record.offer()?, record.first_offer()?.0, record)))
        .collect();
    queued.sort_by_key(|(place, ..)| *place);
    let mut overtaken = Vec::new();
    for (n, (place, offer, _, record)) in queued.iter().enumerate() {
        let away = away_until(seen, record, excuse);
        let before = queued[n + 1..]
            .iter()
            .filter(|(_, other, when, by)| other < offer && *when > away && dialled(seen, by) >= dialled(seen, record));
        if let Some((place_of_other, other, _, by)) = before.min_by_key(|(_, other, ..)| *other) {
            let (who, by) = (&record.caller.number, &by.caller.number);
            overtaken.push(format!("{who} at {place} got offer {offer}; {by} at {place_of_other} got {other} before"));
        }
    }
    overtaken
}

/// On the lab's own clock.
fn dialled(seen: &Seen, record: &Record) -> Option<Instant> {
    seen.callers.get(&record.caller.number).map(|caller| caller.dialled)
}

/// Until when a caller's edge could not say that he waits, in microseconds since 1970.
fn away_until(seen: &Seen, record: &Record, excuse: Option<Excuse>) -> i64 {
    let (Some(excuse), Some(caller)) = (excuse, seen.callers.get(&record.caller.number)) else { return i64::MIN };
    if caller.edge != excuse.edge || caller.ended < excuse.at {
        return i64::MIN;
    }
    let back = caller.heard.pauses.iter().map(|pause| pause.began + pause.length).find(|end| *end > excuse.at);
    let away = back.unwrap_or(caller.ended).saturating_duration_since(excuse.at);
    excuse.at_wall + i64::try_from((away + TICKET).as_micros()).unwrap_or(i64::MAX)
}

/// Spec: CL-3. A leg on which nothing was ever heard was not connected with anybody.
fn double(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut served: HashMap<&str, &Talk> = HashMap::new();
    for talk in seen.talks.iter().filter(|talk| talk.heard.between.is_some()) {
        let Some(answered) = talk.answered else { continue };
        if let Some(before) = served.insert(&talk.number, talk)
            && busy_until(before) > answered + OVERLAP
        {
            found.push(format!("{} was connected with {} and {}", talk.number, before.agent, talk.agent));
        }
    }
    let crossed = seen.crossed();
    if crossed > 0 {
        found.push(format!("{crossed} conversations in which the wrong voice was heard"));
    }
    found
}

/// Spec: CL-3: never two calls at one agent. A phone that rang when the edge of its call died, or its own through which it rang,
/// goes on ringing, because only that edge could have stopped it; whoever picks it up hears nothing.
fn disturbed(seen: &Seen, excuse: Option<Excuse>) -> Vec<String> {
    let is_ghost = |talk: &Talk| {
        let edge = seen.callers.get(&talk.number).map(|caller| caller.edge);
        let interrupted =
            |excuse: Excuse| [edge, Some(talk.edge)].contains(&Some(excuse.edge)) && talk.rang < excuse.at;
        talk.heard.between.is_none() && excuse.is_some_and(interrupted)
    };
    let mut found = Vec::new();
    let mut busy: HashMap<&str, &Talk> = HashMap::new();
    for talk in seen.talks.iter().filter(|talk| !is_ghost(talk)) {
        if let Some(before) = busy.get(talk.agent.as_str())
            && busy_until(before) > talk.rang + OVERLAP
        {
            found.push(format!("{} was rung for {} while busy with {}", talk.agent, talk.number, before.number));
        }
        if busy.get(talk.agent.as_str()).is_none_or(|before| busy_until(before) < busy_until(talk)) {
            busy.insert(&talk.agent, talk);
        }
    }
    found
}

/// A line that has gone silent for good is over, whatever its phone believes; and so is one that the agent gave up.
fn busy_until(talk: &Talk) -> Instant {
    let ended = talk.hung_up.unwrap_or(talk.ended).min(talk.ended);
    let silent = Duration::from_secs(2);
    match (talk.answered, talk.heard.between) {
        (Some(_), Some((_, last))) if last + silent < ended => last,
        (Some(_), Some(_) | None) | (None, Some(_) | None) => ended,
    }
}

/// Numbers that have a record and no caller: calls that nobody made.
pub(crate) fn unknown<'a>(seen: &Seen, records: &'a [(u8, Record)]) -> HashSet<Number<'a>> {
    let numbers = records.iter().map(|(_, record)| record.caller.number.as_str());
    numbers.filter(|number| !seen.callers.contains_key(*number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Caller, Facts, Hearing};
    use carillon_tests::records;

    fn record(number: &str, place: (u64, u64), offer: (u64, u64), agent: &str) -> (u8, Record) {
        let json = format!(
            r#"[{{"call":"calls/{number}","caller":{{"number":"{number}"}},"started":"2026-01-01T00:00:00Z",
            "ended":"2026-01-01T00:01:00Z","queue":"q","agent":"tenants/default/agents/{agent}","wait_ms":1,"talk_ms":2,
            "outcome":"answered","cause":"normal","transitions":[
            {{"at":"2026-01-01T00:00:01Z","event":"enqueued","place":{{"epoch":{},"counter":{}}}}},
            {{"at":"2026-01-01T00:00:02Z","event":"offered","agents":["a"],"offer":{{"epoch":{},"counter":{}}}}}]}}]"#,
            place.0, place.1, offer.0, offer.1
        );
        (1, records::read(&json).unwrap().remove(0))
    }

    fn caller(number: &str, from: Instant, end: CallerEnd) -> Caller {
        let ended = from + Duration::from_secs(30);
        let (number, heard) = (number.into(), Hearing::default());
        Caller { number, edge: 1, dialled: from, answered: Some(from), hung_up: None, ended, end, heard }
    }

    fn talk(agent: &str, number: &str, from: Instant, rang: u64, ended: u64) -> Talk {
        let at = |s| from + Duration::from_secs(s);
        let heard = Hearing { between: Some((at(rang), at(ended))), ..Hearing::default() };
        let (agent, number) = (agent.into(), number.into());
        Talk {
            agent,
            edge: 1,
            number,
            rang: at(rang),
            answered: Some(at(rang)),
            hung_up: None,
            ended: at(ended),
            heard,
        }
    }

    #[test]
    fn a_good_run_has_no_findings() {
        let from = Instant::now();
        let callers = vec![caller("1", from, CallerEnd::ByCenter), caller("2", from, CallerEnd::ByHimself)];
        let seen = Seen::from(Facts { callers, talks: vec![talk("a1", "1", from, 1, 5)], late: vec![] });
        let records = [record("1", (1, 1), (1, 4), "a1"), record("2", (1, 2), (2, 1), "a1")];
        let found = check(&seen, &records, None);
        assert!(found.lost.is_empty() && found.records.is_empty() && found.overtaken.is_empty(), "{found:?}");
        assert!(found.double.is_empty() && found.disturbed.is_empty() && unknown(&seen, &records).is_empty());
    }

    // spec: PL-6, CL-3, QU-7
    #[test]
    fn each_broken_promise_is_found() {
        let from = Instant::now();
        let callers = vec![caller("1", from, CallerEnd::ByCenter), caller("2", from, CallerEnd::ByCenter)];
        let talks = vec![talk("a1", "1", from, 1, 9), talk("a1", "1", from, 3, 9), talk("a2", "1", from, 4, 9)];
        let seen = Seen::from(Facts { callers, talks, late: vec![] });
        let records =
            [record("1", (1, 1), (2, 1), "a1"), record("2", (1, 2), (1, 9), "a1"), record("2", (1, 2), (1, 9), "a1")];
        let found = check(&seen, &records, None);
        assert_eq!((found.lost.len(), found.overtaken.len()), (1, 1), "{found:?}");
        assert_eq!(found.records.len(), 2, "the wrong agent, and two records: {found:?}");
        assert_eq!((found.double.len(), found.disturbed.len()), (2, 1), "{found:?}");
    }

    #[test]
    fn who_was_away_was_not_overtaken() {
        let from = Instant::now();
        let mut first = caller("1", from, CallerEnd::ByCenter);
        let pause =
            carillon_tests::audio::Pause { began: from + Duration::from_secs(5), length: Duration::from_secs(3) };
        first.heard.pauses.push(pause);
        let seen = Seen::from(Facts {
            callers: vec![first, caller("2", from, CallerEnd::ByCenter)],
            talks: vec![],
            late: vec![],
        });
        let records = [record("1", (1, 1), (1, 9), "a1"), record("2", (1, 2), (1, 8), "a1")];
        let offered = records[1].1.first_offer().unwrap().0;
        let excuse = |after: i64| {
            Some(Excuse { edge: 1, at: from + Duration::from_secs(5), at_wall: offered - after * 1_000_000 })
        };
        assert_eq!(overtaken(&seen, &records, None).len(), 1);
        assert_eq!(overtaken(&seen, &records, excuse(2)).len(), 0, "offered while he was away");
        assert_eq!(overtaken(&seen, &records, excuse(4)).len(), 1, "offered after he had come back");
    }
}
