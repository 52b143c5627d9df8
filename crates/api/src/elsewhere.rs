//! What lives on other nodes of the cluster: a request for it goes on to the API of its node, once; a list is put together of
//! what all nodes have.

use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::{CallId, NodeId};
use carillon_actors::{CenterError, Owned};
use carillon_rpc::MISSING_NODES;
use tokio::time::Instant;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::cluster::{Nodes, Other};
use crate::refusal;

/// Marks a request that comes from another node's API: it is answered from here alone.
const FORWARDED: &str = "carillon-forwarded";
/// How long another node may take for an answer. A request waits for the slowest of them.
const PATIENCE: Duration = Duration::from_secs(2);
/// Marks the answer that a queue or an agent has no owner at this moment: nothing was done.
const OWNER_CHANGES: &str = "carillon-owner-changes";
/// The pause before the next owner is looked for.
const NEXT_OWNER: Duration = Duration::from_millis(100);
/// The largest answer of another node; pages end far below it, but a single record may be large.
pub(crate) const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The other nodes' APIs, as a service needs them.
#[derive(Clone)]
pub(crate) struct Elsewhere {
    nodes: Option<Arc<dyn Nodes>>,
}

impl Elsewhere {
    /// `None` for a node that stands alone.
    pub(crate) fn new(nodes: Option<Arc<dyn Nodes>>) -> Self {
        Elsewhere { nodes }
    }

    fn asked<T>(&self, request: &Request<T>) -> Option<&Arc<dyn Nodes>> {
        self.nodes.as_ref().filter(|_| !self.is_forwarded(request))
    }

    /// Whether another node's API asks: it is answered from here alone.
    pub(crate) fn is_forwarded<T>(&self, request: &Request<T>) -> bool {
        request.metadata().contains_key(FORWARDED)
    }

    /// The API of the node that owns this, unless that is here, or nobody, or the request was sent on already.
    pub(crate) fn owner<T>(&self, request: &Request<T>, owned: &Owned) -> Option<Channel> {
        self.asked(request)?.api_of_owner(owned)
    }

    /// Why the owner could not be asked. While it changes, a queue or an agent that exists is found nowhere.
    pub(crate) fn refused(&self, owned: &Owned, error: CenterError) -> Status {
        let exists = |nodes: &Arc<dyn Nodes>| nodes.owners().iter().any(|known| known.owned == *owned);
        match error {
            CenterError::NotFound { ref what, .. }
                if *what == owned.to_string() && self.nodes.as_ref().is_some_and(exists) =>
            {
                let mut status = Status::unavailable(format!("{owned} changes its owner at this moment: try again"));
                status.metadata_mut().insert(OWNER_CHANGES, AsciiMetadataValue::from_static("1"));
                status
            }
            error @ (CenterError::NotFound { .. } | CenterError::Refused(_) | CenterError::Timeout(_)) => {
                refusal::of(owned, error).into()
            }
        }
    }

    /// Has the owner do something, wherever it is. While it changes, nobody has done it: then the next one is looked for, for a
    /// moment.
    pub(crate) async fn at_owner<Q: Clone, A, H, F>(
        &self,
        request: &Request<Q>,
        owned: &Owned,
        here: impl Fn() -> H,
        there: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<Response<A>, Status>
    where
        H: Future<Output = Result<A, Status>>,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let until = Instant::now() + PATIENCE;
        loop {
            let done = match self.owner(request, owned) {
                Some(channel) => there(channel, forwarded(request.get_ref().clone())).await,
                None => here().await.map(Response::new),
            };
            match done {
                // Who sent it on looks for the next owner.
                Err(status)
                    if status.metadata().contains_key(OWNER_CHANGES)
                        && !self.is_forwarded(request)
                        && Instant::now() < until =>
                {
                    tokio::time::sleep(NEXT_OWNER).await;
                }
                done => return done,
            }
        }
    }

    /// The API of the node on which this call lives, likewise.
    pub(crate) fn of_call<T>(&self, request: &Request<T>, call: CallId) -> Option<Channel> {
        self.asked(request)?.api_of_call(call)
    }

    /// All other nodes that may have a part of what is asked for, likewise.
    pub(crate) fn others<T>(&self, request: &Request<T>, has_part: impl Fn(&Other) -> bool) -> Vec<Other> {
        if self.asked(request).is_some() { self.all_others(has_part) } else { Vec::new() }
    }

    /// The same for a smaller question, which whoever is asked answers alone: also to put together what was sent on.
    pub(crate) fn all_others(&self, has_part: impl Fn(&Other) -> bool) -> Vec<Other> {
        let others = self.nodes.as_ref().map(|nodes| nodes.others()).unwrap_or_default();
        others.into_iter().filter(has_part).collect()
    }

    /// The API of the owner for a smaller question, likewise.
    pub(crate) fn owner_of_part(&self, owned: &Owned) -> Option<Channel> {
        self.nodes.as_ref()?.api_of_owner(owned)
    }
}

/// The same request for another node, which has [`PATIENCE`].
pub(crate) fn forwarded<T>(message: T) -> Request<T> {
    forwarded_within(message, PATIENCE)
}

/// The same request for another node, which has so long for its answer.
pub(crate) fn forwarded_within<T>(message: T, patience: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience);
    request.metadata_mut().insert(FORWARDED, AsciiMetadataValue::from_static("1"));
    request
}

/// What the others answered.
pub(crate) struct Answers<T> {
    /// The parts that came.
    pub(crate) of: Vec<(NodeId, T)>,
    /// Whose part is missing.
    pub(crate) missing: Vec<NodeId>,
}

/// Asks all of them at the same time: the slowest decides how long it takes.
pub(crate) async fn ask_all<T, A>(others: Vec<Other>, ask: impl Fn(Channel) -> A) -> Answers<T>
where
    T: Send + 'static,
    A: Future<Output = Result<T, Status>> + Send + 'static,
{
    let asked: Vec<_> = others.into_iter().map(|it| (it.node, it.api.map(|api| tokio::spawn(ask(api))))).collect();
    let mut answers = Answers { of: Vec::with_capacity(asked.len()), missing: Vec::new() };
    for (node, answer) in asked {
        let answer = match answer {
            Some(answer) => answer.await.unwrap_or_else(|error| Err(Status::internal(error.to_string()))),
            None => Err(Status::unimplemented("it has no API")),
        };
        match answer {
            Ok(part) => answers.of.push((node, part)),
            Err(status) => {
                tracing::warn!(node = node.0, %status, "another node's part of an answer is missing");
                answers.missing.push(node);
            }
        }
    }
    answers
}

/// An answer that says whose part of it is missing.
pub(crate) fn marked<T>(message: T, missing: &[NodeId]) -> Response<T> {
    let mut response = Response::new(message);
    if !missing.is_empty() {
        let nodes: Vec<String> = missing.iter().map(|node| node.0.to_string()).collect();
        let nodes = nodes.join(",").try_into().expect("digits and commas");
        response.metadata_mut().insert(MISSING_NODES, nodes);
    }
    response
}

/// Puts pages of the same list together that several nodes gave, each in order of `key` and with the token of the next: the
/// page of all, and its token. What several nodes show is one: between two owners both may have it for a moment.
pub(crate) fn merged<T, K: Ord>(
    size: usize,
    own: (Vec<T>, String),
    others: Vec<(NodeId, (Vec<T>, String))>,
    key: impl Fn(&T) -> K,
    token: impl Fn(&T) -> String,
) -> (Vec<T>, String) {
    joined(size, own, others, key, |_, _| (), token)
}

/// The same of lists in which several nodes have a part of one item: `join` adds another node's part of it.
pub(crate) fn joined<T, K: Ord>(
    size: usize,
    own: (Vec<T>, String),
    others: Vec<(NodeId, (Vec<T>, String))>,
    key: impl Fn(&T) -> K,
    join: impl Fn(&mut T, &T),
    token: impl Fn(&T) -> String,
) -> (Vec<T>, String) {
    let (mut all, mut horizon) = (Vec::new(), None);
    for (items, next) in std::iter::once(own).chain(others.into_iter().map(|(_, page)| page)) {
        // Behind the end of a page, which may be a short one, its node has items that are not here.
        let end = items.last().filter(|_| !next.is_empty()).map(&key);
        horizon = horizon.into_iter().chain(end).min();
        all.extend(items);
    }
    all.sort_by_cached_key(&key);
    all.dedup_by(|other, kept| {
        let same = key(other) == key(kept);
        if same {
            join(kept, other);
        }
        same
    });
    let known = horizon.as_ref().map_or(all.len(), |horizon| all.partition_point(|item| key(item) <= *horizon));
    let more = horizon.is_some() || all.len() > size;
    all.truncate(known.min(size));
    let next = all.last().filter(|_| more).map(token).unwrap_or_default();
    (all, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(parts: &[&[u32]], size: usize) -> Vec<Vec<u32>> {
        let (mut pages, mut after) = (Vec::new(), 0);
        loop {
            let page = |part: &&[u32]| {
                let rest: Vec<u32> = part.iter().copied().filter(|item| *item > after).collect();
                let cut: Vec<u32> = rest.iter().copied().take(size).collect();
                let next = cut.last().filter(|_| rest.len() > size).map(u32::to_string).unwrap_or_default();
                (cut, next)
            };
            let others = parts[1..].iter().map(|part| (NodeId(2), page(part))).collect();
            let (all, next) = merged(size, page(&parts[0]), others, |item| *item, u32::to_string);
            pages.push(all);
            match next.parse() {
                Ok(last) => after = last,
                Err(_) => return pages,
            }
        }
    }

    /// A cluster in which Anna has no owner.
    struct Between;

    #[tonic::async_trait]
    impl Nodes for Between {
        fn nodes(&self) -> Vec<carillon_rpc::v1::Node> {
            Vec::new()
        }

        fn owners(&self) -> Vec<crate::Ownership> {
            vec![crate::Ownership { owned: anna(), shard: 7, node: None, epoch: carillon_acd::ids::Epoch(3) }]
        }

        fn me(&self) -> NodeId {
            NodeId(1)
        }

        fn api_of_owner(&self, _: &Owned) -> Option<Channel> {
            None
        }

        fn api_of_call(&self, _: CallId) -> Option<Channel> {
            None
        }

        fn others(&self) -> Vec<Other> {
            Vec::new()
        }

        async fn drain(&self, _: NodeId, _: bool) -> Result<(), String> {
            Ok(())
        }
    }

    fn agent(name: &str) -> Owned {
        Owned::Agent(carillon_acd::ids::AgentId::new("default".parse().unwrap(), name.parse().unwrap()))
    }

    fn anna() -> Owned {
        agent("anna")
    }

    fn unknown() -> CenterError {
        CenterError::NotFound { what: anna().to_string(), nearest: Vec::new() }
    }

    // spec: TR-6, CL-6: who commands an agent notices nothing of a drain.
    #[tokio::test(start_paused = true)]
    async fn cl_6_a_command_waits_for_the_next_owner_and_no_longer_than_a_moment() {
        let elsewhere = Elsewhere::new(Some(Arc::new(Between)));
        let asked = std::cell::Cell::new(0);
        let there = |_, _: Request<()>| async { unreachable!("nobody owns her elsewhere") };
        let after = |failures: u32| {
            let (asked, elsewhere) = (&asked, &elsewhere);
            move || async move {
                asked.set(asked.get() + 1);
                if asked.get() > failures { Ok(asked.get()) } else { Err(elsewhere.refused(&anna(), unknown())) }
            }
        };
        let done = elsewhere.at_owner(&Request::new(()), &anna(), after(3), there).await;
        assert_eq!(done.unwrap().into_inner(), 4);
        let began = Instant::now();
        let given_up = elsewhere.at_owner(&Request::new(()), &anna(), after(u32::MAX), there).await.unwrap_err();
        assert!(given_up.message().contains("changes its owner"), "{given_up}");
        assert!((PATIENCE..PATIENCE + 2 * NEXT_OWNER).contains(&began.elapsed()), "{:?}", began.elapsed());
        asked.set(0);
        let sent_on = elsewhere.at_owner(&forwarded(()), &anna(), after(u32::MAX), there).await.unwrap_err();
        assert_eq!((asked.get(), sent_on.metadata().contains_key(OWNER_CHANGES)), (1, true));
        let nobody = elsewhere.refused(&agent("nobody"), unknown());
        assert!(!nobody.metadata().contains_key(OWNER_CHANGES), "who is not configured has no next owner");
        let queue = CenterError::NotFound { what: "tenants/default/queues/nobody".into(), nearest: Vec::new() };
        let no_queue = elsewhere.refused(&anna(), queue);
        assert!(!no_queue.metadata().contains_key(OWNER_CHANGES), "she is there, the queue of her command is not");
    }

    #[test]
    fn the_pages_of_all_nodes_together_are_the_whole_list_in_order() {
        assert_eq!(pages(&[&[1, 4, 9], &[2, 3, 8], &[5]], 2), [vec![1, 2], vec![3, 4], vec![5, 8], vec![9]]);
        assert_eq!(pages(&[&[1, 2], &[2, 3]], 5), [[1, 2, 3]], "what two nodes show is one");
        assert_eq!(pages(&[&[], &[]], 2), [Vec::<u32>::new()]);
    }

    #[test]
    fn what_follows_a_short_page_waits_for_the_rest_of_it() {
        let own = (vec![1, 5], "5".to_owned());
        let others = vec![(NodeId(2), (vec![2, 9], String::new()))];
        let (page, next) = merged(10, own, others, |item| *item, u32::to_string);
        assert_eq!((page, next.as_str()), (vec![1, 2, 5], "5"), "6, 7 and 8 may follow on the first node");
    }

    #[test]
    fn parts_of_one_item_are_added_up() {
        let own = (vec![(1, 10), (2, 20)], String::new());
        let others =
            vec![(NodeId(2), (vec![(2, 2), (3, 3)], String::new())), (NodeId(3), (vec![(2, 1)], String::new()))];
        let add = |sum: &mut (u32, u32), part: &(u32, u32)| sum.1 += part.1;
        let (page, next) = joined(10, own, others, |item| item.0, add, |item| item.0.to_string());
        assert_eq!((page, next.as_str()), (vec![(1, 10), (2, 23), (3, 3)], ""));
    }

    #[test]
    fn an_answer_says_whose_part_is_missing() {
        assert!(marked((), &[]).metadata().is_empty());
        assert_eq!(marked((), &[NodeId(2), NodeId(30)]).metadata().get(MISSING_NODES).unwrap(), "2,30");
    }

    #[tokio::test]
    async fn who_has_no_api_or_does_not_answer_is_missing_and_the_others_are_not() {
        let api = || Some(tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy());
        let other = |node, api| Other { node: NodeId(node), run: 1, edge: true, acd: true, api };
        let asked = std::sync::atomic::AtomicU32::new(0);
        let answers = ask_all(vec![other(2, api()), other(3, None), other(4, api())], |_| {
            let first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            async move { if first { Err(Status::unavailable("gone")) } else { Ok("part") } }
        });
        let answers = answers.await;
        assert_eq!((answers.of, answers.missing), (vec![(NodeId(4), "part")], vec![NodeId(2), NodeId(3)]));
    }
}
