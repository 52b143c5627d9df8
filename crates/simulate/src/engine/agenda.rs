//! What is due when. Things due at one moment happen in the order in which they were planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use carillon_acd::agent;
use carillon_acd::ids::{AgentId, CallId, LegId};
use carillon_acd::leg::LegEvent;
use carillon_acd::time::Moment;
use carillon_acd::view::AgentCommand;

use super::Message;
use super::slots::Place;

pub(super) enum Due<E> {
    Outside(E),
    Message(Message),
    Leg(LegId, LegEvent),
    Command(AgentId, AgentCommand),
    /// For the newest owner of an agent, from the node that it lives on.
    Owner(usize, agent::Event),
    /// The newest owner of an agent asks the call what it holds.
    Asked(CallId, usize),
    Wake(Place),
}

struct Entry<E> {
    at: Moment,
    number: u64,
    due: Box<Due<E>>,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, because the heap gives the greatest first.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

pub(super) struct Agenda<E> {
    heap: BinaryHeap<Entry<E>>,
    planned: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Agenda { heap: BinaryHeap::new(), planned: 0 }
    }
}

impl<E> Agenda<E> {
    pub(super) fn push(&mut self, at: Moment, due: Due<E>) {
        self.planned += 1;
        self.heap.push(Entry { at, number: self.planned, due: Box::new(due) });
    }

    pub(super) fn pop_until(&mut self, until: Moment) -> Option<(Moment, Due<E>)> {
        if self.heap.peek()?.at > until {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, *entry.due))
    }
}
