//! What all workers of an edge share.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use carillon_acd::ids::DeviceId;
use carillon_acd::leg::{Contact, Reachability};
use carillon_media::{Source, music};
use carillon_sip::relay::Seal;
use carillon_sip::{Moment, Transport};

use crate::config::{Callbacks, EdgeConfig, Stats};
use crate::datapath::Datapath;
use crate::directory::{Device, Directory, Target};
use crate::intake::SharedIntake;
use crate::peers::Peers;
use crate::registry::Registry;
use crate::router::Router;
use crate::tcp::Connections;

/// Counts that every worker adds to.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    pub(crate) legs: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) silenced: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) overflowed: AtomicU64,
    pub(crate) relayed: AtomicU64,
    pub(crate) unrelayed: AtomicU64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One edge, as its workers see it.
pub(crate) struct Shared {
    pub(crate) config: EdgeConfig,
    pub(crate) callbacks: Callbacks,
    pub(crate) directory: ArcSwap<Directory>,
    /// The other edges.
    pub(crate) peers: ArcSwap<Peers>,
    /// Proves what we have passed on between them and our phones.
    pub(crate) seal: Seal,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) router: Arc<Router>,
    pub(crate) udp: UdpSocket,
    pub(crate) local: SocketAddr,
    pub(crate) connections: Connections,
    pub(crate) datapath: Datapath,
    pub(crate) counters: Counters,
    /// Transactions of each worker, as it last counted them.
    pub(crate) transactions: Vec<AtomicU64>,
    /// What each worker remembers beside legs, as it last counted it.
    pub(crate) remembered: Vec<AtomicU64>,
    pub(crate) stopping: AtomicBool,
    pub(crate) intake: SharedIntake,
    /// Composed in the background at the start.
    pub(crate) music: OnceLock<Source>,
    pub(crate) ringing: Source,
    pub(crate) done: Source,
    pub(crate) declined: Source,
    pub(crate) start: Instant,
    /// The address that peers are told.
    pub(crate) sent_by: SocketAddr,
    /// Our host in a From URI.
    pub(crate) sent_by_host: String,
    /// Our Contact value over UDP and over TCP.
    pub(crate) contacts: [String; 2],
}

impl Shared {
    pub(crate) fn now(&self) -> Moment {
        Moment::at(self.start.elapsed())
    }

    /// Calls with at least one leg, in all workers.
    pub(crate) fn calls(&self) -> usize {
        usize::try_from(self.counters.calls.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Our Contact value for a dialog over this transport.
    pub(crate) fn contact(&self, transport: Transport) -> &str {
        &self.contacts[usize::from(transport.is_reliable())]
    }

    /// The hold music that everybody hears in step.
    pub(crate) fn music(&self) -> &Source {
        self.music.get_or_init(|| Source::in_step(Arc::new(music::compose())))
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells where a user's device is now. The registry is held meanwhile, so that reports keep the order of what they
    /// report.
    pub(crate) fn report_user(&self, now: Moment, registry: &Registry, username: &str) {
        let directory = self.directory.load();
        if let Some(device) = directory.device_by_username(username) {
            self.report(&device.id, contacts_of(&directory, registry, now, device));
        }
    }

    pub(crate) fn report(&self, device: &DeviceId, contacts: Vec<Contact>) {
        let (agent, device, edge) = (device.agent.clone(), device.index, self.config.node);
        (self.callbacks.on_reachability)(Reachability { agent, device, edge, contacts });
    }

    pub(crate) fn stats(&self) -> Stats {
        let c = &self.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let inboxes = 0..self.router.workers();
        Stats {
            calls: get(&c.calls),
            legs: get(&c.legs),
            transactions: self.transactions.iter().map(get).sum(),
            remembered: self.remembered.iter().map(get).sum(),
            streams: self.datapath.totals().streams,
            registrations: self.registry().registrations() as u64,
            connections: self.connections.len() as u64,
            received: get(&c.received),
            silenced: get(&c.silenced),
            malformed: get(&c.malformed),
            refused: get(&c.refused),
            relayed: get(&c.relayed),
            unrelayed: get(&c.unrelayed),
            overflowed: get(&c.overflowed) + inboxes.map(|i| self.router.inbox(i).overflowed()).sum::<u64>(),
        }
    }
}

/// Where a device can be reached from here: at its fixed contact, and where it has registered.
pub(crate) fn contacts_of(directory: &Directory, registry: &Registry, now: Moment, device: &Device) -> Vec<Contact> {
    let fixed = directory.fixed_contact(&device.id).and_then(Target::contact);
    fixed.into_iter().chain(registry.contacts(now, device)).collect()
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edge({})", self.local)
    }
}
