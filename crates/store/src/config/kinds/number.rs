//! The kind Number: a phone number that we answer, and its one target (Spec: OB-2, OB-4).

use carillon_acd::ids::{AgentId, NumberId, QueueId, SoundId, TrunkId};
use carillon_acd::route::Target;

use super::skills::skills;
use super::{DAY, SECOND};
use crate::config::center::Number;
use crate::config::decoder::{Decoder, Fields, Shape};
use crate::config::findings::{Kind, Problem, Unique};

pub(crate) const SHAPE: Shape = Shape {
    what: "a Number",
    fields: &["number", "trunk", "greeting", "queue", "agent", "priority", "skills", "max_wait"],
    later: &[
        "to_header_extension",
        "extension_digits",
        "extension_unanswered",
        "menu",
        "crm_responsible",
        "skip_off_duty",
        "hours",
        "outside_hours",
        "recording",
        "rating",
        "outgoing",
        "redial",
        "hold_music",
        "backup_number",
    ],
};

/// `None` when a part that has no default is missing or wrong; that is reported then.
pub(crate) fn decode(decoder: &mut Decoder<'_>, id: NumberId, fields: &Fields<'_>) -> Option<Number> {
    let tenant = id.tenant.clone();
    let number = decoder.required(fields, "number", "number: \"+33 1 23 45 67 89\"").and_then(|entry| {
        let number = decoder.phone_number(entry)?;
        decoder.findings.take(Unique::PhoneNumber, number.as_str(), entry.value.place);
        Some(number)
    });
    let trunk = decoder
        .required(fields, "trunk", "trunk: carrier")
        .and_then(|entry| decoder.reference(Kind::Trunk, "trunk", &entry.value));
    let greeting = fields
        .get("greeting")
        .and_then(|entry| decoder.reference(Kind::Sound, "greeting", &entry.value))
        .map(|name| SoundId::new(tenant.clone(), name));
    let target = target(decoder, &id, fields);
    let skills = fields.get("skills").map(|entry| skills(decoder, entry)).unwrap_or_default();
    let priority = fields.get("priority").and_then(|entry| decoder.whole(entry, -100..=100)).unwrap_or_default();
    let priority = i32::try_from(priority).expect("checked to be -100 to 100");
    let max_wait = fields.get("max_wait").and_then(|entry| decoder.duration(entry, SECOND..=DAY, Some("no limit")));
    Some(Number {
        number: number?,
        trunk: TrunkId::new(tenant, trunk?),
        greeting,
        target: target?,
        priority,
        skills,
        max_wait: max_wait.filter(|limit| !limit.is_zero()),
        id,
    })
}

/// Exactly one target (Spec: OB-4).
fn target(decoder: &mut Decoder<'_>, id: &NumberId, fields: &Fields<'_>) -> Option<Target> {
    let queue = fields.get("queue").map(|entry| (entry, decoder.reference(Kind::Queue, "queue", &entry.value)));
    let agent = fields.get("agent").map(|entry| (entry, decoder.reference(Kind::Agent, "agent", &entry.value)));
    match (queue, agent) {
        (Some((_, queue)), None) => Some(Target::Queue(QueueId::new(id.tenant.clone(), queue?))),
        (None, Some((_, agent))) => Some(Target::Agent(AgentId::new(id.tenant.clone(), agent?))),
        (None, None) => {
            let problem = Problem::error(format!("number `{}` leads nowhere", id.name));
            let help = "add `queue: support` or `agent: anna`, so that its callers reach somebody (OB-4)";
            decoder.report(problem.at(fields.head(), "neither `queue` nor `agent`").help(help));
            None
        }
        (Some((queue, _)), Some((agent, _))) => {
            let problem = Problem::error(format!("number `{}` leads to a queue and to an agent", id.name));
            let problem = problem.at(queue.key_place, "a queue").at(agent.key_place, "and an agent");
            decoder.report(problem.help("take one of them out (OB-4)"));
            None
        }
    }
}
