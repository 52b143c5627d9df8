//! Names and ids. Nothing crosses between rooms as a bare string or integer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a name or number was refused. The text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 1–63 characters of `[a-z0-9-]`.
    #[error("{0:?} is not a name: 1 to 63 characters of a-z, 0-9 and '-'")]
    Name(String),
    /// Not an international number.
    #[error(
        "{0:?} is not an international number: '+', country, area and number, 7 to 15 digits, like \"+33 1 23 45 67 89\""
    )]
    PhoneNumber(String),
    /// Not an extension.
    #[error("{0:?} is not an extension: 1 to 4 digits, like \"201\"")]
    Extension(String),
    /// Not a short number.
    #[error("{0:?} is not a short number: 1 to 8 digits, like \"99900\"")]
    ShortNumber(String),
    /// Not a `{node}-{boot}-{number}` call id.
    #[error("{0:?} is not a call id, like \"1-6a0f3c21-42\"")]
    Call(String),
}

/// A lower-case object name, `[a-z0-9-]{1,63}` (Spec: OB-1). Clones share one allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=63).contains(&s.len()) && s.bytes().all(good) {
            Ok(Name(s.into()))
        } else {
            Err(IdError::Name(s.into()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}

impl From<Name> for String {
    fn from(n: Name) -> String {
        n.0.as_ref().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! object_id {
    ($(#[$doc:meta])* $id:ident, $collection:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $id {
            /// The tenant that owns it.
            pub tenant: Name,
            /// Its name within the tenant.
            pub name: Name,
        }

        impl $id {
            /// The object `name` of `tenant`.
            pub fn new(tenant: Name, name: Name) -> Self {
                $id { tenant, name }
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("tenants/{}/", $collection, "/{}"), self.tenant, self.name)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.tenant, self.name)
            }
        }
    };
}

object_id!(/// A queue, `tenants/{tenant}/queues/{queue}`.
    QueueId, "queues");
object_id!(/// An agent, `tenants/{tenant}/agents/{agent}`.
    AgentId, "agents");
object_id!(/// A number that we answer, `tenants/{tenant}/numbers/{number}`.
    NumberId, "numbers");
object_id!(/// A trunk, `tenants/{tenant}/trunks/{trunk}`.
    TrunkId, "trunks");
object_id!(/// An uploaded or built-in sound, `tenants/{tenant}/sounds/{sound}`.
    SoundId, "sounds");

/// One device of an agent, by its place in the agent's list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId {
    /// The agent who owns it.
    pub agent: AgentId,
    /// Its place in the agent's list of devices, from 0.
    pub index: u8,
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/devices/{}", self.agent, self.index)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.agent, self.index)
    }
}

/// A phone number as E.164 (`+` and 7–15 digits). Reading ignores spaces, `(`, `)`, `-` and `.` (Spec: OB-6); a number
/// must be international: it starts with `+` or `00`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(Arc<str>);

impl PhoneNumber {
    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without the `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// Reads what a SIP peer put into a URI's user part, where carriers often leave out the `+`: digits alone count as
    /// international too. Configuration must use [`FromStr`], which insists on it.
    pub fn from_wire(user: &str) -> Option<Self> {
        user.parse().ok().or_else(|| format!("+{user}").parse().ok())
    }
}

impl FromStr for PhoneNumber {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || IdError::PhoneNumber(s.into());
        let bare: String = s.chars().filter(|c| !matches!(c, ' ' | '(' | ')' | '-' | '.' | '\u{a0}')).collect();
        let digits = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00")).ok_or_else(bad)?;
        let good =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if good { Ok(PhoneNumber(format!("+{digits}").into())) } else { Err(bad()) }
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}

impl From<PhoneNumber> for String {
    fn from(n: PhoneNumber) -> String {
        n.0.as_ref().to_owned()
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An internal number of an agent or a queue: 1–4 digits (Spec: RT-5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Extension(Arc<str>);

impl Extension {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Extension {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let good = (1..=4).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        if good { Ok(Extension(s.into())) } else { Err(IdError::Extension(s.into())) }
    }
}

impl TryFrom<String> for Extension {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}

impl From<Extension> for String {
    fn from(e: Extension) -> String {
        e.0.as_ref().to_owned()
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digits that name a queue behind a code on a phone's keypad: 1–8 (Spec: TR-5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortNumber(Arc<str>);

impl ShortNumber {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ShortNumber {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let good = (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        if good { Ok(ShortNumber(s.into())) } else { Err(IdError::ShortNumber(s.into())) }
    }
}

impl fmt::Display for ShortNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node of the cluster, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u32);

/// A call, named by the edge that took it: a command finds its call without a directory. `boot` tells two runs of a
/// node apart, so ids stay unique in the records for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The edge that took the call.
    pub node: NodeId,
    /// When that edge started, in seconds since 1970.
    pub boot: u32,
    /// Counts the calls of that run, from 1.
    pub number: u64,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}-{}", self.node.0, self.boot, self.number)
    }
}

impl FromStr for CallId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let mut parts = s.splitn(3, '-');
        let mut read = || {
            Some(CallId {
                node: NodeId(parts.next()?.parse().ok()?),
                boot: u32::from_str_radix(parts.next()?, 16).ok()?,
                number: parts.next()?.parse().ok()?,
            })
        };
        read().ok_or_else(|| IdError::Call(s.into()))
    }
}

impl Serialize for CallId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One leg of a call: our side of one party. Leg 0 is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LegId {
    /// The call it belongs to.
    pub call: CallId,
    /// Its number within the call; never used twice.
    pub n: u16,
}

impl LegId {
    /// The caller's leg of `call`.
    pub const fn caller(call: CallId) -> Self {
        LegId { call, n: 0 }
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.call, self.n)
    }
}

/// The fencing number of a queue's owner: a receiver that has seen a newer one refuses the older (Spec: CL-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ob_6_phone_numbers_are_international_and_stored_as_e164() {
        for written in ["+33 1 23 45 67 89", "+33(1)23-45-67-89", "0033 123456789"] {
            assert_eq!(written.parse::<PhoneNumber>().unwrap().as_str(), "+33123456789", "{written}");
        }
        for bad in ["01 23 45 67 89", "+33", "+33 1 23 45 67 89 00 00 00", "", "+0123456789", "+33a123456"] {
            assert!(bad.parse::<PhoneNumber>().is_err(), "{bad}");
        }
        assert_eq!(PhoneNumber::from_wire("33123456789").unwrap().as_str(), "+33123456789");
        assert!(PhoneNumber::from_wire("201").is_none());
    }

    #[test]
    fn ob_1_names_are_lower_case() {
        assert!("support-2".parse::<Name>().is_ok());
        for bad in ["", "Support", "a b", "ü", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_call_id_reads_back() {
        let id = CallId { node: NodeId(3), boot: 0x6a0f_3c21, number: 42 };
        assert_eq!(id.to_string().parse::<CallId>().unwrap(), id);
        assert!("3-zz-1".parse::<CallId>().is_err());
    }
}
