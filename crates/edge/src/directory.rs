//! Whom an edge knows: devices, trunks, sounds. An immutable snapshot that is replaced as a whole when the configuration
//! changes ([`Edge::update_directory`](crate::Edge::update_directory)).

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use carillon_acd::ids::{AgentId, DeviceId, SoundId, TrunkId};
use carillon_acd::leg::Contact;
use carillon_media::Source;
use carillon_sip::{Transport, Uri};
use ipnet::IpNet;

/// A username and its password. The password never shows in debug output (Spec: SE-5).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The digest username; for a device also the user part of its address of record.
    pub username: String,
    /// The digest password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A phone of an agent. It registers with its credentials, or it stands at a fixed contact, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whose, and which of his.
    pub id: DeviceId,
    /// What it registers and calls with.
    pub credentials: Option<Credentials>,
    /// Where it always is, as a SIP URI with an IP address: `sip:ivan@127.0.0.3:5080`, `sip:ivan@10.0.0.7;transport=tcp`.
    pub contact: Option<String>,
}

/// A connection to a carrier or a PBX, recognised by its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Which.
    pub id: TrunkId,
    /// The addresses whose requests belong to it. Where networks of two trunks overlap, the narrower one wins.
    pub peers: Vec<IpNet>,
    /// Where calls go out, as a SIP URI with an IP address; its user part, if any, is replaced by the number.
    pub outbound: Option<String>,
    /// What we answer its digest challenges with.
    pub credentials: Option<Credentials>,
}

/// Why a directory was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// Two devices have one username.
    #[error("devices {first} and {second} have the same username {username:?}")]
    DuplicateUsername {
        /// The username.
        username: String,
        /// The one that had it.
        first: DeviceId,
        /// The one that wants it too.
        second: DeviceId,
    },
    /// A URI that cannot be called.
    #[error("{owner}: {uri:?} is not a SIP URI with an IP address, like \"sip:127.0.0.3:5080;transport=udp\"")]
    Uri {
        /// The device or trunk.
        owner: String,
        /// What was given.
        uri: String,
    },
}

/// Where a request can be sent: a URI with its address and transport worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    pub(crate) transport: Transport,
    pub(crate) addr: SocketAddr,
}

impl Target {
    /// `None` for a URI without an IP address or with a transport that the edge does not speak (names are not resolved).
    pub(crate) fn of(uri: Uri) -> Option<Self> {
        let transport = match uri.transport() {
            None => Transport::Udp,
            Some(transport @ (Transport::Udp | Transport::Tcp)) => transport,
            Some(Transport::Tls | Transport::Ws | Transport::Wss) => return None,
        };
        let addr = uri.socket_addr().filter(|_| uri.is_sip())?;
        Some(Target { uri, transport, addr })
    }

    /// The target as others are told of it; `None` for a URI that is too long to be told.
    pub(crate) fn contact(&self) -> Option<Contact> {
        Contact::new(&self.uri.to_string(), self.addr.ip()).ok()
    }

    fn read(text: &str, owner: &dyn fmt::Display) -> Result<Self, DirectoryError> {
        let error = || DirectoryError::Uri { owner: owner.to_string(), uri: text.to_owned() };
        text.parse().ok().and_then(Target::of).ok_or_else(error)
    }
}

/// Everything an edge knows of others. Built once, then only read.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    devices: Vec<(Device, Option<Target>)>,
    by_id: HashMap<DeviceId, usize>,
    by_username: HashMap<String, usize>,
    /// Devices with a fixed contact, by its address.
    fixed: HashMap<IpAddr, Vec<usize>>,
    trunks: Vec<(Trunk, Option<Target>)>,
    /// Networks of all trunks, the narrowest first.
    networks: Vec<(IpNet, usize)>,
    sounds: HashMap<SoundId, Source>,
}

impl Directory {
    /// Checks and indexes devices and trunks.
    ///
    /// # Errors
    /// When a username is used twice or a contact cannot be called.
    pub fn new(devices: Vec<Device>, trunks: Vec<Trunk>) -> Result<Self, DirectoryError> {
        let mut directory = Directory::default();
        for device in devices {
            directory.add_device(device)?;
        }
        for trunk in trunks {
            let outbound = trunk.outbound.as_deref().map(|uri| Target::read(uri, &trunk.id)).transpose()?;
            let index = directory.trunks.len();
            directory.networks.extend(trunk.peers.iter().map(|net| (*net, index)));
            directory.trunks.push((trunk, outbound));
        }
        directory.networks.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        Ok(directory)
    }

    fn add_device(&mut self, device: Device) -> Result<(), DirectoryError> {
        let index = self.devices.len();
        if let Some(credentials) = &device.credentials
            && let Some(first) = self.by_username.insert(credentials.username.clone(), index)
        {
            return Err(DirectoryError::DuplicateUsername {
                username: credentials.username.clone(),
                first: self.devices[first].0.id.clone(),
                second: device.id,
            });
        }
        let contact = device.contact.as_deref().map(|uri| Target::read(uri, &device.id)).transpose()?;
        if let Some(contact) = &contact {
            self.fixed.entry(contact.addr.ip()).or_default().push(index);
        }
        self.by_id.insert(device.id.clone(), index);
        self.devices.push((device, contact));
        Ok(())
    }

    /// Adds a sound that [`Playback::Sound`](carillon_acd::leg::Playback) can name.
    #[must_use]
    pub fn with_sound(mut self, id: SoundId, source: Source) -> Self {
        self.sounds.insert(id, source);
        self
    }

    /// The device with this id.
    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.by_id.get(id).map(|&i| &self.devices[i].0)
    }

    /// The device that registers as `username`, with its password.
    pub fn device_by_username(&self, username: &str) -> Option<&Device> {
        self.by_username.get(username).map(|&i| &self.devices[i].0)
    }

    /// All devices, in the order given.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().map(|(device, _)| device)
    }

    /// The devices of one agent, in the order of his list.
    pub(crate) fn devices_of<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a Device> {
        (0..=u8::MAX).map_while(move |index| self.device(&DeviceId { agent: agent.clone(), index }))
    }

    /// The usernames that can register.
    pub(crate) fn usernames(&self) -> impl Iterator<Item = &str> {
        self.by_username.keys().map(String::as_str)
    }

    /// The trunk with this id.
    pub fn trunk(&self, id: &TrunkId) -> Option<&Trunk> {
        self.trunks.iter().map(|(trunk, _)| trunk).find(|t| t.id == *id)
    }

    /// The trunk whose peers include `ip`; the one with the narrowest network when several do.
    pub fn trunk_at(&self, ip: IpAddr) -> Option<&Trunk> {
        self.networks.iter().find(|(net, _)| net.contains(&ip)).map(|&(_, i)| &self.trunks[i].0)
    }

    /// A sound by its id.
    pub fn sound(&self, id: &SoundId) -> Option<&Source> {
        self.sounds.get(id)
    }

    /// Whether a device with a fixed contact stands at this address.
    pub(crate) fn is_fixed_address(&self, ip: IpAddr) -> bool {
        self.fixed.contains_key(&ip)
    }

    /// The device whose fixed contact is exactly at `source`; of several on that address, the one with this user part.
    pub(crate) fn fixed_at(&self, source: SocketAddr, user: &str) -> Option<&Device> {
        let contact = |i: &&usize| self.devices[**i].1.as_ref();
        let named = |i: &&usize| contact(i).is_some_and(|c| c.uri.user_text().is_some_and(|u| u == user));
        let there = self.fixed.get(&source.ip())?;
        let exact = || there.iter().filter(|i| contact(i).is_some_and(|c| c.addr == source));
        let found =
            only(exact()).or_else(|| only(exact().filter(named))).or_else(|| only(there.iter().filter(named)))?;
        Some(&self.devices[*found].0)
    }

    /// The only device with a fixed contact at this address.
    pub(crate) fn fixed_alone_at(&self, ip: IpAddr) -> Option<&Device> {
        only(self.fixed.get(&ip)?.iter()).map(|&i| &self.devices[i].0)
    }

    /// Where a device always is, if it has a fixed contact.
    pub(crate) fn fixed_contact(&self, id: &DeviceId) -> Option<&Target> {
        self.by_id.get(id).and_then(|&i| self.devices[i].1.as_ref())
    }

    /// Where calls of a trunk go out.
    pub(crate) fn outbound(&self, id: &TrunkId) -> Option<&Target> {
        self.trunks.iter().find(|(t, _)| t.id == *id).and_then(|(_, target)| target.as_ref())
    }
}

/// The item of an iterator that has exactly one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

#[cfg(test)]
mod tests {
    use carillon_acd::ids::AgentId;

    use super::*;

    fn device(agent: &str, index: u8, username: Option<&str>, contact: Option<&str>) -> Device {
        let credentials = username.map(|u| Credentials { username: u.into(), password: "secret".into() });
        let agent = AgentId::new("default".parse().unwrap(), agent.parse().unwrap());
        Device { id: DeviceId { agent, index }, credentials, contact: contact.map(Into::into) }
    }

    fn trunk(name: &str, peers: &[&str]) -> Trunk {
        Trunk {
            id: TrunkId::new("default".parse().unwrap(), name.parse().unwrap()),
            peers: peers.iter().map(|p| p.parse().unwrap()).collect(),
            outbound: None,
            credentials: None,
        }
    }

    // spec: SE-1
    #[test]
    fn the_narrowest_network_names_the_trunk() {
        let directory =
            Directory::new(vec![], vec![trunk("wide", &["10.0.0.0/8"]), trunk("narrow", &["10.1.0.0/16"])]).unwrap();
        let at = |ip: &str| directory.trunk_at(ip.parse().unwrap()).map(|t| t.id.name.to_string());
        assert_eq!(at("10.1.2.3").as_deref(), Some("narrow"));
        assert_eq!(at("10.2.2.3").as_deref(), Some("wide"));
        assert_eq!(at("192.0.2.1"), None);
    }

    #[test]
    fn fixed_devices_that_share_an_address_are_told_apart_by_port_or_name() {
        let devices = vec![
            device("a", 0, None, Some("sip:a@127.0.0.3:5080")),
            device("b", 0, None, Some("sip:b@127.0.0.3:5080")),
            device("c", 0, None, Some("sip:c@127.0.0.3:5090")),
        ];
        let directory = Directory::new(devices, vec![]).unwrap();
        let at =
            |addr: &str, user| directory.fixed_at(addr.parse().unwrap(), user).map(|d| d.id.agent.name.to_string());
        assert_eq!(at("127.0.0.3:5090", "x").as_deref(), Some("c"));
        assert_eq!(at("127.0.0.3:5080", "b").as_deref(), Some("b"));
        assert_eq!(at("127.0.0.3:5080", "x"), None);
        assert_eq!(at("127.0.0.3:9999", "a").as_deref(), Some("a"));
        assert_eq!(at("127.0.0.4:5080", "b"), None);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let twice = vec![device("a", 0, Some("anna"), None), device("b", 0, Some("anna"), None)];
        let error = Directory::new(twice, vec![]).unwrap_err().to_string();
        assert!(error.contains("\"anna\"") && error.contains("agents/b/devices/0"), "{error}");
        for bad in ["ivan@127.0.0.3", "tel:+33123456789", "sip:ivan@example.com", "sip:ivan@127.0.0.3;transport=tls"] {
            assert!(Directory::new(vec![device("a", 0, None, Some(bad))], vec![]).is_err(), "{bad}");
        }
    }

    // spec: SE-5
    #[test]
    fn passwords_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", device("a", 0, Some("anna"), None)).contains("secret"));
    }
}
