//! What a node holds of those who have new owners, cut into pieces that a link carries.

use prost::Message as _;

use super::{Message, wire};

/// A piece's messages are not longer than this, in bytes, unless one of them is alone. A frame holds several.
const PIECE: usize = 256 * 1024;

/// All of `messages`, in order, each piece with all of `tenures`. None at all when there is nothing to say.
pub fn pieces<'m>(
    tenures: &[wire::ShardEpoch],
    messages: impl IntoIterator<Item = &'m Message>,
) -> impl Iterator<Item = wire::Held> {
    let mut rest = messages.into_iter().filter_map(Message::to_wire).peekable();
    std::iter::from_fn(move || {
        let (mut messages, mut bytes) = (vec![rest.next()?], 0);
        while let Some(next) = rest.next_if(|next| {
            bytes += next.encoded_len();
            bytes < PIECE
        }) {
            messages.push(next);
        }
        Some(wire::Held { tenures: tenures.to_vec(), messages })
    })
}

#[cfg(test)]
mod tests {
    use carillon_acd::agent;
    use carillon_acd::ids::{AgentId, NodeId};
    use carillon_acd::leg::Contact;

    use super::*;

    /// What a link takes of one frame.
    const LINK: usize = 4 * 1024 * 1024;

    #[test]
    fn pieces_are_small_and_together_everything() {
        let contact = |n| Contact::new(&format!("sip:agent-{n}@10.0.0.7"), [192, 0, 2, 9].into()).unwrap();
        let reachable = |n: u32| {
            let agent = AgentId::new("default".parse().unwrap(), format!("agent-{n}").parse().unwrap());
            let event = agent::Event::Reachable { device: 0, edge: NodeId(1), contacts: vec![contact(n)] };
            Message::Agent(agent, event)
        };
        let all: Vec<Message> = (0..80_000).map(reachable).collect();
        let tenures: Vec<_> = (0..1024).map(|shard| wire::ShardEpoch { shard, epoch: u64::MAX }).collect();
        let whole: usize = all.iter().filter_map(Message::to_wire).map(|it| it.encoded_len()).sum();
        assert!(whole > LINK, "{whole} bytes would have gone at once");
        let pieces: Vec<wire::Held> = pieces(&tenures, &all).collect();
        let longest = pieces.iter().map(wire::Held::encoded_len).max().unwrap();
        assert!(longest * 8 < LINK, "{longest} bytes");
        assert!(pieces.len() < 2 * whole / PIECE, "{} pieces", pieces.len());
        assert!(pieces.iter().all(|piece| piece.tenures == tenures));
        let arrived =
            pieces.into_iter().flat_map(|piece| piece.messages).filter_map(|it| Message::from_wire(it.message?));
        assert_eq!(arrived.collect::<Vec<_>>(), all);
    }

    #[test]
    fn who_holds_nothing_says_nothing() {
        assert_eq!(pieces(&[wire::ShardEpoch { shard: 1, epoch: 2 }], &[]).count(), 0);
    }
}
