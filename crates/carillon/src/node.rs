//! A whole node in one process: the only place where the rooms are connected.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use carillon_acd::ids::{CallId, Epoch, LegId, NodeId};
use carillon_acd::record::Record;
use carillon_acd::time::WallTime;
use carillon_actors::{Center, Clock, Ports, Survival, Title};
use carillon_api::Nodes;
use carillon_cluster::member::Roles;
use carillon_edge::{Callbacks, Edge, EdgeConfig, Intake, OnImage, Seal, SipTimers};
use carillon_store::config::{self, LookUp, Objects};
use carillon_store::{RecordWriter, Store};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cluster::config::NodeFile;
use crate::cluster::{Estate, KnownNodes, Member, Membership, REMEMBERED, Records, intake};
use crate::configuration::{self, Authority, Live, Owners, Settings, everything};
use crate::drain::Draining;
use crate::objects;
use crate::options::NodeOptions;
use crate::seal;
use crate::vitals::{Parts, Vitals};
use crate::wishes::Wishes;

/// The only node's number.
pub(crate) const NODE: NodeId = NodeId(1);

/// How long calls may take to say goodbye when the node stops.
const GOODBYE: Duration = Duration::from_secs(4);

/// Owners that end before the disk has taken what they say: fewer than may wait for it.
const OWNERS_AT_ONCE: usize = 4_000;

/// Each run of a node may give so many epochs to owners that it starts and restarts.
const EPOCHS_PER_RUN: u64 = 1 << 32;

/// A running node.
pub(crate) struct Node {
    edge: Option<Edge>,
    center: Center,
    store: Store,
    api: Option<Api>,
    member: Option<Member>,
    vitals: Arc<Vitals>,
    /// Follows the configuration.
    live: JoinHandle<()>,
    /// Where SIP is spoken, with the real port; `None` without the edge role.
    pub(crate) sip_addr: Option<SocketAddr>,
    /// Where the API listens, with the real port; `None` without the api role.
    pub(crate) api_addr: Option<SocketAddr>,
}

/// The API's task.
struct Api {
    served: JoinHandle<Result<(), carillon_api::ApiError>>,
    stop: oneshot::Sender<()>,
}

impl Api {
    fn start(
        listener: TcpListener,
        center: Center,
        store: Store,
        vitals: Arc<Vitals>,
        settings: Settings,
        member: Option<&Member>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let nodes = member.map(|it| -> Arc<dyn Nodes> { Arc::new(KnownNodes::new(it.membership.clone())) });
        let stopping = async {
            // A node that is dropped stops too.
            let _ = stopped.await;
        };
        let settings = Arc::new(settings);
        let served = tokio::spawn(carillon_api::serve(listener, center, store, nodes, vitals, settings, stopping));
        Api { served, stop }
    }
}

impl Node {
    /// Starts everything; when it returns, calls are taken. With `file` the node is one of a cluster. `center` is what it
    /// was started with, for when nothing is stored yet; see [`Authority`]. Answers with what it really begins
    /// with.
    pub(crate) async fn start(
        center: Option<&Objects>,
        data: Option<&Path>,
        options: &NodeOptions,
        file: Option<&NodeFile>,
    ) -> anyhow::Result<(Self, config::Center)> {
        let roles = file.map_or(Roles { edge: true, acd: true, api: true }, NodeFile::roles);
        let boot = boot()?;
        let vitals: Arc<Vitals> = Arc::default();
        if let Some(addr) = options.metrics {
            vitals.serve(listen(addr, "health and metrics", "--metrics").await?)?;
        }
        let api = if roles.api { Some(listen(options.api, "the API", "--api").await?) } else { None };
        let api_addr = api.as_ref().map(TcpListener::local_addr).transpose()?;
        let store = Store::open(data).await.context("cannot open the call records: see --data")?;
        let space = match file {
            Some(file) => file.space()?,
            None => configuration::alone(&store).await.context("cannot open the stored configuration: see --data")?,
        };
        let authority = if file.is_some() { Authority::Stored } else { Authority::FileUntilApplied };
        let look_up = if roles.edge { LookUp::Here } else { LookUp::Elsewhere };
        let opened = configuration::open(&space, center, authority, look_up).await?;
        let objects = &opened.loaded.center;
        let wishes = Wishes::new(store.load_availability().await?, store.writer());
        // The actors, the edge and the cluster call each other. The actors start first: they have no call until the edge
        // brings one, and own nothing until they are told.
        let (late_edge, late_member): (Arc<OnceLock<Edge>>, Arc<OnceLock<Membership>>) = Default::default();
        let id = file.map_or(NODE, NodeFile::id);
        let estate = file.map(|_| Estate::new(id, Disk(store.writer())));
        if let Some(estate) = estate.clone() {
            estate.remember(&store.of_other_nodes(id, before_now(REMEMBERED)).await?);
            store.writer().on_written(move |calls| estate.written(calls));
        }
        let ports = ports(&late_edge, &late_member, store.writer(), &wishes, estate.as_ref());
        let center = Center::start(id, Clock::start(), ports, objects::objects(objects)?, seed())
            .await
            .context("cannot start the actors")?;
        let epoch = Epoch(store.next_epoch().await?.0 * EPOCHS_PER_RUN);
        if file.is_none() {
            // Before the edge takes registrations: an owner who is not there would not hear of them.
            let titles = everything(objects).map(|owned| (owned, Title::forever(epoch))).collect();
            center.own(titles, Vec::new()).await?;
        }
        let edge = if roles.edge {
            let directory = Arc::new(objects::directory(objects)?);
            let config = edge_config(id, boot, options, seal::kept(data)?);
            let edge = Edge::start(config, directory, callbacks(&center, estate.clone()))?;
            // It was empty: nobody else sets it, here and below.
            let _ = late_edge.set(edge.clone());
            file.inspect(|_| edge.set_intake(Intake::Nothing));
            Some(edge)
        } else {
            None
        };
        let sip_addr = edge.as_ref().map(Edge::local_addr);
        let member = match file.zip(estate) {
            Some((file, estate)) => {
                let listener = listen(file.link(), "other nodes", "`link` in the node's file").await?;
                let advertised = sip_addr.map(|addr| SocketAddr::new(options.advertised(), addr.port()));
                let me = file.member(boot, listener.local_addr()?, advertised, api_addr);
                let transport = file.transport()?;
                let beginning = Member::begin(me, file.timing()?, space, listener, transport)?;
                let _ = late_member.set(beginning.membership.clone());
                let phones = edge.clone().map(|edge| Arc::new(edge) as _);
                let member = beginning.run(center.clone(), phones, everything(objects), estate);
                wishes.share(member.membership.cluster().space());
                if let Some(edge) = &edge {
                    tokio::spawn(intake::follow(edge.clone(), member.membership.cluster().clone()));
                }
                Some(member)
            }
            None => None,
        };
        let membership = member.as_ref().map(|member| member.membership.clone());
        let (writer, acd) = (store.writer(), roles.acd);
        let (edge_too, settings) = (edge.clone(), opened.settings.clone());
        vitals.started(Parts { center: center.clone(), edge: edge_too, writer, membership, settings, acd });
        let owners = match &member {
            Some(member) => Owners::Cluster(member.membership.clone()),
            None => Owners::Here(epoch),
        };
        let settings = opened.settings.clone();
        let api = api.map(|listener| {
            Api::start(listener, center.clone(), store.clone(), vitals.clone(), settings, member.as_ref())
        });
        let (begins_with, live) = opened.begin(Live { center: center.clone(), edge: edge.clone(), owners });
        let node = Node { edge, center, store, api, member, vitals, live, sip_addr, api_addr };
        Ok((node, begins_with))
    }

    /// Takes nothing new, hands over what it owns, and waits until its calls have ended, for at most `limit` (Spec: CL-6).
    pub(crate) async fn drain(&self, limit: Duration) {
        self.vitals.ending();
        let membership = self.member.as_ref().map(|member| &member.membership);
        Draining { center: &self.center, edge: self.edge.as_ref(), membership }.run(limit).await;
    }

    /// Ends cleanly: the API refuses, calls are hung up and recorded, sockets and files are closed.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.vitals.ending();
        self.live.abort();
        if let Some(member) = self.member {
            member.leave().await;
        }
        let served = self.api.map(|api| {
            let _ = api.stop.send(());
            api.served
        });
        self.center.hang_up_all().await;
        if let Some(edge) = self.edge {
            tracing::debug!(stats = ?edge.stats(), "the edge at the stop");
            let left = edge.shutdown(GOODBYE).await;
            if left.legs > 0 {
                tracing::warn!(legs = left.legs, "legs did not say goodbye in time");
            }
        }
        end_owners(&self.center, &self.store).await;
        let served = match served {
            Some(served) => served.await.context("the API's task")?,
            None => Ok(()),
        };
        self.store.close().await.context("cannot close the call records")?;
        served.context("the API")
    }
}

/// Ends all owners, so that what they have counted is kept.
async fn end_owners(center: &Center, store: &Store) {
    for portion in center.owned().chunks(OWNERS_AT_ONCE) {
        if let Err(error) = center.disown(portion.to_vec()).await {
            tracing::warn!(%error, "owners did not end: what they have counted last is lost");
        }
        if let Err(error) = store.writer().flush().await {
            tracing::warn!(%error, "what agents have done last is not on the disk");
        }
    }
}

async fn listen(addr: SocketAddr, whom: &str, choose: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen for {whom} on {addr}: choose another {choose}"))
}

/// Tells this run of the node from others.
fn boot() -> anyhow::Result<u32> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
    u32::try_from(since_1970.as_secs()).context("this machine's clock is after 2106")
}

fn before_now(ago: Duration) -> WallTime {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since_1970.saturating_sub(ago).as_micros()).unwrap_or(i64::MAX))
}

fn edge_config(node: NodeId, boot: u32, options: &NodeOptions, seal: Seal) -> EdgeConfig {
    EdgeConfig {
        node,
        boot,
        sip_bind: options.sip,
        advertise: options.advertised(),
        rtp_ports: options.rtp_ports.clone(),
        rtp_timeout: options.rtp_timeout,
        workers: usize::from(options.sip_workers),
        max_calls: options.max_calls as usize,
        sip_timers: SipTimers::default(),
        realm: "carillon".to_owned(),
        seal,
    }
}

/// Keeps the record of a call that is over.
fn writer(writer: RecordWriter) -> impl Fn(Record) + Send + Sync + 'static {
    move |record| {
        // The writer has logged and counted the loss; there is nobody else to tell.
        let _ = writer.try_write(record);
    }
}

/// The store, as other edges' heir needs it.
struct Disk(RecordWriter);

impl Records for Disk {
    fn write(&self, record: Record) -> bool {
        // As above: what is lost is waited for by nobody.
        self.0.try_write(record).is_err()
    }

    fn forget(&self, calls: Vec<CallId>) {
        self.0.forget(calls);
    }

    fn kept_elsewhere(&self, kept: bool) {
        self.0.kept_elsewhere(kept);
    }
}

fn callbacks(center: &Center, estate: Option<Estate>) -> Callbacks {
    let (incoming, legs, devices) = (center.clone(), center.clone(), center.clone());
    Callbacks {
        on_incoming: Arc::new(move |call| incoming.incoming(call)),
        on_leg_event: Arc::new(move |leg, event| legs.leg_event(leg, event)),
        on_reachability: Arc::new(move |change| devices.reachability(change)),
        on_image: estate.map(|estate| -> OnImage { Arc::new(move |leg, image| estate.image(leg, image)) }),
    }
}

/// A node without the edge role has no legs, so nothing is asked of the edge that it does not have. With it, the first
/// call may come while [`Edge::start`] returns; `wait` bridges those microseconds.
fn ports(
    edge: &Arc<OnceLock<Edge>>,
    member: &Arc<OnceLock<Membership>>,
    writer: RecordWriter,
    wishes: &Arc<Wishes>,
    estate: Option<&Estate>,
) -> Ports {
    let (legs, abandoned, registrar, member) = (edge.clone(), edge.clone(), edge.clone(), member.clone());
    let (notes, saving, saved) = (writer.clone(), wishes.clone(), wishes.clone());
    Ports {
        leg: Arc::new(move |leg: LegId, command| {
            if let Err(error) = legs.wait().command(leg, command) {
                tracing::error!(call_id = %leg.call, %leg, %error, "command lost");
            }
        }),
        abandon: Arc::new(move |call| abandoned.wait().abandon(call)),
        checkpoint: estate.cloned().map(|estate| -> Arc<dyn Fn(CallId, Survival) + Send + Sync> {
            Arc::new(move |call, survival| estate.checkpoint(call, survival))
        }),
        announce: Arc::new(move |agent| {
            if let Some(registrar) = registrar.get() {
                registrar.announce(agent);
            }
        }),
        record: match estate.cloned() {
            Some(estate) => Arc::new(move |record| estate.record(record)),
            None => Arc::new(self::writer(writer)),
        },
        awake: {
            let estate = estate.cloned();
            Arc::new(move || estate.as_ref().is_none_or(Estate::is_awake))
        },
        note: Arc::new(move |period| {
            // As with records.
            let _ = notes.try_note(period);
        }),
        save: Arc::new(move |agent, wish| saving.save(agent, wish)),
        saved: Arc::new(move |agent| saved.of(agent)),
        elsewhere: Arc::new(move |message| match member.get() {
            Some(member) => member.carry(message),
            None => tracing::debug!(?message, "there is no other node"),
        }),
    }
}

/// Seeds the random choices of queues (Spec: QU-4).
fn seed() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_nanos() as u64 ^ u64::from(std::process::id())
}
