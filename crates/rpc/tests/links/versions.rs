//! Nodes of other versions: the next one is understood as far as it goes, one that is too far away is refused.

use carillon_acd::ids::NodeId;
use carillon_rpc::cluster::link::{OLDEST, PROTOCOL};
use carillon_rpc::cluster::wire;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::node::{Node, Seen, envelope, reachable};

/// A frame of a version that does not exist yet: it knows more of everything.
#[derive(Clone, PartialEq, prost::Message)]
struct FutureFrame {
    #[prost(message, optional, tag = "1")]
    hello: Option<FutureHello>,
    #[prost(message, repeated, tag = "2")]
    envelopes: Vec<FutureEnvelope>,
    #[prost(string, tag = "99")]
    news: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FutureHello {
    #[prost(uint32, tag = "1")]
    node: u32,
    #[prost(fixed32, tag = "2")]
    boot: u32,
    #[prost(uint32, tag = "3")]
    protocol: u32,
    #[prost(uint32, optional, tag = "4")]
    oldest: Option<u32>,
    #[prost(string, tag = "99")]
    news: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FutureEnvelope {
    #[prost(message, optional, tag = "2")]
    to_agent: Option<wire::ToAgent>,
    /// A kind of message that this version has not.
    #[prost(message, optional, tag = "99")]
    to_somebody: Option<wire::ProbeResponse>,
    #[prost(fixed64, tag = "100")]
    news: u64,
}

fn hello(protocol: u32) -> FutureFrame {
    let hello = FutureHello { node: 1, boot: 100, protocol, oldest: Some(protocol - 1), news: "hello".into() };
    FutureFrame { hello: Some(hello), envelopes: Vec::new(), news: "first".into() }
}

async fn open(
    node: &Node,
    first: FutureFrame,
) -> Result<(mpsc::UnboundedSender<FutureFrame>, Response<Streaming<wire::Frame>>), Status> {
    let channel: Channel = Endpoint::from_shared(format!("http://{}", node.addr)).unwrap().connect().await.unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let (sender, frames) = mpsc::unbounded_channel();
    sender.send(first).unwrap();
    let path = PathAndQuery::from_static("/carillon.cluster.v1.LinkService/Open");
    let request = Request::new(UnboundedReceiverStream::new(frames));
    let response = client.streaming(request, path, ProstCodec::<FutureFrame, wire::Frame>::default()).await?;
    Ok((sender, response))
}

#[tokio::test]
async fn what_the_next_version_adds_is_ignored_or_counted_and_the_link_lives() {
    let mut two = Node::start(2, 200).await;
    // Where it listens does not matter: who has the lower number dials.
    two.know(&[(1, two.addr)]);
    let (future, _incoming) = open(&two, hello(PROTOCOL + 1)).await.unwrap();
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    assert_eq!(two.stats(1).version, Some(PROTOCOL), "what both know");
    let to_agent = |device| match envelope(device).message {
        Some(wire::envelope::Message::ToAgent(it)) => Some(it),
        other => panic!("{other:?}"),
    };
    let known = |device| FutureEnvelope { to_agent: to_agent(device), to_somebody: None, news: 7 };
    let unknown = FutureEnvelope { to_agent: None, to_somebody: Some(wire::ProbeResponse { boot: 3 }), news: 7 };
    // A message for an agent of which this version does not know the case.
    let nothing = wire::ToAgent { event: None, ..to_agent(0).unwrap() };
    let strange = FutureEnvelope { to_agent: Some(nothing), to_somebody: None, news: 7 };
    let envelopes = vec![known(1), unknown, strange, known(2)];
    future.send(FutureFrame { hello: None, envelopes, news: "second".into() }).unwrap();
    for device in [1, 2] {
        assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(reachable(device))));
    }
    let stats = two.stats(1);
    assert_eq!((stats.received, stats.unknown, stats.opened), (4, 2, 1));
}

#[tokio::test]
async fn a_version_that_is_too_far_away_is_refused_with_both_ranges_and_shown() {
    let two = Node::start(2, 200).await;
    let refused = open(&two, hello(9)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    let ranges = ["versions 8 to 9".to_owned(), format!("{OLDEST} to {PROTOCOL}")];
    assert!(ranges.iter().all(|range| refused.message().contains(range)), "{refused}");
    assert_eq!(two.links.troubles()[&NodeId(1)], refused.message());
}

#[test]
fn a_hello_of_the_first_version_has_no_range() {
    let old = wire::Hello::decode(&[0x08, 1, 0x15, 100, 0, 0, 0, 0x18, 1][..]).unwrap();
    assert_eq!((old.node, old.protocol, old.oldest), (1, 1, None));
}
