//! The live view as a picture: what has arrived, drawn as of now.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use carillon_rpc::{time, v1};
use comfy_table::{Color, Table};

use super::api::Api;
use super::get::{call_id, logins};
use super::output::{self, lasting};
use super::row;

/// All queues and agents that the server has told of.
#[derive(Default)]
pub(super) struct Board {
    queues: BTreeMap<String, Told<v1::Queue>>,
    agents: BTreeMap<String, Told<v1::Agent>>,
    /// Nodes that do not answer.
    missing: Vec<u32>,
}

/// An object and when it arrived: its durations have grown since.
struct Told<T> {
    object: T,
    at: Instant,
}

impl Board {
    /// Takes a message that arrived at `now`. `true` when it completes an update.
    pub(super) fn apply(&mut self, message: v1::WatchResponse, now: Instant) -> bool {
        for object in message.queues {
            self.queues.insert(object.name.clone(), Told { object, at: now });
        }
        for object in message.agents {
            self.agents.insert(object.name.clone(), Told { object, at: now });
        }
        for name in message.removed {
            self.queues.remove(&name);
            self.agents.remove(&name);
        }
        if message.complete {
            self.missing = message.missing_nodes;
        }
        message.complete
    }

    /// The picture: one line of totals, the queues, the agents. With `colour`, states are told apart by it too.
    pub(super) fn draw(&self, api: &Api, now: Instant, colour: bool) -> String {
        let mut picture = self.totals();
        for node in &self.missing {
            writeln!(picture, "node {node} does not answer: its part is missing or old").expect("text takes text");
        }
        for table in [self.queue_table(api, now, colour), self.agent_table(api, now, colour)] {
            if !table.is_empty() {
                write!(picture, "\n{}\n", table.trim_fmt()).expect("text takes text");
            }
        }
        picture
    }

    fn totals(&self) -> String {
        let waiting: u64 = self.queues.values().map(|told| u64::from(told.object.waiting_count)).sum();
        let doing = |activity| self.agents.values().filter(|told| told.object.activity() == activity).count();
        let ready = |told: &&Told<v1::Agent>| told.object.availability() == v1::Availability::Ready;
        format!(
            "{waiting} waiting, {} talking; {} of {} agents ready\n",
            doing(v1::Activity::Talking),
            self.agents.values().filter(ready).count(),
            self.agents.len(),
        )
    }

    fn queue_table(&self, api: &Api, now: Instant, colour: bool) -> Table {
        let header = [
            "QUEUE",
            "WAITING",
            "OFFERING",
            "CALLBACKS",
            "LONGEST",
            "FREE",
            "LOGGED IN",
            "OFFERED",
            "ANSWERED",
            "ABANDONED",
            "OVERFLOWED",
        ];
        let mut table = output::table(&header);
        for Told { object: queue, at } in self.queues.values() {
            let waits = queue.waiting_count > 0;
            let passed = if waits { now.saturating_duration_since(*at) } else { Duration::ZERO };
            let emphasis = (waits && colour).then_some(Color::Yellow);
            let row = [
                (api.short(&queue.name).to_owned(), None),
                (queue.waiting_count.to_string(), emphasis),
                (queue.offering_count.to_string(), None),
                (queue.callback_count.to_string(), None),
                (lasting(time::std_duration(queue.longest_wait.as_ref()) + passed), emphasis),
                (queue.free_count.to_string(), None),
                (format!("{}/{}", queue.logged_in_count, queue.agent_count), None),
                (queue.offered_count.to_string(), None),
                (queue.answered_count.to_string(), None),
                (queue.abandoned_count.to_string(), None),
                (queue.overflowed_count.to_string(), None),
            ];
            output::add_coloured(&mut table, row);
        }
        table
    }

    fn agent_table(&self, api: &Api, now: Instant, colour: bool) -> Table {
        let mut table = output::table(&["AGENT", "WANTS", "ACTIVITY", "FOR", "CALL", "QUEUES", "DEVICES", "HANDLED"]);
        for Told { object: agent, at } in self.agents.values() {
            let lasted = time::std_duration(agent.activity_duration.as_ref()) + now.saturating_duration_since(*at);
            let row = [
                (api.short(&agent.name).to_owned(), None),
                (row::availability(agent), availability_colour(agent.availability()).filter(|_| colour)),
                (row::activity(agent), activity_colour(agent.activity()).filter(|_| colour)),
                (lasting(lasted), None),
                (call_id(&agent.call).to_owned(), None),
                (logins(api, &agent.queues), None),
                (format!("{}/{}", agent.reachable_device_count, agent.device_count), None),
                (agent.handled_count.to_string(), None),
            ];
            output::add_coloured(&mut table, row);
        }
        table
    }
}

fn availability_colour(availability: v1::Availability) -> Option<Color> {
    match availability {
        v1::Availability::Ready => Some(Color::Green),
        v1::Availability::OnBreak => Some(Color::Yellow),
        v1::Availability::LoggedOut => Some(Color::DarkGrey),
        v1::Availability::Unspecified => None,
    }
}

fn activity_colour(activity: v1::Activity) -> Option<Color> {
    match activity {
        v1::Activity::Reserved => Some(Color::Yellow),
        v1::Activity::Talking => Some(Color::Cyan),
        v1::Activity::WrapUp => Some(Color::Magenta),
        v1::Activity::Idle | v1::Activity::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::api;

    fn anna(activity: v1::Activity) -> v1::Agent {
        v1::Agent {
            name: "tenants/default/agents/anna".into(),
            availability: v1::Availability::Ready.into(),
            activity: activity.into(),
            activity_duration: Some(time::duration(Duration::from_secs(58))),
            reachable_device_count: 1,
            device_count: 1,
            ..Default::default()
        }
    }

    fn support(waiting_count: u32) -> v1::Queue {
        let longest_wait = Some(time::duration(Duration::from_secs(10 * u64::from(waiting_count))));
        let name = "tenants/default/queues/support".into();
        v1::Queue { name, waiting_count, longest_wait, agent_count: 3, logged_in_count: 1, ..Default::default() }
    }

    fn update(queues: Vec<v1::Queue>, agents: Vec<v1::Agent>) -> v1::WatchResponse {
        v1::WatchResponse { queues, agents, complete: true, ..Default::default() }
    }

    #[test]
    fn durations_grow_between_updates() {
        let (mut board, start) = (Board::default(), Instant::now());
        assert!(board.apply(update(vec![support(1)], vec![anna(v1::Activity::Talking)]), start));
        let expected = "\
1 waiting, 1 talking; 1 of 1 agents ready

QUEUE    WAITING  OFFERING  CALLBACKS  LONGEST  FREE  LOGGED IN  OFFERED  ANSWERED  ABANDONED  OVERFLOWED
support  1        0         0          13s      0     1/3        0        0         0          0

AGENT  WANTS  ACTIVITY  FOR    CALL  QUEUES  DEVICES  HANDLED
anna   ready  talking   1m01s                1/1      0
";
        assert_eq!(board.draw(&api::of_tenant("default"), start + Duration::from_secs(3), false), expected);
    }

    #[test]
    fn nobody_waits_longer_in_an_empty_queue() {
        let (mut board, start) = (Board::default(), Instant::now());
        board.apply(update(vec![support(0)], Vec::new()), start);
        let picture = board.draw(&api::of_tenant("default"), start + Duration::from_secs(30), false);
        assert!(picture.contains("support  0        0         0          0s"), "{picture}");
    }

    #[test]
    fn updates_replace_and_remove() {
        let (mut board, start) = (Board::default(), Instant::now());
        board.apply(update(vec![support(1)], vec![anna(v1::Activity::Talking)]), start);
        let removed = vec!["tenants/default/queues/support".to_owned()];
        let part = v1::WatchResponse { agents: vec![anna(v1::Activity::WrapUp)], removed, ..Default::default() };
        assert!(!board.apply(part, start));
        let picture = board.draw(&api::of_tenant("default"), start, false);
        assert!(picture.contains("wrap_up") && !picture.contains("QUEUE    "), "{picture}");
    }

    #[test]
    fn a_node_that_does_not_answer_is_named_until_it_does() {
        let (mut board, now) = (Board::default(), Instant::now());
        board.apply(v1::WatchResponse { missing_nodes: vec![3], ..update(Vec::new(), Vec::new()) }, now);
        let remark = "node 3 does not answer: its part is missing or old\n";
        assert!(board.draw(&api::of_tenant("default"), now, false).contains(remark));
        board.apply(v1::WatchResponse::default(), now);
        assert!(board.draw(&api::of_tenant("default"), now, false).contains(remark), "the update is not complete");
        board.apply(update(Vec::new(), Vec::new()), now);
        assert!(!board.draw(&api::of_tenant("default"), now, false).contains("node 3"));
    }

    #[test]
    fn colour_is_used_only_when_asked_for() {
        let (mut board, start) = (Board::default(), Instant::now());
        board.apply(update(vec![support(1)], vec![anna(v1::Activity::Talking)]), start);
        let api = api::of_tenant("default");
        assert!(board.draw(&api, start, true).contains('\u{1b}'));
        assert!(!board.draw(&api, start, false).contains('\u{1b}'));
    }
}
