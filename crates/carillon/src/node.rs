//! A whole node in one process: the only place where the rooms are connected.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use carillon_acd::ids::{Epoch, LegId, NodeId};
use carillon_actors::{Center, Clock, Ports};
use carillon_edge::{Callbacks, Edge, EdgeConfig, SipTimers};
use carillon_store::{RecordWriter, Store, config};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::objects;
use crate::options::NodeOptions;

/// How long calls may take to say goodbye when the node stops.
const GOODBYE: Duration = Duration::from_secs(4);

/// Each run of a node may give so many epochs to owners that it starts and restarts.
const EPOCHS_PER_RUN: u64 = 1 << 32;

/// A running node.
pub(crate) struct Node {
    edge: Edge,
    center: Center,
    store: Store,
    api: JoinHandle<Result<(), carillon_api::ApiError>>,
    stop_api: oneshot::Sender<()>,
    /// Where the API listens, with the real port.
    pub(crate) api_addr: SocketAddr,
}

impl Node {
    /// Starts everything; when it returns, calls are taken.
    pub(crate) async fn start(
        objects: &config::Center,
        data: Option<&Path>,
        options: &NodeOptions,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.api)
            .await
            .with_context(|| format!("cannot listen for the API on {}: choose another --api", options.api))?;
        let api_addr = listener.local_addr()?;
        let store = Store::open(data).await.context("cannot open the call records: see --data")?;
        let epoch = Epoch(store.next_epoch().await?.0 * EPOCHS_PER_RUN);
        let saved = store.load_availability().await?;
        // The actors and the edge call each other. The actors start first: they have no call until the edge brings one.
        let late_edge: Arc<OnceLock<Edge>> = Arc::default();
        let ports = ports(&late_edge, store.writer());
        let center = Center::start(Clock::start(), ports, objects::objects(objects, saved)?, epoch, seed())
            .await
            .context("cannot start the actors")?;
        let directory = Arc::new(objects::directory(objects)?);
        let edge = Edge::start(edge_config(options)?, directory, callbacks(&center))?;
        // It was empty: nobody else sets it.
        let _ = late_edge.set(edge.clone());
        let (stop_api, stopped) = oneshot::channel();
        let api = tokio::spawn(carillon_api::serve(listener, center.clone(), store.clone(), async {
            let _ = stopped.await;
        }));
        Ok(Node { edge, center, store, api, stop_api, api_addr })
    }

    /// Where SIP is spoken, with the real port.
    pub(crate) fn sip_addr(&self) -> SocketAddr {
        self.edge.local_addr()
    }

    /// Ends cleanly: the API refuses, calls are hung up and recorded, sockets and files are closed.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop_api.send(());
        tracing::debug!(stats = ?self.edge.stats(), "the edge at the stop");
        self.center.hang_up_all().await;
        let left = self.edge.shutdown(GOODBYE).await;
        if left.legs > 0 {
            tracing::warn!(legs = left.legs, "legs did not say goodbye in time");
        }
        let served = self.api.await.context("the API's task")?;
        self.store.close().await.context("cannot close the call records")?;
        served.context("the API")
    }
}

fn edge_config(options: &NodeOptions) -> anyhow::Result<EdgeConfig> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
    Ok(EdgeConfig {
        node: NodeId(1),
        boot: u32::try_from(since_1970.as_secs()).context("this machine's clock is after 2106")?,
        sip_bind: options.sip,
        advertise: options.advertised(),
        rtp_ports: options.rtp_ports.clone(),
        rtp_timeout: options.rtp_timeout,
        workers: usize::from(options.sip_workers),
        max_calls: options.max_calls as usize,
        sip_timers: SipTimers::default(),
        realm: "carillon".to_owned(),
    })
}

fn callbacks(center: &Center) -> Callbacks {
    let (incoming, legs, devices) = (center.clone(), center.clone(), center.clone());
    Callbacks {
        on_incoming: Arc::new(move |call| incoming.incoming(call)),
        on_leg_event: Arc::new(move |leg, event| legs.leg_event(leg, event)),
        on_reachability: Arc::new(move |change| devices.reachability(change)),
    }
}

/// The first call may come while [`Edge::start`] returns; `wait` bridges those microseconds.
fn ports(edge: &Arc<OnceLock<Edge>>, writer: RecordWriter) -> Ports {
    let (legs, abandoned, registrar) = (edge.clone(), edge.clone(), edge.clone());
    let (notes, availability) = (writer.clone(), writer.clone());
    Ports {
        leg: Arc::new(move |leg: LegId, command| {
            if let Err(error) = legs.wait().command(leg, command) {
                tracing::error!(call_id = %leg.call, %leg, %error, "command lost");
            }
        }),
        abandon: Arc::new(move |call| abandoned.wait().abandon(call)),
        announce: Arc::new(move |agent| registrar.wait().announce(agent)),
        record: Arc::new(move |record| {
            // The writer has logged and counted the loss; there is nobody else to tell.
            let _ = writer.try_write(record);
        }),
        note: Arc::new(move |period| {
            // As with records.
            let _ = notes.try_note(period);
        }),
        save: Arc::new(move |agent, saved| availability.save_availability(agent, saved)),
    }
}

/// Seeds the random choices of queues (Spec: QU-4).
fn seed() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_nanos() as u64 ^ u64::from(std::process::id())
}
