//! Answers of a cluster of which a part is missing: the person at the terminal is told.

use std::collections::BTreeSet;

use carillon_rpc::MISSING_NODES;
use tonic::Response;

/// The nodes that were named already: an answer comes in pages.
#[derive(Debug, Default)]
pub(super) struct Missing(BTreeSet<u32>);

impl Missing {
    /// The answer; what is missing of it is said on standard error.
    pub(super) fn told<T>(&mut self, response: Response<T>) -> T {
        for node in self.first_named(&response) {
            eprintln!("node {node} did not answer: its part is missing");
        }
        response.into_inner()
    }

    fn first_named<T>(&mut self, response: &Response<T>) -> Vec<u32> {
        let named = response.metadata().get(MISSING_NODES).and_then(|value| value.to_str().ok()).unwrap_or_default();
        named.split(',').filter_map(|node| node.parse().ok()).filter(|node| self.0.insert(*node)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_is_named_once() {
        let mut missing = Missing::default();
        assert_eq!(missing.first_named(&Response::new(())), [0; 0]);
        let mut page = Response::new(());
        page.metadata_mut().insert(MISSING_NODES, "2,30".parse().unwrap());
        assert_eq!(missing.first_named(&page), [2, 30]);
        page.metadata_mut().insert(MISSING_NODES, "3,30".parse().unwrap());
        assert_eq!(missing.first_named(&page), [3]);
    }
}
