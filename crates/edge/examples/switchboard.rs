//! The smallest thing that the edge can carry: every call is answered, hears music, and is joined with one phone.
//! For looking at the edge alone, without queues: point SIPp at it and read what a call costs.
//!
//! `switchboard LISTEN AGENT TRUNK`, for example `switchboard 127.0.1.1:5060 127.0.1.3:5080 127.0.1.2/32`

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carillon_acd::ids::{AgentId, DeviceId, LegId, NodeId, TrunkId};
use carillon_acd::leg::{CallerId, Cause, DialTarget, LegCommand, LegEvent, Playback};
use carillon_edge::{Callbacks, Device, Directory, Edge, EdgeConfig, EdgeError, Seal, Trunk};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, agent, trunk] = arguments.as_slice() else { return Err("LISTEN AGENT TRUNK".into()) };
    let sip_bind: std::net::SocketAddr = listen.parse()?;
    let device = DeviceId { agent: AgentId::new("default".parse()?, "agent".parse()?), index: 0 };
    let devices = vec![Device { id: device.clone(), credentials: None, contact: Some(format!("sip:agent@{agent}")) }];
    let id = TrunkId::new("default".parse()?, "trunk".parse()?);
    let trunks = vec![Trunk { id, peers: vec![trunk.parse()?], outbound: None, credentials: None }];
    let config = EdgeConfig {
        node: NodeId(1),
        boot: 1,
        sip_bind,
        advertise: sip_bind.ip(),
        rtp_ports: 20_000..=59_999,
        rtp_timeout: Duration::from_secs(60),
        workers: 1,
        max_calls: 20_000,
        sip_timers: carillon_edge::SipTimers::default(),
        realm: "switchboard".into(),
        seal: Seal::new([1; 32]),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let edge = runtime.block_on(async { start(config, Arc::new(Directory::new(devices, trunks)?), device) })?;
    runtime.block_on(async {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            println!("{:?}", edge.stats());
        }
    })
}

fn start(config: EdgeConfig, directory: Arc<Directory>, device: DeviceId) -> Result<Edge, Failure> {
    let handle: Arc<OnceLock<Edge>> = Arc::default();
    let command = {
        let handle = handle.clone();
        Arc::new(move |leg: LegId, command: LegCommand| -> Result<(), EdgeError> {
            handle.get().map_or(Err(EdgeError::Stopped), |edge| edge.command(leg, command))
        })
    };
    let tell = |result: Result<(), EdgeError>| {
        if let Err(error) = result {
            eprintln!("{error}");
        }
    };
    let on_call = command.clone();
    let on_incoming = move |incoming: carillon_acd::leg::Incoming| {
        let caller = LegId::caller(incoming.call);
        let dial = LegCommand::Dial {
            target: DialTarget::Device { device: device.clone(), at: Vec::new() },
            caller: CallerId { number: incoming.caller.number, name: incoming.caller.name },
            partner: caller,
            ring_for: Duration::from_secs(20),
        };
        tell(on_call(caller, LegCommand::Answer));
        tell(on_call(caller, LegCommand::Play(Playback::Music)));
        tell(on_call(LegId { call: incoming.call, n: 1 }, dial));
    };
    let on_leg_event = move |leg: LegId, event: LegEvent| {
        let other = LegId { call: leg.call, n: 1 - leg.n };
        match event {
            LegEvent::Answered => tell(command(leg, LegCommand::Bridge { with: other })),
            LegEvent::Ended(_) | LegEvent::Failed(_) => tell(command(other, LegCommand::HangUp(Cause::Normal))),
            LegEvent::Alerting { .. }
            | LegEvent::TakenOver { .. }
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed => {}
        }
    };
    let callbacks = Callbacks {
        on_incoming: Arc::new(on_incoming),
        on_leg_event: Arc::new(on_leg_event),
        on_reachability: Arc::new(|_| {}),
        on_image: None,
    };
    let edge = Edge::start(config, directory, callbacks)?;
    handle.set(edge.clone()).map_err(|_| "started twice")?;
    Ok(edge)
}
