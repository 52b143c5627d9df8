//! What the datapath costs: CPU time of its thread per leg that hears music, and per bridged call with RTP both ways.
//!
//! `cargo run --release --example datapath_load -- waiting|bridged COUNT [SECONDS]`. All peers have one address, as in
//! the bench, so every leg has a port of its own: the dearest case. Figures are CPU time, not wall time.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use carillon_edge::datapath::{Datapath, DatapathConfig, Expected, Latching, MediaEvent, PlayToken, StreamId, Totals};
use carillon_media::rtp::Header;
use carillon_media::{Codec, Direction, Negotiated, PayloadTypes, Source, music};

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let number = |index: usize, default| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, seconds) = (number(2, 500), number(3, 10));
    let datapath = Datapath::start(DatapathConfig::new(IpAddr::from([127, 0, 0, 1])), Arc::new(|_: MediaEvent| {}))
        .expect("the system gives a thread");
    let peer = UdpSocket::bind("127.0.0.3:0").expect("loopback is there");
    let sink = peer.try_clone().expect("a descriptor is left");
    thread::spawn(move || while sink.recv(&mut [0; 2_000]).is_ok() {});
    let address = peer.local_addr().expect("it is bound");

    let stop = Arc::new(AtomicBool::new(false));
    let per_unit = match arguments.get(1).map(String::as_str) {
        Some("waiting") => {
            wait_with_music(&datapath, address, count);
            50.0
        }
        Some("bridged") => {
            let ports = bridge_calls(&datapath, address, count);
            let stop = stop.clone();
            thread::spawn(move || talk(&peer, &ports, &stop));
            100.0
        }
        Some(_) | None => return eprintln!("datapath_load waiting|bridged COUNT [SECONDS]"),
    };
    thread::sleep(Duration::from_secs(1));
    let (before, cpu_before) = (datapath.totals(), thread_cpu());
    let begun = Instant::now();
    thread::sleep(Duration::from_secs(seconds));
    let (after, cpu) = (datapath.totals(), thread_cpu() - cpu_before);
    stop.store(true, Relaxed);
    report(count, per_unit, &before, &after, cpu, begun.elapsed());
}

fn report(count: u64, expected: f64, before: &Totals, after: &Totals, cpu: Duration, elapsed: Duration) {
    let sent = after.sent - before.sent;
    let core = 100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64();
    println!("{count} units, {} ports: {core:.2} % of a core, {:.4} % each", after.ports, core / count as f64);
    println!(
        "{sent} packets sent ({:.1} per unit and second, {expected} expected), {:.2} us each, {} not sent",
        sent as f64 / count as f64 / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / sent as f64,
        after.unsent - before.unsent,
    );
}

fn negotiated(peer: SocketAddr) -> Negotiated {
    let types = PayloadTypes { codec: Codec::Pcmu, audio: 0, telephone_event: None };
    let direction = Direction::SendRecv;
    Negotiated { peer, send: types, receive: types, direction, peer_direction: direction }
}

fn leg(datapath: &Datapath, stream: StreamId, peer: SocketAddr) -> SocketAddr {
    let ours = datapath.allocate(stream, Expected::Address(peer)).expect("a port is left");
    datapath.set_peer(stream, negotiated(peer), Latching::Off).expect("the port is its own");
    ours
}

fn wait_with_music(datapath: &Datapath, peer: SocketAddr, count: u64) {
    let begun = Instant::now();
    let music = Arc::new(music::compose());
    println!("the music was composed in {:?}", begun.elapsed());
    for call in 0..count {
        let stream = StreamId::new(call, 0);
        leg(datapath, stream, peer);
        datapath.play(stream, Source::in_step(music.clone()), PlayToken(0));
    }
}

fn bridge_calls(datapath: &Datapath, peer: SocketAddr, count: u64) -> Vec<SocketAddr> {
    let mut ports = Vec::new();
    for call in 0..count {
        let pair = [StreamId::new(call, 0), StreamId::new(call, 1)];
        ports.extend(pair.map(|stream| leg(datapath, stream, peer)));
        datapath.bridge(pair[0], pair[1]);
    }
    ports
}

/// Sends 50 packets a second to each port, spread over the 20 ms.
fn talk(socket: &UdpSocket, ports: &[SocketAddr], stop: &AtomicBool) {
    let begun = Instant::now();
    let group = ports.len().div_ceil(20).max(1);
    for frame in 0u32.. {
        for (millis, group) in (0u32..).zip(ports.chunks(group)) {
            let due = begun + Duration::from_millis(u64::from(frame * 20 + millis));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            for &port in group {
                let header =
                    Header { marker: false, payload_type: 0, sequence: frame as u16, timestamp: frame * 160, ssrc: 7 };
                let packet = [header.to_bytes().as_slice(), &[0x55; 160]].concat();
                let _ = socket.send_to(&packet, port);
            }
        }
        if stop.load(Relaxed) {
            return;
        }
    }
}

/// CPU time of the datapath's thread so far.
fn thread_cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("proc is mounted").flatten();
    let is_rtp =
        |path: &std::path::Path| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("rtp-"));
    let nanos = |path: &std::path::Path| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let paths = tasks.map(|task| task.path()).filter(|path| is_rtp(path));
    Duration::from_nanos(paths.filter_map(|path| nanos(&path)).sum())
}
