//! The kind Queue (Spec: OB-3, UN-1, UN-4).

use std::collections::HashMap;
use std::time::Duration;

use carillon_acd::agent::IdleReset;
use carillon_acd::ids::{AgentId, Name, QueueId, ShortNumber, SoundId};
use carillon_acd::queue::{Exit, NOBODY_GRACE, Strategy, Then, Timeout, Unanswered};
use carillon_acd::rank::Ranking;
use carillon_acd::route::WaitingSound;
use carillon_acd::skills::Skills;
use carillon_acd::stats::ServiceLevel;

use super::exits;
use super::skills::skills;
use super::{DAY, HOUR, MINUTE, SECOND};
use crate::config::center::Queue;
use crate::config::decoder::{Choice, Decoder, Fields, Shape};
use crate::config::findings::{Asker, Forward, Handover, Kind, Problem, ToExtension, Unique};
use crate::config::yaml::Entry;

pub(crate) const SHAPE: Shape = Shape {
    what: "a Queue",
    fields: &[
        "display_name",
        "extension",
        "short_number",
        "agents",
        "pickup",
        "strategy",
        "idle_reset",
        "rings",
        "pause_after",
        "wrap_up",
        "max_wait",
        "nobody_grace",
        "max_talk",
        "exits",
        "callback",
        "unanswered",
        "timeout",
        "waiting_sound",
        "max_waiting",
        "priority",
        "service_level",
        "ageing",
        "weight",
        "strict_weight",
        "skills",
        "relax",
        "relax_to",
    ],
    later: &["announce_position"],
};

const UNANSWERED: Shape = Shape { what: "`unanswered`", fields: &["number", "queue"], later: &["voicemail"] };
const UNANSWERED_WORDS: [&str; 3] = ["wait", "hang_up", "last_agent_phone"];
const SERVICE_LEVEL: Shape =
    Shape { what: "`service_level`", fields: &["threshold", "target", "short_abandon"], later: &[] };
const TIMEOUT: Shape = Shape { what: "`timeout`", fields: &["message", "then"], later: &[] };
const THEN: Shape = Shape { what: "`then`", fields: &["extension", "queue"], later: &["voicemail", "number"] };

const STRATEGIES: [(&str, Strategy); 8] = [
    ("in_order", Strategy::InOrder),
    ("all_at_once", Strategy::AllAtOnce),
    ("longest_idle", Strategy::LongestIdle),
    ("random", Strategy::Random),
    ("round_robin", Strategy::RoundRobin),
    ("fewest_calls", Strategy::FewestCalls),
    ("least_talk_time", Strategy::LeastTalkTime),
    ("skills", Strategy::Skills),
];
const IDLE_RESETS: [(&str, IdleReset); 2] = [("offer", IdleReset::Offer), ("handled", IdleReset::Handled)];
const WAITING_SOUNDS: [(&str, WaitingSound); 2] = [("ringing", WaitingSound::Ringing), ("music", WaitingSound::Music)];

const YES_OR_NO: [(&str, bool); 2] = [("true", true), ("false", false)];

const RINGS: i64 = 4;
const MAX_WAITING: i64 = 1_000;

/// `place` is the queue's place in the list of queues, for what is known only when all objects are.
pub(crate) fn decode(decoder: &mut Decoder<'_>, id: QueueId, place: usize, fields: &Fields<'_>) -> Queue {
    let whole = |decoder: &mut Decoder<'_>, field, range, default| {
        fields.get(field).and_then(|entry| decoder.whole(entry, range)).unwrap_or(default)
    };
    let rings = whole(decoder, "rings", 1..=20, RINGS);
    let relax_to = whole(decoder, "relax_to", 0..=i64::from(Skills::MOST), 1);
    let relax = fields.get("relax").and_then(|entry| decoder.duration(entry, SECOND..=DAY, Some("never")));
    let pause_after = whole(decoder, "pause_after", 0..=100, 0);
    let max_waiting = whole(decoder, "max_waiting", 1..=100_000, MAX_WAITING);
    let priority = whole(decoder, "priority", -100..=100, 0);
    let wrap_up = fields.get("wrap_up").and_then(|entry| decoder.duration(entry, Duration::ZERO..=HOUR, None));
    let max_wait = fields.get("max_wait").and_then(|entry| decoder.duration(entry, SECOND..=DAY, Some("no limit")));
    let max_talk = fields.get("max_talk").and_then(|entry| decoder.duration(entry, SECOND..=DAY, Some("no limit")));
    let grace = fields.get("nobody_grace").and_then(|entry| decoder.duration(entry, Duration::ZERO..=HOUR, None));
    let strategy = fields.get("strategy").and_then(|entry| decoder.word(entry, &STRATEGIES, &[]));
    let idle_reset = fields.get("idle_reset").and_then(|entry| decoder.word(entry, &IDLE_RESETS, &[]));
    let sound = fields.get("waiting_sound").and_then(|entry| decoder.word(entry, &WAITING_SOUNDS, &[]));
    let pickup = fields.get("pickup").and_then(|entry| decoder.word(entry, &YES_OR_NO, &[]));
    let handover = Source { tenant: &id.tenant, queue: place };
    let unanswered = fields.get("unanswered").and_then(|entry| unanswered(decoder, &handover, entry));
    let timeout = fields.get("timeout").and_then(|entry| timeout(decoder, &handover, entry));
    let exits = fields.get("exits").map(|entry| exits::exits(decoder, &handover, entry));
    let callback = fields.get("callback").and_then(|entry| exits::callback(decoder, entry));
    let service_level = fields.get("service_level").and_then(|entry| service_level(decoder, entry));
    let queue = Queue {
        display_name: display_name(decoder, &id.name, fields),
        extension: fields.get("extension").and_then(|entry| {
            let extension = decoder.extension(entry)?;
            decoder.findings.take(Unique::Extension, extension.as_str(), entry.value.place);
            Some(extension)
        }),
        short_number: fields.get("short_number").and_then(|entry| short_number(decoder, entry)),
        agents: agents(decoder, &id.tenant, fields),
        pickup: pickup.unwrap_or_default(),
        strategy: strategy.unwrap_or_default(),
        idle_reset: idle_reset.unwrap_or_default(),
        rings: u8::try_from(rings).expect("checked to be 1 to 20"),
        pause_after: u32::try_from(pause_after).ok().filter(|most| *most > 0),
        wrap_up: wrap_up.unwrap_or_default(),
        max_wait: max_wait.filter(|limit| !limit.is_zero()),
        nobody_grace: grace.unwrap_or(NOBODY_GRACE),
        max_talk: max_talk.filter(|limit| !limit.is_zero()),
        unanswered: unanswered.unwrap_or_default(),
        timeout: timeout.unwrap_or_default(),
        exits: exits.unwrap_or_default(),
        callback: callback.unwrap_or_default(),
        waiting_sound: sound.unwrap_or_default(),
        max_waiting: usize::try_from(max_waiting).expect("checked to be 1 to 100,000"),
        priority: i32::try_from(priority).expect("checked to be -100 to 100"),
        service_level: service_level.unwrap_or_default(),
        ranking: ranking(decoder, fields),
        skills: fields.get("skills").map(|entry| skills(decoder, entry)).unwrap_or_default(),
        relax: relax.filter(|every| !every.is_zero()),
        relax_to: u8::try_from(relax_to).expect("checked to be 0 to 10"),
        id,
    };
    doubts(decoder, &queue, fields);
    queue
}

pub(super) fn display_name(decoder: &mut Decoder<'_>, name: &Name, fields: &Fields<'_>) -> String {
    let given = fields.get("display_name").and_then(|entry| decoder.text(entry));
    given.map_or_else(|| name.to_string(), str::to_owned)
}

fn short_number(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<ShortNumber> {
    let short_number = decoder.short_number(entry)?;
    decoder.findings.take(Unique::ShortNumber, short_number.as_str(), entry.value.place);
    Some(short_number)
}

/// Spec: QU-7.
fn ranking(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> Ranking {
    let mut ranking = Ranking::default();
    let ageing = fields.get("ageing").and_then(|entry| decoder.duration(entry, SECOND..=DAY, Some("no ageing")));
    if let Some(step) = ageing {
        ranking.ageing = (!step.is_zero()).then_some(step);
    }
    let weight = fields.get("weight").and_then(|entry| decoder.duration(entry, Duration::ZERO..=DAY, None));
    ranking.weight = weight.unwrap_or_default();
    if let Some(entry) = fields.get("strict_weight") {
        ranking.strict_weight = decoder.word(entry, &YES_OR_NO, &[]).unwrap_or_default();
        if ranking.strict_weight && fields.get("weight").is_none() {
            let problem = Problem::warning("`strict_weight` without `weight` changes nothing");
            decoder.report(problem.at(entry.key_place, "not used").help("add `weight: 1m`, or take it out (QU-7)"));
        }
    }
    ranking
}

/// In list order, each once (Spec: QU-1).
fn agents(decoder: &mut Decoder<'_>, tenant: &Name, fields: &Fields<'_>) -> Vec<AgentId> {
    let Some(entry) = fields.get("agents") else { return Vec::new() };
    let mut agents = Vec::new();
    let mut first = HashMap::new();
    for node in decoder.list(entry, "[anna, piotr]") {
        let Some(name) = decoder.reference(Kind::Agent, "agents", node) else { continue };
        match first.insert(name.clone(), node.place) {
            None => agents.push(AgentId::new(tenant.clone(), name)),
            Some(before) => {
                let problem = Problem::error(format!("agent `{name}` stands in the list twice"));
                decoder.report(problem.at(node.place, "again here").at(before, "first here"));
            }
        }
    }
    agents
}

/// The queue that hands callers over.
pub(super) struct Source<'a> {
    tenant: &'a Name,
    pub(super) queue: usize,
}

impl Source<'_> {
    pub(super) fn to_queue(&self, decoder: &mut Decoder<'_>, entry: &Entry) -> Option<QueueId> {
        let name = decoder.reference(Kind::Queue, "queue", &entry.value)?;
        let place = entry.value.place;
        decoder.findings.handovers.push(Handover { from: self.queue, to: name.clone(), place });
        Some(QueueId::new(self.tenant.clone(), name))
    }
}

/// Spec: UN-1.
fn unanswered(decoder: &mut Decoder<'_>, source: &Source<'_>, entry: &Entry) -> Option<Unanswered> {
    match decoder.choice(entry, &UNANSWERED)? {
        Choice::Word("wait") => Some(Unanswered::Wait),
        Choice::Word("hang_up") => Some(Unanswered::Leave(Then::HangUp)),
        Choice::Word("last_agent_phone") => {
            let what = "forwarding to a mobile phone";
            decoder.findings.forwards.push(Forward { what, place: entry.value.place });
            decoder.findings.to_last_agents.push((source.queue, entry.value.place));
            Some(Unanswered::Leave(Then::LastAgentPhone))
        }
        Choice::Word(other) => {
            let words = UNANSWERED_WORDS.into_iter().chain(["{ number: … }", "{ queue: … }"]);
            decoder.unknown_word("unanswered", other, entry.value.place, words, UNANSWERED.later);
            None
        }
        Choice::Field(field) if field.key == "number" => {
            decoder.findings.forwards.push(Forward { what: "forwarding to a number", place: field.value.place });
            decoder.phone_number(field).map(|number| Unanswered::Leave(Then::Number(number)))
        }
        Choice::Field(field) => source.to_queue(decoder, field).map(|queue| Unanswered::Leave(Then::Queue(queue))),
    }
}

/// Spec: UN-4. An extension becomes its owner when all extensions are known.
fn timeout(decoder: &mut Decoder<'_>, source: &Source<'_>, entry: &Entry) -> Option<Timeout> {
    let fields = decoder.fields(&entry.value, entry.key_place, &TIMEOUT)?;
    let message = fields
        .get("message")
        .and_then(|entry| decoder.reference(Kind::Sound, "message", &entry.value))
        .map(|name| SoundId::new(source.tenant.clone(), name));
    let then = fields.get("then").and_then(|entry| match decoder.choice(entry, &THEN)? {
        Choice::Word("hang_up") => Some(Then::HangUp),
        Choice::Word(other) => {
            let words = ["hang_up", "{ extension: … }", "{ queue: … }"];
            decoder.unknown_word("then", other, entry.value.place, words.into_iter(), THEN.later);
            None
        }
        Choice::Field(field) if field.key == "extension" => {
            let to = decoder.extension(field)?;
            decoder.findings.to_extensions.push(ToExtension {
                from: source.queue,
                asker: Asker::Timeout,
                to,
                place: field.value.place,
            });
            None
        }
        Choice::Field(field) => source.to_queue(decoder, field).map(Then::Queue),
    });
    Some(Timeout { message, then: then.unwrap_or_default() })
}

/// Spec: PL-5.
fn service_level(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<ServiceLevel> {
    let fields = decoder.fields(&entry.value, entry.key_place, &SERVICE_LEVEL)?;
    let default = ServiceLevel::default();
    let threshold = fields.get("threshold").and_then(|entry| decoder.duration(entry, SECOND..=HOUR, None));
    let target = fields.get("target").and_then(|entry| decoder.whole(entry, 1..=100));
    let short = fields.get("short_abandon").and_then(|entry| decoder.duration(entry, Duration::ZERO..=MINUTE, None));
    Some(ServiceLevel {
        threshold: threshold.unwrap_or(default.threshold),
        target: target.map(|percent| u8::try_from(percent).expect("checked to be 1 to 100")),
        short_abandon: short.unwrap_or(default.short_abandon),
    })
}

fn doubts(decoder: &mut Decoder<'_>, queue: &Queue, fields: &Fields<'_>) {
    if let Some(entry) = fields.get("strategy")
        && queue.strategy == Strategy::AllAtOnce
        && queue.unanswered == Unanswered::Wait
    {
        let problem =
            Problem::warning(format!("queue `{}` rings all at once and waits when nobody answers", queue.id.name));
        let problem = problem.at(entry.value.place, "all at once");
        let problem = match fields.get("unanswered") {
            Some(unanswered) => problem.at(unanswered.value.place, "and wait"),
            None => problem,
        };
        let help = "once phones rang for all rings without an answer, the call ends and counts as missed (UN-3); \
                    choose another strategy, or say in `unanswered` where the caller goes";
        decoder.report(problem.help(help));
    }
    if let Some(entry) = fields.get("idle_reset")
        && queue.strategy != Strategy::LongestIdle
    {
        let problem = Problem::warning(format!("`idle_reset` of queue `{}` changes nothing", queue.id.name));
        let help = "it says how `strategy: longest_idle` counts (QU-3); take it out, or choose that strategy";
        decoder.report(problem.at(entry.key_place, "not used").help(help));
    }
    for field in ["skills", "relax", "relax_to"] {
        if let Some(entry) = fields.get(field)
            && queue.strategy != Strategy::Skills
        {
            let problem = Problem::warning(format!("`{field}` of queue `{}` changes nothing", queue.id.name));
            let help = "only `strategy: skills` looks at skills (QU-5); take it out, or choose that strategy";
            decoder.report(problem.at(entry.key_place, "not used").help(help));
        }
    }
    let calls_back = queue.exits.values().any(|exit| *exit == Exit::Callback);
    exits::doubts(decoder, queue.id.name.as_str(), fields, calls_back, queue.waiting_sound == WaitingSound::Ringing);
    if queue.agents.is_empty() && fields.get("agents").is_none_or(is_empty_list) {
        let problem = Problem::warning(format!("queue `{}` has no agents", queue.id.name));
        let help = "nobody can be logged in, so every caller goes the way of `timeout` at once (UN-4)";
        decoder.report(problem.at(fields.head(), "no agents").help(help));
    }
}

fn is_empty_list(entry: &Entry) -> bool {
    matches!(&entry.value.value, crate::config::yaml::Value::List(items) if items.is_empty())
}
