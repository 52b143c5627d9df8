//! Whom an edge knows: devices, trunks, sounds. An immutable snapshot that is replaced as a whole when the configuration
//! changes ([`Edge::update_directory`](crate::Edge::update_directory)).

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use carillon_acd::ids::{DeviceId, TrunkId};
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

/// Everything an edge knows of others. Built once, then only read.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    devices: Vec<Device>,
    by_id: HashMap<DeviceId, usize>,
    by_username: HashMap<String, usize>,
    trunks: Vec<Trunk>,
    /// Networks of all trunks, the narrowest first.
    networks: Vec<(IpNet, usize)>,
}

impl Directory {
    /// Checks and indexes devices and trunks.
    ///
    /// # Errors
    /// When a username is used twice or a contact cannot be called.
    pub fn new(devices: Vec<Device>, trunks: Vec<Trunk>) -> Result<Self, DirectoryError> {
        let mut by_username: HashMap<String, usize> = HashMap::new();
        for (index, device) in devices.iter().enumerate() {
            let Some(credentials) = &device.credentials else { continue };
            if let Some(first) = by_username.insert(credentials.username.clone(), index) {
                return Err(DirectoryError::DuplicateUsername {
                    username: credentials.username.clone(),
                    first: devices[first].id.clone(),
                    second: device.id.clone(),
                });
            }
        }
        let by_id = devices.iter().enumerate().map(|(index, device)| (device.id.clone(), index)).collect();
        let mut networks: Vec<(IpNet, usize)> =
            trunks.iter().enumerate().flat_map(|(i, t)| t.peers.iter().map(move |net| (*net, i))).collect();
        networks.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        Ok(Directory { devices, by_id, by_username, trunks, networks })
    }

    /// The device with this id.
    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.by_id.get(id).map(|&i| &self.devices[i])
    }

    /// The device that registers as `username`.
    pub fn device_by_username(&self, username: &str) -> Option<&Device> {
        self.by_username.get(username).map(|&i| &self.devices[i])
    }

    /// All devices, in the order given.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The trunk with this id.
    pub fn trunk(&self, id: &TrunkId) -> Option<&Trunk> {
        self.trunks.iter().find(|t| t.id == *id)
    }

    /// The trunk whose peers include `ip`; the one with the narrowest network when several do.
    pub fn trunk_at(&self, ip: IpAddr) -> Option<&Trunk> {
        self.networks.iter().find(|(net, _)| net.contains(&ip)).map(|&(_, i)| &self.trunks[i])
    }
}
