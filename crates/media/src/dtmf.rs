//! Digits as telephone events (RFC 4733): what a key press looks like, and one report for each.

/// The keys, by event code (RFC 4733 §3.2).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// How often the end of an event is sent (RFC 4733 §2.5.1.4).
const END_COPIES: u32 = 3;
/// Loudness of our own events: -10 dBm0.
const VOLUME: u8 = 10;

/// The payload of one telephone-event packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event code; 0–15 are keys.
    pub code: u8,
    /// The key was let go.
    pub end: bool,
    /// Loudness in -dBm0, 0–63.
    pub volume: u8,
    /// How long it has lasted, in timestamp units.
    pub duration: u16,
}

impl Event {
    /// Reads the first event of a payload; `None` when it is too short.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let &[code, flags, high, low] = payload.first_chunk()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Event { code, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    /// The event as a payload.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }

    /// The key, if it is one.
    pub fn key(self) -> Option<char> {
        KEYS.get(usize::from(self.code)).map(|&key| char::from(key))
    }
}

/// Reports each key press of one stream once, however many of its packets are lost, doubled or late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detector {
    last: Option<Press>,
}

/// The key press that was seen last.
#[derive(Clone, Copy, Debug)]
struct Press {
    timestamp: u32,
    code: u8,
    ended: bool,
    /// The longest duration seen.
    duration: u16,
}

impl Detector {
    /// Takes a telephone-event packet and returns the key when its press is new. All packets of a press carry the
    /// timestamp of its start, so the first one that arrives reports it and the rest say nothing new.
    pub fn read(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let event = Event::read(payload)?;
        let key = event.key()?;
        if let Some(press) = &mut self.last {
            let age = timestamp.wrapping_sub(press.timestamp).cast_signed();
            if age < 0 {
                return None;
            }
            if age == 0 && event.code == press.code {
                press.ended |= event.end;
                press.duration = press.duration.max(event.duration);
                return None;
            }
            if press.is_continued_by(&event, age) {
                *press = Press { timestamp, code: event.code, ended: event.end, duration: event.duration };
                return None;
            }
        }
        self.last = Some(Press { timestamp, code: event.code, ended: event.end, duration: event.duration });
        Some(key)
    }
}

impl Press {
    /// A key held longer than a duration can say (8.2 s) goes on in a further segment with a timestamp of its own, which
    /// begins where the last ended (RFC 4733 §2.5.1.3).
    fn is_continued_by(&self, event: &Event, age: i32) -> bool {
        let nearly_full = self.duration > u16::MAX - 0x1000;
        !self.ended && event.code == self.code && nearly_full && age <= i32::from(u16::MAX)
    }
}

/// Makes the packets of one key press, 20 ms apart. All carry the timestamp of the first, which has the marker bit.
#[derive(Clone, Debug)]
pub struct KeyPress {
    code: u8,
    /// Packets until the key is let go.
    frames: u32,
    sent: u32,
}

impl KeyPress {
    /// A press of `key` (`0`–`9`, `*`, `#`, `A`–`D`) that lasts `frames` of 20 ms, at least one; `None` for other keys.
    pub fn new(key: char, frames: u32) -> Option<Self> {
        let code = KEYS.iter().position(|&known| char::from(known) == key.to_ascii_uppercase())?;
        Some(KeyPress { code: u8::try_from(code).ok()?, frames: frames.max(1), sent: 0 })
    }
}

impl Iterator for KeyPress {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.sent == self.frames + END_COPIES {
            return None;
        }
        let lasted = (self.sent + 1).min(self.frames) * crate::FRAME_SAMPLES as u32;
        let duration = u16::try_from(lasted).unwrap_or(u16::MAX);
        let end = self.sent >= self.frames;
        self.sent += 1;
        Some(Event { code: self.code, end, volume: VOLUME, duration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(detector: &mut Detector, timestamp: u32, key: char, keep: impl Fn(usize) -> bool) -> Vec<char> {
        let packets = KeyPress::new(key, 5).unwrap().enumerate().filter(|(index, _)| keep(*index));
        packets.filter_map(|(_, event)| detector.read(timestamp, &event.to_bytes())).collect()
    }

    #[test]
    fn each_press_is_reported_once() {
        let mut detector = Detector::default();
        for (count, key) in "0123456789*#ABCD".chars().enumerate() {
            assert_eq!(press(&mut detector, 1_600 * count as u32, key, |_| true), [key]);
        }
        assert_eq!(press(&mut detector, 64_000, '5', |_| true), ['5']);
        assert_eq!(press(&mut detector, 65_600, '5', |_| true), ['5'], "the same key again is another press");
    }

    #[test]
    fn lost_starts_and_ends_do_no_harm() {
        let mut detector = Detector::default();
        assert_eq!(press(&mut detector, 0, '1', |index| index >= 5), ['1'], "only its end arrived");
        assert_eq!(press(&mut detector, 1_600, '1', |index| index == 0), ['1'], "only its start arrived");
        assert_eq!(press(&mut detector, 3_200, '1', |index| index == 3), ['1']);
    }

    #[test]
    fn late_and_foreign_packets_are_no_key_press() {
        let mut detector = Detector::default();
        press(&mut detector, 1_600, '1', |_| true);
        press(&mut detector, 3_200, '2', |_| true);
        assert_eq!(press(&mut detector, 1_600, '1', |_| true), [], "a late copy");
        let flash = Event { code: 16, end: false, volume: 0, duration: 160 };
        assert_eq!(detector.read(9_000, &flash.to_bytes()), None);
        assert_eq!(detector.read(9_000, &[1, 2, 3]), None);
    }

    #[test]
    fn a_key_that_is_held_for_long_is_one_press() {
        let mut detector = Detector::default();
        let event = |duration| Event { code: 3, end: false, volume: 10, duration }.to_bytes();
        assert_eq!(detector.read(0, &event(160)), Some('3'));
        assert_eq!(detector.read(0, &event(u16::MAX)), None);
        assert_eq!(detector.read(u32::from(u16::MAX), &event(160)), None);
        assert_eq!(detector.read(100_000, &event(160)), Some('3'));
    }

    #[test]
    fn an_event_reads_back() {
        let event = Event { code: 11, end: true, volume: 63, duration: 0xabcd };
        assert_eq!(Event::read(&event.to_bytes()), Some(event));
        assert_eq!(KeyPress::new('x', 1).map(|_| ()), None);
    }
}
