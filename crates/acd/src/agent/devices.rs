//! Which of an agent's devices can ring.

use std::time::Duration;

use super::DeviceKind;
use crate::time::Moment;

/// How long the devices rest after none of them could be made to ring: a registration that leads nowhere must not be
/// dialled at the speed of the network.
const REST: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Devices {
    all: Vec<(DeviceKind, bool)>,
    rest_until: Option<Moment>,
}

impl Devices {
    pub(super) fn new(kinds: &[DeviceKind]) -> Self {
        Devices { all: kinds.iter().map(|&kind| (kind, false)).collect(), rest_until: None }
    }

    /// A device that comes back ends the rest of all: something has changed.
    pub(super) fn set(&mut self, device: u8, reachable: bool) {
        if let Some(known) = self.all.get_mut(usize::from(device)) {
            if reachable && !known.1 {
                self.rest_until = None;
            }
            known.1 = reachable;
        }
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

    /// Those that may ring now, with their places.
    pub(super) fn ringable(&self) -> impl Iterator<Item = (u8, DeviceKind)> {
        let resting = self.rest_until.is_some();
        (0_u8..)
            .zip(&self.all)
            .filter(move |(_, (_, reachable))| *reachable && !resting)
            .map(|(i, (kind, _))| (i, *kind))
    }

    /// Ringable hardware phones, and other ringable devices.
    pub(super) fn counts(&self) -> (u8, u8) {
        self.ringable().fold((0, 0), |(hardware, soft), (_, kind)| match kind {
            DeviceKind::Hardware => (hardware + 1, soft),
            DeviceKind::Browser | DeviceKind::Desktop | DeviceKind::Mobile => (hardware, soft + 1),
        })
    }

    pub(super) fn reachable(&self) -> usize {
        self.all.iter().filter(|(_, reachable)| *reachable).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_rest_until_the_time_is_over_or_one_comes_back() {
        let start = Moment::START;
        let mut devices = Devices::new(&[DeviceKind::Hardware, DeviceKind::Browser]);
        devices.set(0, true);
        devices.set(7, true);
        assert_eq!(devices.counts(), (1, 0));
        devices.rest(start);
        assert_eq!((devices.counts(), devices.reachable()), ((0, 0), 1));
        devices.expire(start + REST);
        assert_eq!(devices.counts(), (1, 0));
        devices.rest(start);
        devices.set(1, true);
        assert_eq!(devices.counts(), (1, 1));
    }
}
