//! What agents dial to tell us something: codes for pickup, for login and logout per queue, and for breaks and the
//! workday (Spec: TR-4, TR-5, TR-6). Each tenant chooses its own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::ids::Extension;

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Take a call that rings at a colleague (Spec: TR-4).
    PickUp,
    /// Take the calls of the queue whose short number follows (Spec: TR-5).
    QueueLogIn,
    /// Take no more calls of the queue whose short number follows.
    QueueLogOut,
    /// Go on break (Spec: TR-6).
    Break,
    /// Start the workday, or come back from break.
    Ready,
    /// End the workday.
    LogOut,
    /// End wrap-up early (Spec: QU-11).
    EndWrapUp,
}

impl Feature {
    /// Every one.
    pub const ALL: [Feature; 7] = [
        Feature::PickUp,
        Feature::QueueLogIn,
        Feature::QueueLogOut,
        Feature::Break,
        Feature::Ready,
        Feature::LogOut,
        Feature::EndWrapUp,
    ];

    /// As written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Feature::PickUp => "pickup",
            Feature::QueueLogIn => "queue_login",
            Feature::QueueLogOut => "queue_logout",
            Feature::Break => "break",
            Feature::Ready => "ready",
            Feature::LogOut => "logout",
            Feature::EndWrapUp => "wrap_up_end",
        }
    }

    const fn default_code(self) -> &'static str {
        match self {
            Feature::PickUp => "*11",
            Feature::QueueLogIn => "*41",
            Feature::QueueLogOut => "*42",
            Feature::Break => "*43",
            Feature::Ready => "*44",
            Feature::LogOut => "*45",
            Feature::EndWrapUp => "*46",
        }
    }

    /// Whether the short number of a queue follows its code.
    pub const fn names_a_queue(self) -> bool {
        match self {
            Feature::QueueLogIn | Feature::QueueLogOut => true,
            Feature::PickUp | Feature::Break | Feature::Ready | Feature::LogOut | Feature::EndWrapUp => false,
        }
    }
}

/// Text that is not a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a code: 1 to 8 of the keys 0-9, '*' and '#', like \"*11\"")]
pub struct NotACode(String);

/// The keys of one code: 1–8 of `0`–`9`, `*` and `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(Arc<str>);

impl Code {
    /// The keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = NotACode;
    fn from_str(s: &str) -> Result<Self, NotACode> {
        let good = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#');
        if (1..=8).contains(&s.len()) && s.bytes().all(good) { Ok(Code(s.into())) } else { Err(NotACode(s.into())) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The codes of a tenant: one for each feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(BTreeMap<Feature, Code>);

impl Default for Codes {
    /// `*11`, `*41`, `*42`, and for breaks and the workday `*43` to `*46`.
    fn default() -> Self {
        let code = |feature: Feature| (feature, Code(feature.default_code().into()));
        Codes(Feature::ALL.into_iter().map(code).collect())
    }
}

impl Codes {
    /// Uses `code` for `feature` from now on.
    pub fn set(&mut self, feature: Feature, code: Code) {
        self.0.insert(feature, code);
    }

    /// The code of `feature`.
    pub fn of(&self, feature: Feature) -> &Code {
        self.0.get(&feature).expect("there is one for each feature from the start")
    }

    /// Two features whose codes cannot be told apart when they are dialled: they are the same, or one with the short number
    /// of a queue reads like the other.
    pub fn ambiguous(&self) -> Option<(Feature, Feature)> {
        let taken_for = |first: Feature, second: Feature| {
            let (first_code, code) = (self.of(first).as_str(), self.of(second).as_str());
            let rest = code.strip_prefix(first_code);
            rest.is_some_and(|rest| {
                rest.is_empty() || (first.names_a_queue() && rest.bytes().all(|b| b.is_ascii_digit()))
            })
        };
        let pairs = Feature::ALL.into_iter().flat_map(|first| Feature::ALL.map(|second| (first, second)));
        pairs.into_iter().find(|&(first, second)| first != second && taken_for(first, second))
    }

    /// The feature for which an extension would be taken.
    pub fn hides(&self, extension: &Extension) -> Option<Feature> {
        self.read(extension.as_str()).map(|(feature, _)| feature)
    }

    /// A feature for whose code and a short number an international number would be taken: such numbers begin with `00`.
    pub fn hides_numbers(&self) -> Option<Feature> {
        let hides = |feature: &Feature| {
            let code = self.of(*feature).as_str();
            feature.names_a_queue() && (code.starts_with("00") || code == "0")
        };
        Feature::ALL.into_iter().find(hides)
    }

    /// The feature that an agent has dialled, and what he dialled behind its code. The longest code that fits counts.
    pub(super) fn read<'d>(&self, dialled: &'d str) -> Option<(Feature, &'d str)> {
        let fits = |feature: Feature| {
            let rest = dialled.strip_prefix(self.of(feature).as_str())?;
            (rest.is_empty() || feature.names_a_queue()).then_some((feature, rest))
        };
        Feature::ALL.into_iter().filter_map(fits).min_by_key(|(_, rest)| rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        text.parse().unwrap()
    }

    #[test]
    fn tr_5_a_short_number_follows_the_code() {
        let codes = Codes::default();
        assert_eq!(codes.read("*4199900"), Some((Feature::QueueLogIn, "99900")));
        assert_eq!(codes.read("*42"), Some((Feature::QueueLogOut, "")), "half a code is a code");
        assert_eq!(codes.read("*11"), Some((Feature::PickUp, "")));
        assert_eq!(codes.read("*111"), None);
        assert_eq!(codes.read("201"), None);
    }

    #[test]
    fn tr_4_a_code_is_made_of_the_keys_of_a_phone() {
        for good in ["*11", "#", "88", "12345678", "*#06#"] {
            assert!(good.parse::<Code>().is_ok(), "{good}");
        }
        for bad in ["", "+11", "*1a", "123456789", "* 11"] {
            assert!(bad.parse::<Code>().is_err(), "{bad}");
        }
    }

    #[test]
    fn codes_that_read_alike_are_found() {
        assert_eq!(Codes::default().ambiguous(), None);
        let mut codes = Codes::default();
        codes.set(Feature::Break, code("*11"));
        assert_eq!(codes.ambiguous(), Some((Feature::PickUp, Feature::Break)));
        let mut codes = Codes::default();
        codes.set(Feature::QueueLogIn, code("*4"));
        assert_eq!(codes.ambiguous(), Some((Feature::QueueLogIn, Feature::QueueLogOut)), "*4 and queue 2");
        codes.set(Feature::QueueLogIn, code("*1"));
        codes.set(Feature::PickUp, code("*1*"));
        assert_eq!(codes.ambiguous(), None, "no short number begins with a star");
        assert_eq!(codes.read("*1*"), Some((Feature::PickUp, "")));
    }

    #[test]
    fn codes_that_hide_who_could_be_called_are_found() {
        let mut codes = Codes::default();
        let extension = "201".parse().unwrap();
        assert_eq!((codes.hides(&extension), codes.hides_numbers()), (None, None));
        codes.set(Feature::Break, code("201"));
        assert_eq!(codes.hides(&extension), Some(Feature::Break));
        codes.set(Feature::QueueLogIn, code("20"));
        codes.set(Feature::QueueLogOut, code("0"));
        assert_eq!(codes.hides(&"2099".parse().unwrap()), Some(Feature::QueueLogIn));
        assert_eq!(codes.hides_numbers(), Some(Feature::QueueLogOut));
    }
}
