//! What can be judged only when all objects are known: references, overflow circles, forwards without a trunk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use carillon_acd::ids::{AgentId, Extension, Name};
use carillon_acd::queue::{Exit, Then};
use carillon_acd::route::Feature;

use super::center::Center;
use super::findings::{Asker, Findings, Forward, Handover, Kind, Problem, Unique, listed, nearest};
use super::source::Place;

/// When fewer objects of a kind exist, a reference that leads nowhere is answered with all their names.
const FEW: usize = 8;
/// Comparisons of names that are spent on suggestions in all: a misspelt file of a large center would take minutes.
const COMPARISONS: usize = 1_000_000;

/// Follows every reference and completes the center with what they lead to.
pub(super) fn check(center: &mut Center, findings: &mut Findings) {
    let names = Names::of(center);
    if !findings.incomplete {
        references(&names, findings);
    }
    extensions(center, findings);
    forwards(center, findings);
    codes(center, findings);
    mobiles(center, findings);
    circles(center, findings);
}

struct Names<'c>(HashMap<Kind, Vec<&'c str>>);

impl<'c> Names<'c> {
    fn of(center: &'c Center) -> Self {
        Names(HashMap::from([
            (Kind::Trunk, center.trunks.iter().map(|object| object.id.name.as_str()).collect()),
            (Kind::Number, center.numbers.iter().map(|object| object.id.name.as_str()).collect()),
            (Kind::Queue, center.queues.iter().map(|object| object.id.name.as_str()).collect()),
            (Kind::Agent, center.agents.iter().map(|object| object.id.name.as_str()).collect()),
            (Kind::Sound, center.sounds.iter().map(|object| object.id.name.as_str()).collect()),
        ]))
    }

    fn get(&self, kind: Kind) -> &[&'c str] {
        self.0.get(&kind).map_or(&[], Vec::as_slice)
    }
}

fn references(names: &Names<'_>, findings: &mut Findings) {
    let mut comparisons = COMPARISONS;
    for reference in std::mem::take(&mut findings.references) {
        // Names are noted as taken also when the rest of the object was refused.
        if findings.is_taken(Unique::Name(reference.kind), reference.name.as_str()) {
            continue;
        }
        let (kind, name) = (reference.kind, reference.name.as_str());
        let known = names.get(kind);
        let problem = Problem::error(format!("there is no {kind} `{name}`")).at(reference.place, "leads nowhere");
        let affordable = comparisons >= known.len();
        comparisons = comparisons.saturating_sub(known.len());
        let near = affordable.then(|| nearest(name, known.iter().copied())).flatten();
        let other =
            Kind::ALL.into_iter().map(|(_, other)| other).find(|other| findings.is_taken(Unique::Name(*other), name));
        let help = match (near, other) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(other)) => {
                format!("`{name}` is of kind {other}; here the name of {} is needed", kind.with_article())
            }
            (None, None) if known.is_empty() => format!("no object of kind {kind} is configured"),
            (None, None) if known.len() <= FEW => format!("there is {}", listed(known.iter().copied(), "and")),
            (None, None) => format!("add an object of kind {kind} with this name"),
        };
        findings.report(problem.help(help));
    }
}

/// Spec: UN-4, RT-5.
fn extensions(center: &mut Center, findings: &mut Findings) {
    let mut owners: HashMap<Extension, Then> = HashMap::new();
    for queue in &center.queues {
        owners.extend(queue.extension.clone().map(|extension| (extension, Then::Queue(queue.id.clone()))));
    }
    for agent in &center.agents {
        owners.extend(agent.extension.clone().map(|extension| (extension, Then::Agent(agent.id.clone()))));
    }
    for wanted in std::mem::take(&mut findings.to_extensions) {
        if let Some(owner) = owners.get(&wanted.to) {
            if let Then::Queue(queue) = owner {
                let to = queue.name.clone();
                findings.handovers.push(Handover { from: wanted.from, to, place: wanted.place });
            }
            let queue = Arc::make_mut(&mut center.queues[wanted.from]);
            match wanted.asker {
                Asker::Timeout => queue.timeout.then = owner.clone(),
                Asker::Exit(digit) => {
                    queue.exits.insert(digit, Exit::Leave(owner.clone()));
                }
            }
        } else if !findings.incomplete && !findings.is_taken(Unique::Extension, wanted.to.as_str()) {
            let problem = Problem::error(format!("no queue or agent has the extension {}", wanted.to));
            let problem = problem.at(wanted.place, "leads nowhere");
            findings.report(match nearest(wanted.to.as_str(), owners.keys().map(Extension::as_str)) {
                Some(near) => problem.help(format!("did you mean {near}?")),
                None => problem,
            });
        }
    }
}

/// Spec: UN-6.
fn forwards(center: &Center, findings: &mut Findings) {
    if findings.incomplete || center.trunks.iter().any(|trunk| trunk.outbound.is_some()) {
        return;
    }
    for Forward { what, place } in std::mem::take(&mut findings.forwards) {
        let problem = Problem::error(format!("{what} needs a trunk with `outbound`")).at(place, "cannot be called");
        findings.report(problem.help("add `outbound: sip:192.0.2.1:5060` to a Trunk (UN-6)"));
    }
}

/// Codes that read alike, or like somebody who can be called (Spec: TR-4, TR-5). One of them is always given: those of
/// the box fit together and hide nobody.
fn codes(center: &Center, findings: &mut Findings) {
    let codes = &center.tenant.codes;
    let places = std::mem::take(&mut findings.codes);
    let place = |feature| places.iter().find(|code| code.feature == feature).map(|code| code.place);
    let written = |feature: Feature| format!("the code {} of `{}`", codes.of(feature), feature.as_str());
    if let Some((first, second)) = codes.ambiguous() {
        let problem = Problem::error(format!("{} reads like {}", written(first), written(second)));
        let problem = problem.at_some(place(first), "this code").at_some(place(second), "and this one");
        findings.report(problem.help("no code may be the beginning of another (TR-5)"));
    }
    if let Some(feature) = codes.hides_numbers() {
        let problem = Problem::error(format!("{} hides the international numbers", written(feature)));
        let problem = problem.at_some(place(feature), "they begin with 00");
        findings.report(problem.help("begin the code with `*` or `#`"));
    }
    let queues = center.queues.iter().filter_map(|queue| queue.extension.as_ref());
    let agents = center.agents.iter().filter_map(|agent| agent.extension.as_ref());
    for extension in queues.chain(agents) {
        let Some(feature) = codes.hides(extension) else { continue };
        let problem = Problem::error(format!("{} hides the extension {extension}", written(feature)));
        let owner = findings.taken_at(Unique::Extension, extension.as_str());
        let problem = problem.at_some(place(feature), "this code").at_some(owner, "and this extension");
        findings.report(problem.help("begin the code with `*` or `#`, or change the extension"));
    }
}

/// Agents whose mobile phone would be called and who have none (Spec: UN-1).
fn mobiles(center: &Center, findings: &mut Findings) {
    let without: HashSet<&AgentId> =
        center.agents.iter().filter(|agent| agent.mobile.is_none()).map(|agent| &agent.id).collect();
    for (queue, place) in std::mem::take(&mut findings.to_last_agents) {
        let queue = &center.queues[queue];
        let agents = queue.agents.iter().filter(|agent| without.contains(agent));
        let names: Vec<&str> = agents.map(|agent| agent.name.as_str()).take(FEW).collect();
        if !names.is_empty() {
            let message = format!("queue `{}` forwards to mobile phones that are not there", queue.id.name);
            let problem = Problem::warning(message).at(place, "who was rung last");
            let names = listed(names, "and");
            findings
                .report(problem.help(format!("add `mobile` to {names}: without it the call ends as missed (UN-1)")));
        }
    }
}

/// Queues that hand over to each other in a circle (Spec: UN-5). Works, because a call enters each queue once, but is
/// probably not meant.
fn circles(center: &Center, findings: &mut Findings) {
    let index: HashMap<&Name, usize> =
        center.queues.iter().enumerate().map(|(place, queue)| (&queue.id.name, place)).collect();
    let mut next: Vec<Vec<(usize, Place)>> = vec![Vec::new(); center.queues.len()];
    for Handover { from, to, place } in &findings.handovers {
        if let (Some(to), Some(edges)) = (index.get(to), next.get_mut(*from)) {
            edges.push((*to, *place));
        }
    }
    for circle in find_circles(&next) {
        let names: Vec<&str> = circle.iter().map(|(queue, _)| center.queues[*queue].id.name.as_str()).collect();
        let message = format!("queues hand over in a circle: {} → {}", names.join(" → "), names[0]);
        let mut problem = Problem::warning(message);
        for (n, (_, place)) in circle.iter().enumerate() {
            problem = problem.at(*place, format!("to `{}`", names[(n + 1) % names.len()]));
        }
        findings.report(problem.help(
            "a call enters each queue once, then it ends with a message; a digit that leads back is refused (UN-5)",
        ));
    }
}

/// The circles that a walk along the edges closes: (queue, place of the edge to the next), in order. Without recursion,
/// because a chain may be as long as there are queues.
fn find_circles(next: &[Vec<(usize, Place)>]) -> Vec<Vec<(usize, Place)>> {
    let mut circles = Vec::new();
    let mut done = HashSet::new();
    for start in 0..next.len() {
        // The walk: queue, its next edge to try.
        let mut walk: Vec<(usize, usize)> = vec![(start, 0)];
        let mut on_walk: HashMap<usize, usize> = HashMap::from([(start, 0)]);
        while let Some((queue, edge)) = walk.last_mut() {
            let Some((to, _)) = next[*queue].get(*edge).filter(|_| !done.contains(queue)) else {
                done.insert(*queue);
                on_walk.remove(queue);
                walk.pop();
                continue;
            };
            *edge += 1;
            if let Some(first) = on_walk.get(to) {
                circles.push(walk[*first..].iter().map(|(queue, edge)| (*queue, next[*queue][*edge - 1].1)).collect());
            } else if !done.contains(to) {
                on_walk.insert(*to, walk.len());
                walk.push((*to, 0));
            }
        }
    }
    circles
}
