//! Always from the top of the list (Spec: QU-1).

use super::Candidate;
use super::ordered::Order;

/// By the place in the list and nothing else.
#[derive(Clone, Debug)]
pub(in crate::queue) struct InOrder;

impl Order for InOrder {
    type Key = ();

    fn key(_candidate: &Candidate) {}
}
