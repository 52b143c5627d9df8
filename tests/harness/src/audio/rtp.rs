//! One call's RTP: sends a tone every 20 ms, takes the tone that comes in to pieces, sends and reads key presses
//! (RFC 3550, RFC 4733).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::g711::Codec;
use super::tone::{Sine, Sound, classify};

/// Samples in a packet of 20 ms.
const FRAME: usize = 160;
/// Samples in a measured window: 100 ms.
const WINDOW: usize = 5 * FRAME;
/// Windows that [`Heard`] remembers.
const KEPT: usize = 64;
/// Payload type of telephone-event in our descriptions.
pub const EVENT_TYPE: u8 = 101;
const KEYS: &[u8] = b"0123456789*#ABCD";

/// Packets come every 20 ms; a longer time without one than this is remembered.
const PAUSE: Duration = Duration::from_millis(30);
/// Pauses that [`Heard`] remembers.
const PAUSES: usize = 64;

/// A time in which nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When the last packet before it came.
    pub began: Instant,
    /// How long it was.
    pub length: Duration,
}

/// What came in so far. Nothing in it is ever taken back, so a late reader misses nothing but old windows.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Packets from the other side.
    pub packets: u64,
    /// Packets from any other address: nobody but the other side should know our port.
    pub strangers: u64,
    /// Measured windows, 100 ms each.
    pub windows: u64,
    /// The newest windows, newest last.
    pub latest: VecDeque<Sound>,
    /// Key presses, one character each.
    pub keys: String,
    /// When the first and the newest packet came.
    pub between: Option<(Instant, Instant)>,
    /// The newest pauses of more than 30 ms between packets, newest last.
    pub pauses: VecDeque<Pause>,
}

impl Heard {
    fn note_arrival(&mut self, now: Instant) {
        let (first, last) = self.between.unwrap_or((now, now));
        let length = now - last;
        if length > PAUSE {
            self.pauses.push_back(Pause { began: last, length });
            if self.pauses.len() > PAUSES {
                self.pauses.pop_front();
            }
        }
        self.between = Some((first, now));
    }

    /// The windows that came after the first `since` ones, as far as they are remembered.
    pub fn after(&self, since: u64) -> impl Iterator<Item = Sound> {
        let fresh = self.windows.saturating_sub(since).min(self.latest.len() as u64) as usize;
        self.latest.iter().skip(self.latest.len() - fresh).copied()
    }
}

/// Where and how to send; changed by the signalling while the stream runs.
#[derive(Debug)]
struct Outgoing {
    peer: Option<SocketAddr>,
    codec: Codec,
    event_type: u8,
    tone: Option<Sine>,
    keys: VecDeque<u8>,
}

/// The audio of one call. Its task ends when this is dropped.
#[derive(Debug)]
pub struct Audio {
    local: SocketAddr,
    outgoing: Arc<Mutex<Outgoing>>,
    heard: watch::Receiver<Heard>,
    task: AbortHandle,
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Audio {
    /// Opens a port of `ip`. Nothing is sent before [`Audio::send_to`].
    pub async fn open(ip: IpAddr) -> Result<Audio> {
        let socket = even_socket(ip).await?;
        let local = socket.local_addr().context("the RTP socket's address")?;
        let outgoing = Arc::new(Mutex::new(Outgoing {
            peer: None,
            codec: Codec::Pcmu,
            event_type: EVENT_TYPE,
            tone: None,
            keys: VecDeque::new(),
        }));
        let (tell, heard) = watch::channel(Heard::default());
        let stream = Stream { socket, outgoing: outgoing.clone(), tell, sender: Sender::new(local.port()) };
        let task = tokio::spawn(stream.run()).abort_handle();
        Ok(Audio { local, outgoing, heard, task })
    }

    /// The address to put into our description.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    fn change(&self, f: impl FnOnce(&mut Outgoing)) {
        f(&mut self.outgoing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Sends to `peer` from now on, or to nobody.
    pub fn send_to(&self, peer: Option<SocketAddr>, codec: Codec, event_type: Option<u8>) {
        self.change(|o| {
            o.peer = peer;
            o.codec = codec;
            o.event_type = event_type.unwrap_or(EVENT_TYPE);
        });
    }

    /// What to send: a sine of this many hertz, or nothing at all.
    pub fn say(&self, hertz: Option<f64>) {
        self.change(|o| o.tone = hertz.map(Sine::new));
    }

    /// Presses keys (`0`–`9`, `*`, `#`, `A`–`D`), 100 ms each.
    pub fn press(&self, keys: &str) {
        self.change(|o| o.keys.extend(keys.bytes().filter(|k| KEYS.contains(k))));
    }

    /// What came in so far.
    pub fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    /// How long nothing has come in; `None` before the first packet.
    pub fn silent_for(&self) -> Option<Duration> {
        self.heard.borrow().between.map(|(_, last)| last.elapsed())
    }

    /// Waits until `windows` windows in a row, all from now on, are as `wanted` says.
    pub async fn hears(
        &self,
        what: &str,
        windows: usize,
        within: Duration,
        wanted: impl Fn(Sound) -> bool,
    ) -> Result<()> {
        let mut heard = self.heard.clone();
        let since = heard.borrow_and_update().windows;
        let enough = |h: &Heard| {
            let mut run = 0;
            h.after(since).any(|sound| {
                run = if wanted(sound) { run + 1 } else { 0 };
                run >= windows
            })
        };
        let Err(_) = tokio::time::timeout(within, heard.wait_for(enough)).await else { return Ok(()) };
        let h = self.heard();
        let tail: Vec<Sound> = h.after(since).collect();
        bail!("port {} did not hear {what} within {within:?}; {} packets; heard {tail:?}", self.local.port(), h.packets)
    }

    /// Waits for 300 ms of a tone within `part` of `hertz`.
    pub async fn hears_tone(&self, hertz: f64, part: f64, within: Duration) -> Result<()> {
        self.hears(&format!("a tone of {hertz} Hz"), 3, within, |s| s.is_tone(hertz, part)).await
    }

    /// Waits for anything audible: ringing tone, music, a voice.
    pub async fn hears_anything(&self, within: Duration) -> Result<()> {
        self.hears("anything", 3, within, Sound::is_audible).await
    }

    /// Waits until `keys` were pressed on the other side, in all.
    pub async fn hears_keys(&self, keys: &str, within: Duration) -> Result<()> {
        let mut heard = self.heard.clone();
        let Err(_) = tokio::time::timeout(within, heard.wait_for(|h| h.keys == keys)).await else { return Ok(()) };
        bail!("did not hear the keys {keys:?} within {within:?}, but {:?}", self.heard().keys)
    }
}

/// RTP ports are even (RFC 3550 §11).
async fn even_socket(ip: IpAddr) -> Result<UdpSocket> {
    for _ in 0..64 {
        let socket = UdpSocket::bind((ip, 0)).await.with_context(|| format!("an RTP port on {ip}"))?;
        if socket.local_addr().context("the RTP socket's address")?.port() % 2 == 0 {
            return Ok(socket);
        }
    }
    bail!("no even port on {ip} in 64 attempts")
}

/// The task behind an [`Audio`].
struct Stream {
    socket: UdpSocket,
    outgoing: Arc<Mutex<Outgoing>>,
    tell: watch::Sender<Heard>,
    sender: Sender,
}

impl Stream {
    async fn run(mut self) {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut receiver = Receiver::default();
        let mut packet = [0u8; 2048];
        loop {
            tokio::select! {
                _ = clock.tick() => self.send_one().await,
                got = self.socket.recv_from(&mut packet) => {
                    // An error here is an ICMP "port unreachable" of something we sent; the stream goes on.
                    let Ok((length, from)) = got else { continue };
                    let peer = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).peer;
                    self.tell.send_modify(|heard| receiver.take(&packet[..length], peer, from, heard));
                }
            }
        }
    }

    async fn send_one(&mut self) {
        let next = {
            let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
            outgoing.peer.and_then(|peer| Some((self.sender.next(&mut outgoing)?, peer)))
        };
        if let Some((packet, peer)) = next {
            // A full socket buffer loses a packet, as a network would.
            let _lost = self.socket.send_to(&packet, peer).await;
        }
    }
}

/// Makes the packets.
struct Sender {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Key, packets of it already sent, timestamp of its begin.
    key: Option<(u8, u16, u32)>,
    spoke: bool,
}

/// Packets of a key press: 100 ms, then the end three times (RFC 4733 §2.5.1.4), then a pause.
const KEY_PACKETS: u16 = 5;
const KEY_ENDS: u16 = 3;
const KEY_PAUSE: u16 = 4;

impl Sender {
    fn new(port: u16) -> Self {
        let ssrc = rand::random::<u32>() ^ u32::from(port);
        Sender { ssrc, sequence: rand::random(), timestamp: rand::random(), key: None, spoke: false }
    }

    fn next(&mut self, outgoing: &mut Outgoing) -> Option<Vec<u8>> {
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        if self.key.is_none() {
            self.key = outgoing.keys.pop_front().map(|key| (key, 0, self.timestamp));
        }
        if let Some((key, sent, began)) = self.key {
            self.key = (sent + 1 < KEY_PACKETS + KEY_ENDS + KEY_PAUSE).then_some((key, sent + 1, began));
            return (sent < KEY_PACKETS + KEY_ENDS).then(|| self.key_packet(key, sent, began, outgoing.event_type));
        }
        let Some(tone) = outgoing.tone.as_mut() else {
            self.spoke = false;
            return None;
        };
        let mut packet = self.header(outgoing.codec.payload_type(), !self.spoke, self.timestamp);
        self.spoke = true;
        packet.extend(tone.take(FRAME).map(|s| outgoing.codec.encode(s)));
        Some(packet)
    }

    fn key_packet(&mut self, key: u8, sent: u16, began: u32, payload_type: u8) -> Vec<u8> {
        let event = KEYS.iter().position(|&k| k == key).unwrap_or(0) as u8;
        let end = if sent >= KEY_PACKETS { 0x80 } else { 0 };
        let duration = (sent + 1).min(KEY_PACKETS) * FRAME as u16;
        let mut packet = self.header(payload_type, sent == 0, began);
        packet.extend([event, end | 10]);
        packet.extend(duration.to_be_bytes());
        packet
    }

    fn header(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = Vec::with_capacity(12 + FRAME);
        packet.extend([0x80, payload_type | if marker { 0x80 } else { 0 }]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet
    }
}

/// Reads the packets. A window is only measured when its packets follow each other without a gap.
#[derive(Default)]
struct Receiver {
    window: Vec<i16>,
    next: Option<(u32, u16)>,
    last_key: Option<u32>,
}

impl Receiver {
    fn take(&mut self, packet: &[u8], peer: Option<SocketAddr>, from: SocketAddr, heard: &mut Heard) {
        // Version 2, no padding, no extension, no contributing sources: what a plain telephone sends.
        if packet.len() < 12 || packet[0] != 0x80 {
            return;
        }
        if peer.is_some_and(|p| p != from) {
            heard.strangers += 1;
            return;
        }
        heard.packets += 1;
        heard.note_arrival(Instant::now());
        let word = |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let (sequence, timestamp, ssrc) = (word(0) as u16, word(4), word(8));
        let codec = match packet[1] & 0x7f {
            0 => Codec::Pcmu,
            8 => Codec::Pcma,
            _ => return self.take_key(&packet[12..], timestamp, heard),
        };
        if self.next != Some((ssrc, sequence)) {
            self.window.clear();
        }
        self.next = Some((ssrc, sequence.wrapping_add(1)));
        self.window.extend(packet[12..].iter().map(|&octet| codec.decode(octet)));
        if self.window.len() >= WINDOW {
            heard.windows += 1;
            heard.latest.push_back(classify(&self.window));
            if heard.latest.len() > KEPT {
                heard.latest.pop_front();
            }
            self.window.clear();
        }
    }

    /// All packets of one key press carry the same timestamp (RFC 4733 §2.3.1).
    fn take_key(&mut self, payload: &[u8], timestamp: u32, heard: &mut Heard) {
        let Some(&key) = payload.first().and_then(|&event| KEYS.get(usize::from(event))) else { return };
        if payload.len() == 4 && self.last_key != Some(timestamp) {
            self.last_key = Some(timestamp);
            heard.keys.push(char::from(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test]
    async fn two_streams_hear_each_other_and_each_key_once() -> Result<()> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (a, b) = (Audio::open(ip).await?, Audio::open(ip).await?);
        a.send_to(Some(b.local()), Codec::Pcmu, None);
        b.send_to(Some(a.local()), Codec::Pcma, None);
        a.say(Some(600.0));
        b.say(Some(1_150.0));
        let soon = Duration::from_secs(5);
        a.hears_tone(1_150.0, 0.01, soon).await?;
        b.hears_tone(600.0, 0.01, soon).await?;
        a.press("12#");
        b.hears_keys("12#", soon).await?;
        assert!(a.hears_tone(600.0, 0.01, Duration::from_millis(300)).await.is_err());
        Ok(())
    }
}
