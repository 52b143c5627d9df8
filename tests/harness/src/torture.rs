//! The messages of RFC 4475 and RFC 5118, and mutations of them, sent from the addresses that answers to them go to.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::UdpSocket;

/// One message and what `index.tsv` says of it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Folder and file.
    pub file: String,
    /// What a parser must do.
    pub parser: String,
    /// What an element must answer, in words; the statuses are in it as numbers.
    pub expected: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// They live beside the reader that was written with them.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sip/tests/torture")
}

/// All messages, in the order of the index.
pub fn messages() -> Result<Vec<Message>> {
    let index = folder().join("index.tsv");
    let text = std::fs::read_to_string(&index).with_context(|| index.display().to_string())?;
    let mut rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names = rows.next().context("an empty index")?;
    let column = |name: &str| names.iter().position(|n| *n == name).with_context(|| format!("no column {name}"));
    let (file, parser, expected) = (column("file")?, column("parser")?, column("expected")?);
    let read = |row: Vec<&str>| {
        let path = folder().join(row[file]);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(Message { file: row[file].into(), parser: row[parser].into(), expected: row[expected].into(), bytes })
    };
    // The index also lists RFC 5118's messages as printed, which are not sendable and not here.
    rows.filter(|row| row[file].ends_with(".dat")).map(read).collect()
}

impl Message {
    /// Whether these final answers are among those that the index allows: one of its statuses, or none where it asks for
    /// silence. `None` where the index names no status. What it asks of proxies only does not count.
    pub fn allows(&self, answers: &[u16]) -> Option<bool> {
        let clauses = self.expected.split(';').filter(|clause| !clause.trim().starts_with("proxy:"));
        let expected: String = clauses.collect::<Vec<_>>().join(";");
        if self.parser.contains("discard") || expected.contains("discard") || expected.contains("silently dropped") {
            return Some(answers.is_empty());
        }
        let words = expected.split(|c: char| !c.is_ascii_digit());
        let statuses: Vec<u16> =
            words.filter(|w| w.len() == 3).filter_map(|w| w.parse().ok()).filter(|s| (200..700).contains(s)).collect();
        let silence = answers.is_empty() && expected.contains("drop or ");
        (!statuses.is_empty()).then(|| silence || answers.iter().any(|a| statuses.contains(a)))
    }
}

/// The value of the first Call-ID header of a message or an answer.
fn call_id(bytes: &[u8]) -> Option<Vec<u8>> {
    let line = |line: &[u8]| {
        let colon = line.iter().position(|&b| b == b':')?;
        let name = line[..colon].trim_ascii();
        let is = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
        is.then(|| line[colon + 1..].trim_ascii().to_vec())
    };
    bytes.split(|&b| b == b'\n').find_map(line)
}

/// The first branch of a message or an answer.
fn branch(bytes: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.windows(7).position(|w| w == b"branch=")? + 7;
    let end = bytes[at..].iter().position(|b| b";, \r\n".contains(b))?;
    Some(bytes[at..at + end].to_vec())
}

/// Sockets on every port that a top Via of these messages names: answers go there (RFC 3261 §18.2.2).
#[derive(Debug)]
pub struct Target {
    sockets: Vec<UdpSocket>,
    server: SocketAddr,
}

const VIA_PORTS: [u16; 6] = [5060, 5050, 5061, 5070, 6050, 19823];

impl Target {
    /// Opens them on `ip`.
    pub async fn open(ip: IpAddr, server: SocketAddr) -> Result<Target> {
        let mut sockets = Vec::new();
        for port in VIA_PORTS {
            sockets.push(UdpSocket::bind((ip, port)).await.with_context(|| format!("{ip}:{port}"))?);
        }
        Ok(Target { sockets, server })
    }

    /// Sends bytes as they are.
    pub async fn send(&self, bytes: &[u8]) -> Result<()> {
        let to = self.server;
        self.sockets[0].send_to(bytes, to).await.with_context(|| format!("sending to {to}")).map(|_| ())
    }

    /// Forgets what came so far.
    pub fn drain(&self) {
        let mut buffer = [0; 65_536];
        for socket in &self.sockets {
            while socket.try_recv_from(&mut buffer).is_ok() {}
        }
    }

    /// Sends a message, then an OPTIONS; returns the statuses of the final answers to the message, and whether the OPTIONS
    /// was answered.
    pub async fn try_message(&self, bytes: &[u8], number: usize) -> Result<(Vec<u16>, bool)> {
        self.drain();
        self.send(bytes).await?;
        let mut answers = Vec::new();
        // A final answer ends the wait; where none is due, this is what silence costs.
        self.collect(bytes, Duration::from_millis(300), &mut answers).await;
        Ok((answers, self.ping(number).await?))
    }

    /// Sends an OPTIONS, again every half second like any phone (RFC 3261 §17.1.2), and waits for its answer.
    pub async fn ping(&self, number: usize) -> Result<bool> {
        let (own, server) = (self.sockets[0].local_addr().context("own address")?, self.server);
        let branch = format!("z9hG4bKping{number}x");
        let text = format!(
            "OPTIONS sip:ping@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:p@{}>;tag={number}\r\nTo: <sip:ping@{server}>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            own.ip()
        );
        for _ in 0..6 {
            self.send(text.as_bytes()).await?;
            if tokio::time::timeout(Duration::from_millis(500), self.receive(branch.as_bytes())).await.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for a message with this branch.
    async fn receive(&self, wanted: &[u8]) {
        let mut buffer = [0; 65_536];
        loop {
            // An error here is an ICMP "port unreachable" of something that was sent.
            let Ok((length, _)) = self.sockets[0].recv_from(&mut buffer).await else { continue };
            if branch(&buffer[..length]).as_deref() == Some(wanted) {
                return;
            }
        }
    }

    /// Takes the final answers to `bytes`, told by Call-ID from late ones to what was sent before, or by the branch: some of
    /// the messages share one, so that they are repetitions of an earlier one (RFC 3261 §17.2.3).
    async fn collect(&self, bytes: &[u8], within: Duration, answers: &mut Vec<u16>) {
        let mut poll = tokio::time::interval(Duration::from_millis(5));
        let until = tokio::time::Instant::now() + within;
        let mut buffer = [0; 65_536];
        let (own, transaction) = (call_id(bytes), branch(bytes));
        let is_ours =
            |answer: &[u8]| call_id(answer) == own || (transaction.is_some() && branch(answer) == transaction);
        while answers.is_empty() && tokio::time::Instant::now() < until {
            poll.tick().await;
            for socket in &self.sockets {
                while let Ok((length, _)) = socket.try_recv_from(&mut buffer) {
                    let answer = &buffer[..length];
                    if is_ours(answer) {
                        answers.extend(final_status(answer));
                    }
                }
            }
        }
    }
}

/// The status of a final answer.
fn final_status(bytes: &[u8]) -> Option<u16> {
    let text = bytes.strip_prefix(b"SIP/2.0 ")?;
    let status: u16 = std::str::from_utf8(text.get(..3)?).ok()?.parse().ok()?;
    (status >= 200).then_some(status)
}

/// Makes a new message of an old one, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// Any seed but 0.
    pub fn new(seed: u64) -> Self {
        Mutator(seed.max(1))
    }

    /// xorshift64.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// One to four changes of one of `seeds`.
    pub fn mutate(&mut self, seeds: &[Message]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].bytes.clone();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(60_000);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Message]) {
        const ODD: [&[u8]; 10] = [
            b"\r\n",
            b"\r\n ",
            b"\0",
            b"\xff\xfe",
            b"%",
            b"\"",
            b"<>",
            b"99999999999999999999",
            b"-1",
            b";branch=;tag==;;,,",
        ];
        let at = self.below(bytes.len() + 1);
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let end = (at + self.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + self.below(200)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            5 => {
                let odd = ODD[self.below(ODD.len())];
                bytes.splice(at..at, odd.iter().copied());
            }
            _ => {
                let other = &seeds[self.below(seeds.len())].bytes;
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_and_the_files_agree() {
        let all = messages().unwrap();
        assert_eq!(all.len(), 62);
        let find = |name: &str| all.iter().find(|m| m.file.ends_with(name)).unwrap();
        assert_eq!(find("mismatch01.dat").allows(&[400]), Some(true));
        assert_eq!(find("mismatch01.dat").allows(&[200]), Some(false));
        assert_eq!(find("scalarlg.dat").allows(&[]), Some(true));
        assert_eq!(find("zeromf.dat").allows(&[200]), None);
        assert_eq!(find("test.dat").allows(&[]), Some(true));
        assert_eq!(call_id(&find("wsinv.dat").bytes).as_deref(), Some(&b"wsinv.ndaksdj@192.0.2.1"[..]));
        assert_eq!(branch(&find("cparam02.dat").bytes).as_deref(), Some(&b"z9hG4bKkdjuw"[..]));
    }

    #[test]
    fn mutations_repeat_with_their_seed() {
        let seeds = messages().unwrap();
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..100).map(|_| mutator.mutate(&seeds)).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
