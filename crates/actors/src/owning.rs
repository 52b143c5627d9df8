//! How owners are started and ended: in portions, because thousands may change their node at once, and all actors share
//! one thread with the calls that talk and wait meanwhile.

use std::collections::HashMap;

use carillon_rpc::cluster::Message;

use crate::center::{Center, CenterError, ask};
use crate::owned::{Owned, Title};
use crate::supervisor::{Appointment, Order};

/// Owners of one portion: a millisecond or two of the thread.
const OWNERS: usize = 100;
/// What may be held of the owners of one portion, unless it is held of one: about as long.
const MESSAGES: usize = 2_000;

impl Center {
    /// Starts owners on this node, and hands them what living calls and registrars hold of them ([`Center::held`]). Epochs
    /// must be higher than those of all owners before.
    ///
    /// # Errors
    /// [`CenterError::Timeout`] when a portion took longer than 2 s. Its owners will still start, and the others do.
    pub async fn own(&self, what: Vec<(Owned, Title)>, held: Vec<Message>) -> Result<(), CenterError> {
        self.in_turn(portions(what, held), Order::Own).await
    }

    /// Ends owners of this node: another node owns these from now on.
    ///
    /// # Errors
    /// As those of [`Center::own`].
    pub async fn disown(&self, what: Vec<Owned>) -> Result<(), CenterError> {
        let portions = what.chunks(OWNERS).map(<[Owned]>::to_vec).collect();
        self.in_turn(portions, Order::Disown).await
    }

    /// All that has an owner on this node.
    pub fn owned(&self) -> Vec<Owned> {
        let queues = self.addresses.queues().into_iter().map(|(queue, _)| Owned::Queue(queue));
        let agents = self.addresses.agents().into_iter().map(|(agent, _)| Owned::Agent(agent));
        queues.chain(agents).collect()
    }

    /// Whether this has an owner on this node.
    pub fn has_owner(&self, owned: &Owned) -> bool {
        self.addresses.has_owner(owned)
    }

    /// Whatever else waits for the thread has its turn after each portion.
    async fn in_turn<T>(
        &self,
        portions: Vec<T>,
        order: impl Fn(T, ractor::RpcReplyPort<()>) -> Order,
    ) -> Result<(), CenterError> {
        let mut outcome = Ok(());
        for portion in portions {
            let done = ask(&self.supervisor, &"the supervisor", |reply| order(portion, reply)).await;
            outcome = outcome.and(done);
            tokio::task::yield_now().await;
        }
        outcome
    }
}

/// Queues first: an agent who starts tells them at once how he is.
fn portions(mut what: Vec<(Owned, Title)>, held: Vec<Message>) -> Vec<Vec<Appointment>> {
    what.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut held_of: HashMap<Owned, Vec<Message>> = HashMap::new();
    for message in held {
        if let Some(owned) = Owned::addressed(&message) {
            held_of.entry(owned).or_default().push(message);
        }
    }
    let mut portions: Vec<Vec<Appointment>> = Vec::new();
    let mut messages = 0;
    for (owned, title) in what {
        let held = held_of.remove(&owned).unwrap_or_default();
        messages += held.len();
        let appointment = Appointment { owned, title, held };
        match portions.last_mut() {
            Some(portion) if portion.len() < OWNERS && messages <= MESSAGES => portion.push(appointment),
            Some(_) | None => {
                messages = appointment.held.len();
                portions.push(vec![appointment]);
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use carillon_acd::agent;
    use carillon_acd::ids::{AgentId, Epoch, NodeId, QueueId};

    use super::*;

    fn agent(number: usize) -> AgentId {
        AgentId::new("default".parse().unwrap(), format!("a{number}").parse().unwrap())
    }

    fn said_of(number: usize) -> Message {
        let edge = NodeId(1);
        Message::Agent(agent(number), agent::Event::Reachable { device: 0, edge, contacts: Vec::new() })
    }

    #[test]
    fn every_owner_comes_once_with_what_is_held_of_it_and_queues_come_first() {
        let queue = Owned::Queue(QueueId::new("default".parse().unwrap(), "support".parse().unwrap()));
        let owned = (0..250).map(|n| Owned::Agent(agent(n))).chain([queue.clone()]);
        let what = owned.map(|owned| (owned, Title::forever(Epoch(1)))).collect();
        let held = (0..250).chain(0..250).map(said_of).chain((0..5_000).map(|_| said_of(7))).collect();
        let portions = portions(what, held);
        assert_eq!(portions[0][0].owned, queue);
        assert!(portions.iter().all(|portion| portion.len() <= OWNERS), "a portion is too large");
        let weight = |portion: &Vec<Appointment>| portion.iter().map(|it| it.held.len()).sum::<usize>();
        assert!(portions.iter().all(|portion| portion.len() == 1 || weight(portion) <= MESSAGES));
        let all: Vec<Appointment> = portions.into_iter().flatten().collect();
        assert_eq!(all.len(), 251);
        for Appointment { owned, held, .. } in all {
            let theirs = held.iter().all(|message| Owned::addressed(message).as_ref() == Some(&owned));
            let count = if owned == queue { 0 } else { 2 + 5_000 * usize::from(owned == Owned::Agent(agent(7))) };
            assert!(theirs && held.len() == count, "{owned}: {}", held.len());
        }
    }
}
