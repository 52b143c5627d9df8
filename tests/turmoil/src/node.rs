//! One node: the product's actors, links and cluster, wired as the product wires them; only the edge is scripted.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carillon::cluster::{Estate, Member, Membership, Phones, Records};
use carillon_acd::agent::SavedAvailability;
use carillon_acd::ids::{AgentId, CallId, LegId, NodeId};
use carillon_acd::leg::{Cause, LegCommand, LegEvent, Reachability};
use carillon_acd::record::Record;
use carillon_actors::{Center, Clock, Ports};
use carillon_cluster::member::{Addresses, Node, Roles};
use carillon_cluster::ownership::Timing;
use carillon_cluster::space::Space;

use crate::center;
use crate::network::{Door, address, transport};
use crate::world::{Said, Survey, World};

/// How often people at this edge's phones do something.
const MOMENT: Duration = Duration::from_millis(100);
/// How many of these pass between two looks at everything that the node has.
const SURVEY: u32 = 5;
/// How often a node's links are looked at.
const LINKS: Duration = Duration::from_millis(20);

/// A run of a node, until it crashes.
pub(crate) async fn run(world: Arc<World>, me: NodeId) -> turmoil::Result {
    let boot = world.boots(me);
    let door = Door::open().await?;
    let (late_center, late_member): (Arc<OnceLock<Center>>, Arc<OnceLock<Membership>>) = Default::default();
    let estate = Estate::new(me, Disk { world: world.clone(), me });
    estate.remember(&world.records_of_others(me));
    let ports = ports(&world, me, &late_center, &late_member, &estate);
    let (clock, objects) = (Clock::simulated(world.wall(me)), center::objects(world.seed()));
    let center = Center::start(me, clock, ports, objects, world.seed() ^ u64::from(boot)).await?;
    // They were empty: nobody else sets them.
    let _ = late_center.set(center.clone());
    let beginning =
        Member::begin(introduction(me, boot), Timing::default(), world.space(me), door, transport(world.clone(), me))?;
    let _ = late_member.set(beginning.membership.clone());
    let edge = Edge { world: world.clone(), me, center: late_center, estate: estate.clone() };
    let phones: Arc<dyn Phones> = Arc::new(edge.clone());
    let member = beginning.run(center.clone(), Some(phones), center::everything(), estate);
    member.membership.cluster().status().wait_for(|status| status.informed).await?;
    world.takes_calls(me);
    tokio::spawn(drain(world.clone(), world.space(me), me));
    tokio::spawn(look_at_links(world.clone(), member.membership.clone(), me));
    for moment in 0_u32.. {
        tokio::time::sleep(MOMENT).await;
        world.registrations(me).into_iter().for_each(|report| center.reachability(report));
        if let Some(incoming) = world.caller_comes(me) {
            center.incoming(incoming);
        }
        for call in world.impatient(me) {
            center.leg_event(LegId::caller(call), LegEvent::Ended(Cause::Normal));
        }
        for leg in world.without_audio(me) {
            edge.happens(&center, leg, LegEvent::Ended(Cause::MediaTimeout));
        }
        if moment % SURVEY == 0 {
            let calls = center.calls().await.len();
            world.surveyed(me, Survey { agents: center.agents().await, queues: center.queues().await, calls });
        }
    }
    Ok(())
}

/// Somebody drains the node, and asks again while the coordinator does not answer.
async fn drain(world: Arc<World>, space: Space, me: NodeId) {
    // An earlier run may have been drained, and what got no answer may have been done.
    let mut drains = None;
    loop {
        let wanted = world.is_to_drain(me);
        if drains != Some(wanted) {
            drains = space.drain(me, wanted).await.is_ok().then_some(wanted);
        }
        tokio::time::sleep(MOMENT).await;
    }
}

/// What a node cannot know without a link it cannot be blamed for.
async fn look_at_links(world: Arc<World>, membership: Membership, me: NodeId) {
    loop {
        world.linked(me, &membership.linked());
        world.looks_for_owners(me, membership.cluster().directory());
        tokio::time::sleep(LINKS).await;
    }
}

fn introduction(me: NodeId, boot: u32) -> Node {
    let link = address(me);
    let signalling = vec![SocketAddr::new(link.ip(), 5060).to_string()];
    Node {
        id: me,
        boot,
        roles: Roles { edge: true, acd: true, api: true },
        addresses: Addresses { link: link.to_string(), signalling, media: vec![link.ip()], api: None },
        zone: None,
        version: "simulated".to_owned(),
        draining: false,
        standing: false,
    }
}

/// The disk of a node. It is as fast as the node.
struct Disk {
    world: Arc<World>,
    me: NodeId,
}

impl Records for Disk {
    fn write(&self, record: Record) -> bool {
        self.world.record(self.me, record);
        true
    }

    fn forget(&self, calls: Vec<CallId>) {
        self.world.forget_records(self.me, &calls);
    }

    fn kept_elsewhere(&self, _: bool) {}
}

/// The edge of a node: commanded by its calls, and asked by its cluster.
#[derive(Clone)]
struct Edge {
    world: Arc<World>,
    me: NodeId,
    center: Arc<OnceLock<Center>>,
    estate: Estate,
}

impl Phones for Edge {
    fn reachability(&self, agent: &AgentId) -> Vec<Reachability> {
        self.world.registered(self.me, agent).into_iter().collect()
    }

    fn update_peers(&self, _: &mut dyn Iterator<Item = (NodeId, SocketAddr)>) {}

    fn forsake(&self, call: CallId, theirs: &[LegId]) {
        self.world.forsake(self.me, call, theirs);
    }

    fn abandon(&self, call: CallId) {
        self.world.abandon(self.me, call);
    }

    fn reclaim(&self, _: CallId, theirs: &[LegId]) {
        let Some(center) = self.center.get() else { return };
        for leg in theirs {
            self.later(center, *leg, self.world.reclaim(self.me, *leg));
            self.tell_image(*leg);
        }
    }
}

fn ports(
    world: &Arc<World>,
    me: NodeId,
    center: &Arc<OnceLock<Center>>,
    member: &Arc<OnceLock<Membership>>,
    estate: &Estate,
) -> Ports {
    let edge = Edge { world: world.clone(), me, center: center.clone(), estate: estate.clone() };
    let (registrar, checkpointed) = (world.clone(), world.clone());
    let (ended, awake, kept) = (estate.clone(), estate.clone(), estate.clone());
    let (announced, member) = (center.clone(), member.clone());
    let abandoned = world.clone();
    Ports {
        leg: Arc::new(move |leg, command| edge.perform(leg, &command)),
        abandon: Arc::new(move |call| abandoned.breaks(format!("the actor of {call} has failed"))),
        announce: Arc::new(move |agent| {
            if let (Some(report), Some(center)) = (registrar.registered(me, agent), announced.get()) {
                center.reachability(report);
            }
        }),
        checkpoint: Some(Arc::new(move |call, survival| {
            checkpointed.checkpoint(call, &survival);
            kept.checkpoint(call, survival);
        })),
        awake: Arc::new(move || awake.is_awake()),
        record: Arc::new(move |record| ended.record(record)),
        note: Arc::new(|_| {}),
        save: Arc::new(|_, _| {}),
        saved: Arc::new(|_| SavedAvailability::default()),
        elsewhere: Arc::new(move |message| {
            if let Some(member) = member.get() {
                member.carry(message);
            }
        }),
    }
}

impl Edge {
    fn perform(&self, leg: LegId, command: &LegCommand) {
        let then = self.world.command(self.me, leg, command);
        if let Some(center) = self.center.get() {
            self.later(center, leg, then);
        }
        self.tell_image(leg);
    }

    /// What the person at the phone will do happens on this node, and not at all when it crashes before.
    fn later(&self, center: &Center, leg: LegId, then: Vec<(Duration, LegEvent)>) {
        for (after, event) in then {
            let (edge, center) = (self.clone(), center.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                edge.happens(&center, leg, event);
            });
        }
    }

    fn happens(&self, center: &Center, leg: LegId, event: LegEvent) {
        let Said { event, then } = self.world.happens(self.me, leg, event);
        event.into_iter().for_each(|event| center.leg_event(leg, event));
        self.later(center, leg, then);
        self.tell_image(leg);
    }

    fn tell_image(&self, leg: LegId) {
        if let Some(image) = self.world.image(self.me, leg) {
            self.estate.image(leg, image);
        }
    }
}
