//! One cluster with its phones, and what is done with it for one repeat of a fault: load, fault, rest, empty, check.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use carillon_tests::records::{self, Record};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::agents;
use crate::callers::Crowd;
use crate::check::{self, Excuse, Findings};
use crate::cluster::{Cluster, QUEUE};
use crate::diary;
use crate::faults::{Fault, Limits};
use crate::figures::Figure;
use crate::measure::{Seen, Window, percentile};
use crate::world::World;

/// How much goes on.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Load {
    pub(crate) calls_per_second: f64,
    pub(crate) waiting: usize,
    pub(crate) talking: usize,
    /// How long etcd is frozen as a whole.
    pub(crate) outage_seconds: u64,
}

/// How long the load runs before a fault, to compare with.
const BEFORE: Duration = Duration::from_secs(4);
/// How long it may take until so many wait and talk as are wanted.
const FILL: Duration = Duration::from_secs(60);
/// How soon after the last call everything must be idle.
const IDLE: Duration = Duration::from_secs(6);

/// How soon after it a record must be on a disk.
const WRITTEN: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    world: Arc<World>,
    crowd: Crowd,
    load: Load,
    folder: PathBuf,
    /// The phones, and the lab's own watches.
    _tasks: JoinSet<()>,
}

/// Which agents were shown in which calls, and when.
pub(crate) type View = (Instant, Vec<(String, String)>);

/// A repeat, from the moment in which its fault may strike.
pub(crate) struct Run<'a> {
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) world: &'a World,
    pub(crate) load: Load,
    /// Which repeat it is, from 0.
    pub(crate) turn: usize,
    /// When the fault struck.
    struck: Option<(Instant, i64)>,
    /// The edge whose calls were interrupted, which excuses what happened to them.
    pub(crate) interrupted: Option<u8>,
    /// What was measured on the way.
    pub(crate) figures: Vec<Figure>,
    /// What was shown on the way.
    pub(crate) views: Vec<View>,
}

impl Run<'_> {
    /// Now.
    pub(crate) fn strikes(&mut self) {
        self.struck = Some((Instant::now(), microseconds(SystemTime::now())));
    }

    pub(crate) fn struck(&self) -> Instant {
        self.struck.map_or_else(Instant::now, |(at, _)| at)
    }

    /// Lets the center go on for a while: a measured interval.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Until so much time has passed since the fault.
    pub(crate) async fn pass_until(&self, since: Duration) {
        tokio::time::sleep_until(self.struck() + since).await;
    }

    /// A node that runs, does this, and is none of these.
    pub(crate) fn another(&self, role: crate::servers::Role, these: &[u8]) -> Result<u8> {
        let found = self.cluster.nodes().find(|n| n.is_running() && n.role == role && !these.contains(&n.number));
        found.map(|node| node.number).context("no other node does that")
    }

    /// What nodes have refused because it came from a replaced owner or edge, and what owners have left undone because they had
    /// been replaced. Counted since the nodes' starts.
    pub(crate) async fn refused(&self) -> Result<[usize; 2]> {
        let stale = self.cluster.metric("carillon_stale_refused_total").await?;
        Ok([stale, self.cluster.metric("carillon_events_without_title_total").await?])
    }

    /// What was refused since `before`.
    pub(crate) async fn note_refused(&mut self, before: [usize; 2]) -> Result<()> {
        let [stale, without] = self.refused().await?;
        let since = |now: usize, before: usize| now.saturating_sub(before);
        self.figures.push(Figure::count("words of the replaced node refused", since(stale, before[0]), None));
        self.figures.push(Figure::count("events it left alone on waking", since(without, before[1]), None));
        Ok(())
    }

    /// The owner of the queue.
    pub(crate) async fn queue_owner(&self) -> Result<u8> {
        let edge = self.another(crate::servers::Role::Edge, &[])?;
        Ok(self.cluster.owner_of(QUEUE, edge).await?.node)
    }

    /// How long after the fault the queue has another owner than `old`, as `asked` knows it.
    pub(crate) async fn until_other_owner(&self, old: u8, asked: u8, within: Duration) -> Duration {
        while self.struck().elapsed() < within {
            if matches!(self.cluster.owner_of(QUEUE, asked).await, Ok(owner) if owner.node != old) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.struck().elapsed()
    }

    /// How long after the fault `asked` shows every agent as his phone is: idle when nothing rings or talks there.
    pub(crate) async fn until_views_are_true(&self, asked: u8, within: Duration) -> Duration {
        while self.struck().elapsed() < within {
            let desks = self.world.journal.desks();
            if let Ok(views) = self.cluster.ask(asked, &["get", "agents"]).await
                && views.len() == self.cluster.agents.len()
                && views.iter().all(|view| view_is_true(view, &desks))
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.struck().elapsed()
    }
}

/// What changed less than a second ago may be on its way.
fn view_is_true(view: &serde_json::Value, desks: &std::collections::HashMap<String, crate::journal::Desk>) -> bool {
    let Some(name) = view["name"].as_str().and_then(|name| name.rsplit('/').next()) else { return false };
    let Some(desk) = desks.get(name) else { return true };
    let changes = desk.since.elapsed() < Duration::from_secs(1);
    changes || (desk.legs == 0) == (view["activity"] == "idle")
}

impl Scene {
    /// A whole cluster with all phones registered.
    pub(crate) async fn start(lab: u32, folder: PathBuf, load: Load, own_clock: bool) -> Result<Scene> {
        let cluster = Cluster::start(lab, &folder, load.talking, own_clock).await?;
        let talk = Duration::from_secs_f64(load.talking as f64 / load.calls_per_second);
        let world = World::new(&cluster.edges(), talk);
        let mut tasks = JoinSet::new();
        let (alive, watch) = (world.clone(), world.clone());
        tasks.spawn(async move {
            if let Err(error) = alive.keep_alive().await {
                eprintln!("keep-alive: {error:#}");
            }
        });
        tasks.spawn(watch.watch_itself());
        for (number, name) in (1..).zip(&cluster.agents) {
            tasks.spawn(agents::agent(world.clone(), name.clone(), number));
        }
        let crowd = Crowd::new(world.clone());
        let scene = Scene { cluster, world, crowd, load, folder, _tasks: tasks };
        let busy = scene.until_idle(Duration::from_secs(30)).await?;
        ensure!(busy.is_empty(), "these did not become idle: {}", busy.join(", "));
        Ok(scene)
    }

    /// One repeat.
    pub(crate) async fn repeat(&mut self, fault: Fault, turn: usize) -> Result<Vec<Figure>> {
        self.cluster.heal().await?;
        let busy = self.until_idle(Duration::from_secs(60)).await?;
        ensure!(busy.is_empty(), "still not idle before the fault: {}", busy.join(", "));
        self.world.journal.take();
        World::begin_run();
        self.fill().await?;
        tokio::time::sleep(BEFORE).await;
        let mut run = Run {
            cluster: &mut self.cluster,
            world: &self.world,
            load: self.load,
            turn,
            struck: None,
            interrupted: None,
            figures: vec![],
            views: vec![],
        };
        fault.inject(&mut run).await?;
        let Run { struck, interrupted, figures, views, .. } = run;
        let (struck, at_wall) = struck.context("the fault did not strike")?;
        let window = Window { from: struck, until: Instant::now() };
        self.empty().await;
        let (seen, found) = self.check(interrupted.map(|edge| Excuse { edge, at: struck, at_wall })).await?;
        diary::write(&self.folder.join(format!("phones-{}", turn + 1)), &seen)?;
        let mut all = common(&seen, &found, window, interrupted, &fault.limits());
        let without = seen.without_offers(window, self.cluster.agents.len());
        all.push(Figure::seconds("longest time without offers", without, Some(fault.limits().offers)));
        all.extend(figures);
        all.extend(fault.judge(&seen, window, interrupted, &views));
        Ok(all)
    }

    async fn fill(&self) -> Result<()> {
        self.crowd.want(self.load.waiting + self.load.talking);
        let began = Instant::now();
        loop {
            let (waiting, talking) = self.world.journal.waiting_and_talking();
            if waiting * 10 >= self.load.waiting * 9 && talking * 10 >= self.load.talking * 9 {
                return Ok(());
            }
            ensure!(began.elapsed() < FILL, "only {waiting} wait and {talking} talk after {FILL:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Nobody new comes; whoever is there is served. Those who are left after twice the time that it should take hang up.
    async fn empty(&self) {
        self.crowd.want(0);
        let people = (self.load.waiting + self.load.talking) as f64;
        let longest = Duration::from_secs_f64(30.0 + 2.0 * people / self.load.calls_per_second);
        if !self.crowd.until_empty(longest).await {
            self.world.close(true);
            self.crowd.until_empty(Duration::from_secs(15)).await;
            self.world.close(false);
        }
        // Agents whose callers are gone have heard it, or hang up by themselves.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(25) && self.world.journal.desks().values().any(|desk| desk.legs > 0)
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Names of agents who are not idle with a phone that is reachable, and of calls that are shown, once nobody calls;
    /// nothing when all is quiet soon enough.
    async fn until_idle(&self, within: Duration) -> Result<Vec<String>> {
        let began = Instant::now();
        loop {
            let mut busy = Vec::new();
            for node in self.cluster.running() {
                match self.busy_at(node).await {
                    Ok(names) => busy.extend(names),
                    Err(error) => busy.push(format!("node {node}: {error:#}")),
                }
                if !busy.is_empty() {
                    break;
                }
            }
            if busy.is_empty() || began.elapsed() > within {
                return Ok(busy);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn busy_at(&self, node: u8) -> Result<Vec<String>> {
        let agents = self.cluster.ask(node, &["get", "agents"]).await?;
        let calls = self.cluster.ask(node, &["get", "calls"]).await?;
        ensure!(agents.len() == self.cluster.agents.len(), "it shows {} agents", agents.len());
        let quiet = |agent: &&serde_json::Value| agent["activity"] == "idle" && agent["reachable_devices"] != 0;
        let agents = agents
            .iter()
            .filter(|agent| !quiet(agent))
            .map(|agent| format!("{} is {}, {} devices", agent["name"], agent["activity"], agent["reachable_devices"]));
        let calls = calls.iter().map(|call| format!("{} is {}", call["name"], call["stage"]));
        Ok(agents.chain(calls).map(|text| format!("node {node}: {text}")).collect())
    }

    async fn check(&self, excuse: Option<Excuse>) -> Result<(Seen, Findings)> {
        let orphans = self.until_idle(IDLE).await?;
        let seen = Seen::from(self.world.journal.take());
        let all = self.records(&seen).await?;
        let mut findings = check::check(&seen, &all, excuse);
        findings.orphans = orphans;
        findings.records.extend(check::unknown(&seen, &all).into_iter().map(|number| format!("nobody was {number}")));
        Ok((seen, findings))
    }

    /// The records of this run on the disks of all nodes, with the node that has them. The last ones are written a moment
    /// after their calls' ends.
    async fn records(&self, seen: &Seen) -> Result<Vec<(u8, Record)>> {
        let prefix = World::prefix();
        let began = Instant::now();
        loop {
            let mut all: Vec<(u8, Record)> = Vec::new();
            for node in self.cluster.nodes() {
                let own = records::read(&node.records().await?)?;
                let own = own.into_iter().filter(|record| record.caller.number.starts_with(&prefix));
                all.extend(own.map(|record| (node.number, record)));
            }
            let known: HashSet<&str> = all.iter().map(|(_, record)| record.caller.number.as_str()).collect();
            let mut taken = seen.callers.values().filter(|caller| caller.answered.is_some());
            if taken.all(|caller| known.contains(caller.number.as_str())) || began.elapsed() > WRITTEN {
                return Ok(all);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// What is the same for all faults.
fn common(seen: &Seen, found: &Findings, window: Window, except: Option<u8>, limits: &Limits) -> Vec<Figure> {
    let before = Window { from: window.from.checked_sub(BEFORE).unwrap_or(window.from), until: window.from };
    let (hand_outs, worst) = seen.hand_outs(window);
    let after = |free: Instant| free.saturating_duration_since(window.from).as_secs_f64();
    let worst = worst.map(|(agent, free)| format!("{agent}, free {:.1} s after the fault", after(free)));
    vec![
        Figure::count("calls", seen.callers.len(), None),
        Figure::none_of("callers lost", &found.lost),
        Figure::none_of("callers overtaken", &found.overtaken),
        Figure::none_of("double or wrong connections", &found.double),
        Figure::none_of("agents rung while busy", &found.disturbed),
        Figure::none_of("calls without their one record", &found.records),
        Figure::none_of("agents or calls that hang", &found.orphans),
        Figure::milliseconds("longest gap of music", seen.music_gap(window, except), Some(limits.gap)),
        Figure::milliseconds("longest gap in a conversation", seen.talk_gap(window, except), Some(limits.gap)),
        Figure::milliseconds(
            "the same before the fault",
            seen.music_gap(before, None).max(seen.talk_gap(before, None)),
            None,
        ),
        Figure::milliseconds("lab's own delay", seen.own_delay(window), None),
        Figure::milliseconds("agent free until next ring, p50", percentile(&hand_outs, 50), None),
        Figure::milliseconds("agent free until next ring, worst", percentile(&hand_outs, 100), limits.unluckiest)
            .of(worst),
        Figure::milliseconds("agent free until next ring, p99", percentile(&hand_outs, 99), limits.hand_out),
    ]
}

/// Since 1970.
fn microseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
