//! What one node's idea of ownership says to another's, on the wire.

use carillon_acd::ids::{Epoch, NodeId};
use carillon_cluster::ownership::{Message, Seat, Tenure};
use carillon_cluster::shard::Shard;
use carillon_rpc::cluster::wire::{self, core::Message as Core, envelope::Message as Envelope};

use super::OWNERS_PER_ELECTION;

/// As it is sent.
pub(super) fn to_wire(message: &Message) -> wire::Envelope {
    let message = match message {
        Message::Announce(it) => Core::Announce(tenures(it)),
        Message::Answer(it) => Core::Answer(tenures(it)),
        Message::Newer(it) => Core::Newer(wire::Seats { seats: it.iter().map(seat).collect() }),
        Message::AskVouch { round, owners } => {
            Core::AskVouch(wire::AskVouch { round: *round, owners: owners.iter().map(|node| node.0).collect() })
        }
        Message::Vouch { round } => Core::Vouch(wire::Vouch { round: *round }),
        Message::Join(node) => Core::Join(serde_json::to_vec(node).expect("a node has only string keys")),
        Message::Welcome { boot } => Core::Welcome(*boot),
    };
    wire::Envelope { message: Some(Envelope::Core(wire::Core { message: Some(message) })), ..Default::default() }
}

/// `None` for what this version does not understand.
pub(super) fn from_wire(it: wire::Core) -> Option<Message> {
    Some(match it.message? {
        Core::Announce(it) => Message::Announce(read_tenures(&it.tenures)?),
        Core::Answer(it) => Message::Answer(read_tenures(&it.tenures)?),
        Core::Newer(it) => Message::Newer(it.seats.iter().map(read_seat).collect::<Option<_>>()?),
        Core::AskVouch(it) => {
            Message::AskVouch { round: it.round, owners: it.owners.into_iter().map(NodeId).collect() }
        }
        Core::Vouch(it) => Message::Vouch { round: it.round },
        Core::Join(node) => Message::Join(serde_json::from_slice(&node).ok()?),
        Core::Welcome(boot) => Message::Welcome { boot },
    })
}

fn shard(number: u32) -> Option<Shard> {
    Shard::try_from(u16::try_from(number).ok()?).ok()
}

fn tenures(it: &[Tenure]) -> wire::Tenures {
    wire::Tenures { tenures: shard_epochs(it) }
}

/// Shards with their epochs, as they are sent.
pub(super) fn shard_epochs(it: &[Tenure]) -> Vec<wire::ShardEpoch> {
    let one = |it: &Tenure| wire::ShardEpoch { shard: u32::from(it.shard.number()), epoch: it.epoch.0 };
    it.iter().map(one).collect()
}

/// `None` when one of them is no shard, or no epoch.
pub(super) fn read_tenures(it: &[wire::ShardEpoch]) -> Option<Vec<Tenure>> {
    it.iter().map(|it| Some(Tenure { shard: shard(it.shard)?, epoch: epoch(it.epoch)? })).collect()
}

/// `None` for one that leaves no epochs for its owners: no election comes so far.
fn epoch(number: u64) -> Option<Epoch> {
    number.checked_mul(OWNERS_PER_ELECTION).map(|_| Epoch(number))
}

fn seat(it: &Seat) -> wire::Seat {
    let owner = it.owner.map(|node| node.0);
    wire::Seat { shard: u32::from(it.shard.number()), epoch: it.epoch.0, owner }
}

fn read_seat(it: &wire::Seat) -> Option<Seat> {
    Some(Seat { shard: shard(it.shard)?, epoch: epoch(it.epoch)?, owner: it.owner.map(NodeId) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use carillon_cluster::member::Node;

    use super::*;

    #[test]
    fn what_is_sent_is_what_arrives() {
        let shard = Shard::try_from(1023).unwrap();
        let tenures = vec![Tenure { shard, epoch: Epoch(71) }];
        let seats = [None, Some(NodeId(3))].map(|owner| Seat { shard, epoch: Epoch(72), owner });
        let node: Node = serde_json::from_str(
            r#"{"id":4,"boot":9,"roles":{"acd":true},"addresses":{"link":"127.0.0.1:7500"},"version":"0.1.0"}"#,
        )
        .unwrap();
        let messages = [
            Message::Announce(tenures.clone()),
            Message::Answer(tenures),
            Message::Newer(seats.to_vec()),
            Message::AskVouch { round: 5, owners: BTreeSet::from([NodeId(1), NodeId(2)]) },
            Message::Vouch { round: 5 },
            Message::Join(node),
            Message::Welcome { boot: 9 },
        ];
        for message in messages {
            let Some(Envelope::Core(sent)) = to_wire(&message).message else { panic!("not a core message") };
            assert_eq!(from_wire(sent), Some(message));
        }
    }

    #[test]
    fn a_shard_that_is_none_makes_nonsense_of_its_message() {
        let tenures = vec![wire::ShardEpoch { shard: 1024, epoch: 1 }];
        assert_eq!(from_wire(wire::Core { message: Some(Core::Announce(wire::Tenures { tenures })) }), None);
        assert_eq!(from_wire(wire::Core { message: None }), None);
    }

    #[test]
    fn an_epoch_that_leaves_none_for_owners_makes_nonsense_of_its_message() {
        let announced = |epoch| {
            let tenures = vec![wire::ShardEpoch { shard: 1, epoch }];
            from_wire(wire::Core { message: Some(Core::Announce(wire::Tenures { tenures })) })
        };
        let highest = u64::MAX / OWNERS_PER_ELECTION;
        let Some(Message::Announce(tenures)) = announced(highest) else { panic!("it is one") };
        assert!(super::super::owners_epoch(tenures[0].epoch) > super::super::owners_epoch(Epoch(highest - 1)));
        assert_eq!(announced(highest + 1), None);
        let seats = vec![wire::Seat { shard: 1, epoch: u64::MAX, owner: Some(2) }];
        assert_eq!(from_wire(wire::Core { message: Some(Core::Newer(wire::Seats { seats })) }), None);
    }
}
