//! What becomes of a packet that goes from one leg to another.

use crate::{Codec, PayloadTypes};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It passes as it is, under this payload type: audio in the same codec, or telephone events that both sides know.
    Unchanged {
        /// The other leg's number for it.
        payload_type: u8,
    },
    /// Its audio is transcoded.
    Transcoded {
        /// The other leg's number for it.
        payload_type: u8,
        /// How it came.
        from: Codec,
        /// How it goes.
        to: Codec,
    },
    /// It ends here: the other leg has no telephone events, or nobody agreed on the payload type.
    Nothing,
}

impl Passage {
    /// Decides about `payload_type`, which came from a leg that sends as in `from`, on its way to a leg that wants `to`.
    pub fn of(payload_type: u8, from: &PayloadTypes, to: &PayloadTypes) -> Self {
        if from.telephone_event == Some(payload_type) {
            return match to.telephone_event {
                Some(payload_type) => Passage::Unchanged { payload_type },
                None => Passage::Nothing,
            };
        }
        match from.audio_codec(payload_type) {
            None => Passage::Nothing,
            Some(codec) if codec == to.codec => Passage::Unchanged { payload_type: to.audio },
            Some(codec) => Passage::Transcoded { payload_type: to.audio, from: codec, to: to.codec },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn leg(codec: Codec, audio: u8, telephone_event: Option<u8>) -> PayloadTypes {
        PayloadTypes { codec, audio, telephone_event }
    }

    #[test]
    fn audio_passes_unchanged_whenever_both_sides_can() {
        let phone = leg(Codec::Pcma, 8, Some(101));
        let carrier = leg(Codec::Pcma, 96, None);
        assert_eq!(Passage::of(8, &phone, &carrier), Passage::Unchanged { payload_type: 96 });
        assert_eq!(Passage::of(96, &carrier, &phone), Passage::Unchanged { payload_type: 8 });
    }

    #[test]
    fn audio_is_transcoded_when_they_cannot() {
        let (a, b) = (leg(Codec::Pcmu, 0, None), leg(Codec::Pcma, 8, None));
        let (from, to) = (Codec::Pcmu, Codec::Pcma);
        assert_eq!(Passage::of(0, &a, &b), Passage::Transcoded { payload_type: 8, from, to });
        // A phone that switches to the other law without a word.
        assert_eq!(Passage::of(8, &a, &b), Passage::Unchanged { payload_type: 8 });
    }

    #[test]
    fn digits_pass_under_the_other_number_and_only_to_who_knows_them() {
        let (a, b) = (leg(Codec::Pcmu, 0, Some(101)), leg(Codec::Pcmu, 0, Some(96)));
        assert_eq!(Passage::of(101, &a, &b), Passage::Unchanged { payload_type: 96 });
        assert_eq!(Passage::of(101, &a, &leg(Codec::Pcmu, 0, None)), Passage::Nothing);
        assert_eq!(Passage::of(13, &a, &b), Passage::Nothing, "comfort noise was not agreed on");
    }

    #[test]
    fn a_telephone_event_may_have_a_number_that_is_audio_elsewhere() {
        let odd = leg(Codec::Pcma, 96, Some(8));
        assert_eq!(Passage::of(8, &odd, &leg(Codec::Pcma, 8, None)), Passage::Nothing);
    }
}
