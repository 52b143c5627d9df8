//! What an object says that was read before, so that a change of one object does not read all the others again.

use std::sync::Arc;

use super::center::{Agent, Center, Number, Queue, Sound, Tenant, Trunk};
use super::findings::{Findings, Note};

/// What a stored object says, and what has to be noted of it. Neither depends on other objects, nor on the machine.
pub(super) struct Piece {
    made: Option<Made>,
    notes: Box<[Note]>,
}

#[derive(Clone)]
enum Made {
    Tenant(Box<Tenant>),
    Trunk(Box<Trunk>),
    Number(Arc<Number>),
    Queue(Arc<Queue>),
    Agent(Arc<Agent>),
    Sound(Box<Sound>),
}

impl Piece {
    /// Of an object that was read into a center of its own.
    pub(super) fn new(alone: Center, is_tenant: bool, findings: Findings) -> Self {
        let Center { tenant, mut trunks, mut numbers, mut queues, mut agents, mut sounds } = alone;
        let made = None
            .or_else(|| is_tenant.then(|| Made::Tenant(Box::new(tenant))))
            .or_else(|| trunks.pop().map(|it| Made::Trunk(Box::new(it))))
            .or_else(|| numbers.pop().map(Made::Number))
            .or_else(|| queues.pop().map(Made::Queue))
            .or_else(|| agents.pop().map(Made::Agent))
            .or_else(|| sounds.pop().map(|it| Made::Sound(Box::new(it))));
        Piece { made, notes: findings.into_notes() }
    }

    /// Puts it in, as if it had just been read from `file`.
    pub(super) fn put_into(&self, center: &mut Center, findings: &mut Findings, file: u32) {
        let queue = center.queues.len();
        self.notes.iter().for_each(|note| findings.note(note, file, queue));
        match self.made.clone() {
            Some(Made::Tenant(tenant)) => center.tenant = *tenant,
            Some(Made::Trunk(trunk)) => center.trunks.push(*trunk),
            Some(Made::Number(number)) => center.numbers.push(number),
            Some(Made::Queue(queue)) => center.queues.push(queue),
            Some(Made::Agent(agent)) => center.agents.push(agent),
            Some(Made::Sound(sound)) => center.sounds.push(*sound),
            None => {}
        }
    }
}
