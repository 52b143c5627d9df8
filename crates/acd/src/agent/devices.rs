//! Which of an agent's devices can ring, and where they are.

use std::time::Duration;

use super::DeviceKind;
use crate::ids::NodeId;
use crate::leg::{Contact, Location};
use crate::time::Moment;

/// How long the devices rest after none of them could be made to ring: a registration that leads nowhere must not be
/// dialled at the speed of the network.
const REST: Duration = Duration::from_secs(5);

/// Locations that are kept of one device; those that were reported longest ago are forgotten.
const MAX_LOCATIONS: usize = 32;

/// Devices that are listened to, also before they are configured: an edge may know a changed configuration earlier than the
/// agent's owner does.
const MOST: usize = 16;

#[derive(Clone, Debug, Default)]
struct Device {
    /// What was reported last comes first.
    at: Vec<Location>,
}

#[derive(Clone, Debug)]
pub(super) struct Devices {
    /// Those that are configured.
    kinds: Vec<DeviceKind>,
    /// These, and perhaps some more.
    all: Vec<Device>,
    rest_until: Option<Moment>,
}

impl Devices {
    pub(super) fn new(kinds: &[DeviceKind]) -> Self {
        let mut devices = Devices { kinds: Vec::new(), all: Vec::new(), rest_until: None };
        devices.configure(kinds);
        devices
    }

    /// From now on he has these devices. What was reported of a device at its place in the list stays: its edges report
    /// those whose place has changed.
    pub(super) fn configure(&mut self, kinds: &[DeviceKind]) {
        self.kinds = kinds.to_vec();
        self.all.resize_with(kinds.len().max(self.all.len()).max(MOST), Device::default);
    }

    /// Takes what an edge knows of a device. A contact that is new there ends the rest of all: something has changed.
    pub(super) fn report(&mut self, device: u8, edge: NodeId, contacts: Vec<Contact>) {
        let Some(device) = self.all.get_mut(usize::from(device)) else { return };
        let reported: Vec<Location> = contacts.into_iter().map(|contact| Location { edge, contact }).collect();
        if reported.iter().any(|location| !device.at.contains(location)) {
            self.rest_until = None;
        }
        device.at.retain(|known| known.edge != edge);
        device.at.splice(0..0, reported);
        device.at.truncate(MAX_LOCATIONS);
    }

    /// Nobody is reached through an edge that has died; its phones will register elsewhere.
    pub(super) fn edge_gone(&mut self, edge: NodeId) {
        self.all.iter_mut().for_each(|device| device.at.retain(|known| known.edge != edge));
    }

    pub(super) fn rest(&mut self, now: Moment) {
        self.rest_until = Some(now + REST);
    }

    pub(super) fn expire(&mut self, now: Moment) {
        if self.rest_until.is_some_and(|until| until <= now) {
            self.rest_until = None;
        }
    }

    pub(super) const fn deadline(&self) -> Option<Moment> {
        self.rest_until
    }

    fn ringable(&self) -> impl Iterator<Item = (u8, DeviceKind, &Device)> {
        let resting = self.rest_until.is_some();
        let configured = self.kinds.iter().zip(&self.all);
        let there = move |(_, (_, device)): &(u8, (&DeviceKind, &Device))| !device.at.is_empty() && !resting;
        (0_u8..).zip(configured).filter(there).map(|(index, (kind, device))| (index, *kind, device))
    }

    /// Whether any device may ring now.
    pub(super) fn can_ring(&self) -> bool {
        self.ringable().next().is_some()
    }

    /// Those that may ring now, with their places in the list and where they are.
    pub(super) fn to_ring(&self) -> impl Iterator<Item = (u8, DeviceKind, Vec<Location>)> {
        self.ringable().map(|(index, kind, device)| (index, kind, device.locations()))
    }

    /// Ringable hardware phones, and other ringable devices.
    pub(super) fn counts(&self) -> (u8, u8) {
        self.ringable().fold((0, 0), |(hardware, soft), (_, kind, _)| match kind {
            DeviceKind::Hardware => (hardware + 1, soft),
            DeviceKind::Browser | DeviceKind::Desktop | DeviceKind::Mobile => (hardware, soft + 1),
        })
    }

    pub(super) fn reachable(&self) -> usize {
        self.all.iter().take(self.kinds.len()).filter(|device| !device.at.is_empty()).count()
    }
}

impl Device {
    /// One location for each contact. One contact is one binding, wherever it was registered (RFC 3261 §10.3): at two
    /// edges it is a phone that has moved, which must not ring twice, and it is where it was reported last.
    fn locations(&self) -> Vec<Location> {
        let mut locations: Vec<Location> = Vec::with_capacity(self.at.len());
        for location in &self.at {
            if locations.iter().all(|known| known.contact.uri() != location.contact.uri()) {
                locations.push(location.clone());
            }
        }
        locations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn contact(user: &str) -> Contact {
        Contact::new(&format!("sip:{user}@10.0.0.7"), "192.0.2.9".parse().unwrap()).unwrap()
    }

    fn places(devices: &Devices) -> Vec<(u32, String)> {
        let of = |location: Location| (location.edge.0, location.contact.uri().replace("@10.0.0.7", ""));
        devices.to_ring().flat_map(|(_, _, at)| at).map(of).collect()
    }

    #[test]
    fn devices_rest_until_the_time_is_over_or_one_comes_back() {
        let start = Moment::START;
        let mut devices = Devices::new(&[DeviceKind::Hardware, DeviceKind::Browser]);
        devices.report(0, A, vec![contact("desk")]);
        devices.report(7, A, vec![contact("unknown")]);
        assert_eq!(devices.counts(), (1, 0));
        devices.rest(start);
        assert_eq!((devices.counts(), devices.reachable()), ((0, 0), 1));
        devices.expire(start + REST);
        assert_eq!(devices.counts(), (1, 0));
        devices.rest(start);
        devices.report(0, A, vec![contact("desk")]);
        assert_eq!(devices.counts(), (0, 0), "a refresh is no news");
        devices.report(1, A, vec![contact("page")]);
        assert_eq!(devices.counts(), (1, 1));
        devices.rest(start);
        devices.report(0, B, vec![contact("desk")]);
        assert_eq!(devices.counts(), (1, 1), "a phone that has moved is worth a try");
    }

    #[test]
    fn a_device_is_reachable_as_long_as_one_edge_has_it() {
        let mut devices = Devices::new(&[DeviceKind::Hardware]);
        devices.report(0, A, vec![contact("desk")]);
        devices.report(0, B, vec![contact("mobile"), contact("tablet")]);
        assert_eq!(places(&devices), [(2, "sip:mobile".into()), (2, "sip:tablet".into()), (1, "sip:desk".into())]);
        devices.report(0, A, Vec::new());
        assert_eq!(devices.reachable(), 1);
        devices.edge_gone(A);
        assert_eq!(devices.reachable(), 1);
        devices.edge_gone(B);
        assert_eq!((devices.reachable(), devices.can_ring()), (0, false));
    }

    #[test]
    fn a_phone_that_moves_is_where_it_was_reported_last() {
        let mut devices = Devices::new(&[DeviceKind::Hardware]);
        devices.report(0, A, vec![contact("desk")]);
        devices.report(0, B, vec![contact("desk")]);
        assert_eq!(places(&devices), [(2, "sip:desk".into())]);
        devices.report(0, A, vec![contact("desk")]);
        assert_eq!(places(&devices), [(1, "sip:desk".into())]);
        devices.edge_gone(A);
        assert_eq!(places(&devices), [(2, "sip:desk".into())], "what the other edge holds is worth a try");
    }

    #[test]
    fn the_locations_of_a_device_are_bounded() {
        let mut devices = Devices::new(&[DeviceKind::Hardware]);
        for edge in 0..50 {
            devices.report(0, NodeId(edge), vec![contact(&format!("phone{edge}"))]);
        }
        let places = places(&devices);
        assert_eq!((places.len(), places[0].0), (MAX_LOCATIONS, 49));
    }
}
