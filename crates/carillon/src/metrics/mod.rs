//! The node's metrics; docs/metrics.md lists them. Each scrape counts anew and keeps nothing, so what is shown is what is.

mod sheet;

use std::time::Duration;

use carillon_acd::view::{Activity, Availability, QueueView, Stage};
use carillon_actors::{InProgress, Refused, Survey};
use carillon_api::InForce;
use carillon_cluster::node::{Cluster, Counts, Status};
use carillon_edge::Stats;
use carillon_rpc::cluster::link::{LinkStats, PeerStats};
use carillon_store::WriterStats;

use sheet::{Labels, Sheet};

/// Queues that have series of their own, the first by name: a scrape of more is of no use to anybody.
const QUEUES: usize = 1_000;

const READY: &str = "Whether new calls should come to this node";

/// A node's place in its cluster.
#[derive(Default)]
pub(crate) struct Member {
    status: Status,
    counts: Counts,
    nodes: usize,
    authority_left: Duration,
    links: LinkStats,
}

impl Member {
    pub(crate) fn of(cluster: &Cluster, links: LinkStats) -> Self {
        let (status, nodes) = (*cluster.status().borrow(), cluster.nodes().borrow().len());
        Member { status, counts: cluster.counts(), nodes, authority_left: cluster.authority_left(), links }
    }
}

/// What the metrics are made of.
pub(crate) struct Sources<'a> {
    pub(crate) ready: bool,
    pub(crate) draining: bool,
    pub(crate) survey: &'a Survey,
    pub(crate) in_progress: InProgress,
    pub(crate) refused: Refused,
    pub(crate) edge: Option<Stats>,
    pub(crate) member: Option<Member>,
    pub(crate) records: WriterStats,
    pub(crate) in_force: InForce,
}

impl Sources<'_> {
    /// As Prometheus reads them.
    pub(crate) fn text(&self) -> String {
        let mut sheet = Sheet::default();
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        sheet.gauges("build_info", "The version of this node; always 1", vec![(version, 1.0)]);
        sheet.gauge("ready", READY, flag(self.ready));
        sheet.gauge("draining", "Whether it hands over what it owns and takes no new calls", flag(self.draining));
        calls(&mut sheet, self.survey, self.in_progress);
        agents(&mut sheet, self.survey);
        queues(&mut sheet, &self.survey.queues);
        sheet.gauge(
            "survey_silent",
            "Calls, agents and queues that did not answer this scrape in time and are missing from it",
            self.survey.silent as f64,
        );
        refused(&mut sheet, self.refused, self.member.as_ref().map(|member| member.counts));
        if let Some(edge) = &self.edge {
            edge_stats(&mut sheet, edge);
        }
        if let Some(member) = &self.member {
            membership(&mut sheet, member);
            link_stats(&mut sheet, &member.links);
        }
        records(&mut sheet, &self.records);
        configuration(&mut sheet, &self.in_force);
        sheet.text()
    }
}

/// Those of a node that has only begun to start.
pub(crate) fn of_nothing() -> String {
    let mut sheet = Sheet::default();
    sheet.gauge("ready", READY, 0.0);
    sheet.text()
}

fn configuration(sheet: &mut Sheet, it: &InForce) {
    sheet.gauge("configuration_revision", "The stored configuration that is in force here; 0: none", it.used as f64);
    let newest = "The newest that this node has looked at: other than the one in force when it cannot use it";
    sheet.gauge("configuration_newest_revision", newest, it.seen as f64);
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn one(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

fn calls(sheet: &mut Sheet, survey: &Survey, in_progress: InProgress) {
    let stages = [
        (Stage::Routing, "routing"),
        (Stage::Waiting, "waiting"),
        (Stage::Ringing, "ringing"),
        (Stage::Talking, "talking"),
        (Stage::Ending, "ending"),
    ];
    let count = |(stage, name): (Stage, &str)| {
        (one("stage", name), survey.calls.get(&stage).copied().unwrap_or_default() as f64)
    };
    sheet.gauges("calls", "Calls of this node that are not over, by stage", stages.map(count).to_vec());
    let oldest = in_progress.oldest.unwrap_or_default().as_secs_f64();
    sheet.seconds("oldest_call", "How long ago the oldest of them began", vec![(Labels::new(), oldest)]);
}

fn agents(sheet: &mut Sheet, survey: &Survey) {
    let wishes =
        [(Availability::Ready, "ready"), (Availability::OnBreak, "on_break"), (Availability::LoggedOut, "logged_out")];
    let activities = [
        (Activity::Idle, "idle"),
        (Activity::Reserved, "reserved"),
        (Activity::Talking, "talking"),
        (Activity::WrapUp, "wrap_up"),
    ];
    let mut samples = Vec::with_capacity(wishes.len() * activities.len());
    for (wish, availability) in wishes {
        for (does, activity) in activities {
            let labels = vec![("availability", availability.to_owned()), ("activity", activity.to_owned())];
            samples.push((labels, survey.agents.get(&(wish, does)).copied().unwrap_or_default() as f64));
        }
    }
    sheet.gauges("agents", "Agents that this node owns, by what they want and what happens to them", samples);
    sheet.gauge("agents_reachable", "Of those, the ones with a device that can ring", survey.reachable as f64);
}

fn queues(sheet: &mut Sheet, queues: &[QueueView]) {
    sheet.gauge("queues", "Queues that this node owns", queues.len() as f64);
    let unseen = queues.len().saturating_sub(QUEUES);
    sheet.gauge("queues_without_series", "Of those, the ones that have no series of their own", unseen as f64);
    let waiting: u32 = queues.iter().map(|queue| queue.waiting).sum();
    sheet.gauge("waiting", "Callers on the line in all of them", f64::from(waiting));
    let of_each = |figure: fn(&QueueView) -> f64| {
        let labels = |queue: &QueueView| {
            vec![("tenant", queue.queue.tenant.to_string()), ("queue", queue.queue.name.to_string())]
        };
        queues.iter().take(QUEUES).map(|queue| (labels(queue), figure(queue))).collect::<Vec<_>>()
    };
    sheet.gauges("queue_waiting", "Callers on the line without an answer", of_each(|it| it.waiting.into()));
    sheet.gauges("queue_offering", "Of those, being offered to agents", of_each(|it| it.offered_now.into()));
    sheet.gauges("queue_callbacks", "Callers who wait to be called back", of_each(|it| it.callbacks.into()));
    let longest = of_each(|it| it.longest_wait.as_secs_f64());
    sheet.seconds("queue_longest_wait", "How long the first caller on the line has waited", longest);
    sheet.gauges("queue_agents_logged_in", "Agents logged in to the queue", of_each(|it| it.logged_in.into()));
    sheet.gauges("queue_agents_free", "Agents free for a call of the queue", of_each(|it| it.free.into()));
    sheet.counters("queue_offered", "Calls that entered the queue", of_each(|it| it.offered as f64));
    sheet.counters("queue_answered", "Calls that an agent answered", of_each(|it| it.answered as f64));
    sheet.counters("queue_abandoned", "Callers who hung up while they waited", of_each(|it| it.abandoned as f64));
    sheet.counters(
        "queue_overflowed",
        "Calls that left by timeout, overflow, the unanswered action, a digit or for a callback",
        of_each(|it| it.overflowed as f64),
    );
    sheet.counters(
        "queue_estimates",
        "Callers who had an estimate of their wait when they came, waited and were answered",
        of_each(|it| it.estimates.0 as f64),
    );
    sheet.counters(
        "queue_estimates_held",
        "Of those, the ones who waited as long as the interval of the estimate said: four of five should",
        of_each(|it| it.estimates.1 as f64),
    );
}

/// The fence against replaced owners and edges (Spec: CL-3).
fn refused(sheet: &mut Sheet, refused: Refused, counts: Option<Counts>) {
    let stale = [
        ("offer", "call", refused.offers_by_calls),
        ("offer", "agent", refused.offers_by_agents),
        ("grant", "node", refused.grants),
        ("call", "node", refused.former_edges),
        ("announcement", "node", counts.map_or(0, |counts| counts.stale_announcements)),
    ];
    let sample =
        |(what, by, count): (&str, &str, u64)| (vec![("what", what.to_owned()), ("by", by.to_owned())], count as f64);
    let help = "What replaced owners and edges said that was refused, by what it was and who refused it";
    sheet.counters("stale_refused", help, stale.map(sample).to_vec());
    let help = "Events that owners of this node did not take in because the node might not act at that moment";
    sheet.counter("events_without_title", help, refused.without_title);
}

fn edge_stats(sheet: &mut Sheet, edge: &Stats) {
    let now = [
        ("sip_legs", "SIP legs in any state", edge.legs),
        ("sip_transactions", "SIP transactions, those that only absorb retransmissions included", edge.transactions),
        ("sip_remembered", "What is remembered of dialogs and transactions beside legs", edge.remembered),
        ("media_streams", "Audio streams with an address", edge.streams),
        ("registrations", "Users of phones with at least one registered contact", edge.registrations),
        ("sip_connections", "Open TCP connections", edge.connections),
    ];
    now.into_iter().for_each(|(name, help, value)| sheet.gauge(name, help, value as f64));
    let sums = [
        ("sip_received", "SIP messages received", edge.received),
        ("sip_silenced", "Requests of unknown senders that got no answer", edge.silenced),
        ("sip_malformed", "Messages that were no SIP, or responses to nothing", edge.malformed),
        ("calls_refused", "New calls refused with 503", edge.refused),
        ("sip_overflowed", "Messages or events that a full queue could not take", edge.overflowed),
        ("sip_relayed", "Messages passed on between other edges and phones that are connected here", edge.relayed),
        ("sip_unrelayed", "Messages of that kind that went no further", edge.unrelayed),
    ];
    sums.into_iter().for_each(|(name, help, value)| sheet.counter(name, help, value));
}

fn membership(sheet: &mut Sheet, member: &Member) {
    let Member { status, counts, nodes, authority_left, links: _ } = member;
    sheet.gauge("nodes", "Registered nodes, as this node knows it", *nodes as f64);
    sheet.gauge("shards_served", "Shards that this node serves, of 1,024", status.serving as f64);
    sheet.gauge("shards_held", "Shards that it owns or is about to", status.holdings as f64);
    let left = vec![(Labels::new(), authority_left.as_secs_f64())];
    sheet.seconds("authority_left", "For how long it may act as an owner if nobody renews that", left);
    sheet.counter("shards_begun", "Shards that it began to serve, or went on with in a newer epoch", counts.begun);
    sheet.counter("shards_ended", "Shards that it served no longer", counts.ended);
    let help = "Of those begun, the ones that began before all nodes had said what they hold";
    sheet.counter("shards_begun_early", help, counts.early);
    sheet.counter("owner_changes", "New owners of shards that this node has heard of", counts.owner_changes);
    let results = [("answered", counts.kept_alive), ("failed", counts.not_kept_alive)];
    let results = results.map(|(result, count)| (one("result", result), count as f64)).to_vec();
    sheet.counters("etcd_keep_alives", "Keep-alives of the node's lease", results);
    let help = "How long the answered ones took, together";
    sheet.seconds_spent("etcd_keep_alive", help, counts.keep_alive_time.as_secs_f64());
}

fn link_stats(sheet: &mut Sheet, links: &LinkStats) {
    let of_each = |figure: fn(&PeerStats) -> f64| {
        let sample = |peer: &PeerStats| (one("peer", &peer.node.0.to_string()), figure(peer));
        links.peers.iter().map(sample).collect::<Vec<_>>()
    };
    sheet.gauges("link_up", "Whether there is a link to the node", of_each(|it| flag(it.version.is_some())));
    sheet.gauges("link_waiting", "Messages that wait for the link", of_each(|it| it.waiting as f64));
    sheet.gauges("link_waiting_bytes", "Their bytes", of_each(|it| it.waiting_bytes as f64));
    sheet.counters("link_opened", "How often a link came up", of_each(|it| it.opened as f64));
    sheet.counters("link_sent", "Messages taken for sending", of_each(|it| it.sent as f64));
    sheet.counters("link_received", "Messages received", of_each(|it| it.received as f64));
    sheet.counters("link_sent_bytes", "Bytes of messages sent", of_each(|it| it.bytes_sent as f64));
    sheet.counters("link_received_bytes", "Bytes of messages received", of_each(|it| it.bytes_received as f64));
    sheet.gauges("link_further", "Connections of the link beside its first", of_each(|it| it.further as f64));
    let help = "Whether frames come late, so that everything is sent over all connections";
    sheet.gauges("link_doubling", help, of_each(|it| flag(it.doubling)));
    sheet.counters(
        "link_doubled",
        "Messages sent once more, over a further connection",
        of_each(|it| it.doubled as f64),
    );
    let help = "Messages dropped because another connection had brought them";
    sheet.counters("link_doubles", help, of_each(|it| it.doubles as f64));
    sheet.counters("link_refused", "Messages that the full link could not take", of_each(|it| it.refused as f64));
    sheet.counters("link_oversized", "Messages that were too large for any link", of_each(|it| it.oversized as f64));
    sheet.counters("link_unlinked", "Messages for which there was no link", of_each(|it| it.unlinked as f64));
    sheet.counters(
        "link_unknown",
        "Messages received that this version does not know",
        of_each(|it| it.unknown as f64),
    );
    sheet.counter("link_unaddressed", "Messages for nodes that are not known here", links.unaddressed);
    sheet.counter("link_strangers", "Connections refused before a node introduced itself", links.strangers);
}

fn records(sheet: &mut Sheet, records: &WriterStats) {
    sheet.counter("records_written", "Call records handed to the disk", records.written);
    sheet.counter("records_lost", "Call records lost because the disk did not take them", records.dropped);
    sheet.counter("records_retried", "Statements that the disk refused and that were tried again", records.retries);
    sheet.gauge("records_waiting", "Call records that wait for the disk", records.waiting as f64);
}

#[cfg(test)]
mod tests {
    use carillon_acd::ids::QueueId;

    use super::*;

    fn queue(number: usize) -> QueueView {
        QueueView {
            queue: QueueId::new("default".parse().unwrap(), format!("q{number}").parse().unwrap()),
            display_name: String::new(),
            extension: None,
            strategy: "in_order".to_owned(),
            waiting: 2,
            offered_now: 1,
            callbacks: 0,
            longest_wait: Duration::from_millis(1_500),
            agents: 1,
            logged_in: 1,
            free: 0,
            offered: 5,
            answered: 3,
            abandoned: 0,
            overflowed: 0,
            estimate: None,
            estimates: (2, 1),
        }
    }

    fn text(survey: &Survey) -> String {
        let sources = Sources {
            ready: true,
            draining: false,
            survey,
            in_progress: InProgress::default(),
            refused: Refused { offers_by_calls: 7, ..Refused::default() },
            edge: Some(Stats { refused: 4, ..Stats::default() }),
            member: Some(Member::default()),
            records: WriterStats { dropped: 1, ..WriterStats::default() },
            in_force: InForce { begun: true, seen: 9, used: 7, refused: Some("a sound is missing".into()) },
        };
        sources.text()
    }

    #[test]
    fn a_queue_has_its_series_and_the_coverage_of_its_estimates_is_among_them() {
        let agents = [((Availability::Ready, Activity::Talking), 3)].into();
        let survey = Survey { queues: vec![queue(1)], agents, ..Survey::default() };
        let text = text(&survey);
        for line in [
            "carillon_queue_waiting{tenant=\"default\",queue=\"q1\"} 2.0",
            "carillon_queue_longest_wait_seconds{tenant=\"default\",queue=\"q1\"} 1.5",
            "carillon_queue_estimates_total{tenant=\"default\",queue=\"q1\"} 2.0",
            "carillon_queue_estimates_held_total{tenant=\"default\",queue=\"q1\"} 1.0",
            "carillon_agents{availability=\"ready\",activity=\"talking\"} 3.0",
            "carillon_agents{availability=\"on_break\",activity=\"idle\"} 0.0",
            "carillon_stale_refused_total{what=\"offer\",by=\"call\"} 7.0",
            "carillon_calls_refused_total 4.0",
            "carillon_records_lost_total 1.0",
            "carillon_configuration_revision 7.0",
            "carillon_configuration_newest_revision 9.0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn the_number_of_series_is_bounded_and_says_so() {
        let survey = Survey { queues: (0..QUEUES + 5).map(queue).collect(), ..Survey::default() };
        let text = text(&survey);
        assert_eq!(text.lines().filter(|line| line.starts_with("carillon_queue_waiting{")).count(), QUEUES);
        assert!(text.contains("\ncarillon_queues_without_series 5.0\n"));
        assert!(text.contains(&format!("\ncarillon_waiting {}.0\n", 2 * (QUEUES + 5))), "sums are of all");
    }

    /// docs/metrics.md lists each figure, and none that is not there.
    #[test]
    fn the_documentation_lists_what_there_is() {
        let documented = include_str!("../../../../docs/metrics.md");
        let text = text(&Survey::default());
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        for (name, kind) in kinds {
            let shown = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            assert!(documented.contains(&format!("`{shown}")), "{shown} is not in docs/metrics.md");
        }
    }
}
