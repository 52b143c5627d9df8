//! A network that is bad on the way: the further connections of a link carry what its first one is late with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::node::{Node, Seen, envelope, reachable};

/// What a cable does to the bytes of the first connection that is laid over it, in each direction.
#[derive(Clone, Copy, Debug)]
enum Way {
    Clear,
    /// Each piece takes so long, and those behind it wait.
    Late(Duration),
    /// Nothing arrives any more, for now.
    Stuck,
}

/// Lays a cable to `to`: connections to the address that is returned are passed on.
async fn cable(to: SocketAddr) -> (SocketAddr, watch::Sender<Way>) {
    let (way, ways) = watch::channel(Way::Clear);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut way_of_next = Some(ways);
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            let ways = way_of_next.take();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out, ways.clone()));
            tokio::spawn(pass(far_in, near_out, ways));
        }
    });
    (addr, way)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut ways: Option<watch::Receiver<Way>>) {
    let mut piece = vec![0; 65_536];
    while let Ok(bytes @ 1..) = from.read(&mut piece).await {
        if let Some(ways) = &mut ways {
            let now = ways.wait_for(|way| !matches!(way, Way::Stuck)).await.map(|way| *way);
            if let Ok(Way::Late(by)) = now {
                tokio::time::sleep(by).await;
            }
        }
        if to.write_all(&piece[..bytes]).await.is_err() {
            return;
        }
    }
}

async fn linked() -> (Node, Node, watch::Sender<Way>) {
    let (mut one, mut two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    let (addr, way) = cable(two.addr).await;
    two.know(&[(1, one.addr)]);
    one.know(&[(2, addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    for node in [(&one, 2), (&two, 1)] {
        node.0.until("two further connections", |_| (node.0.stats(node.1).further == 2).then_some(())).await;
    }
    // So both know how fast it can be.
    one.links.send(NodeId(2), envelope(200)).unwrap();
    two.links.send(NodeId(1), envelope(200)).unwrap();
    assert_eq!(one.next().await, Seen::Message(NodeId(2), Box::new(reachable(200))));
    assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(reachable(200))));
    (one, two, way)
}

// spec: CL-3
#[tokio::test]
async fn cl_3_what_the_first_connection_is_late_with_comes_once_and_in_order_over_another() {
    let (mut one, mut two, way) = linked().await;
    assert!(!one.stats(2).doubling && !two.stats(1).doubling, "nothing is late yet");
    way.send_replace(Way::Late(Duration::from_millis(150)));
    one.until("it notices that what it hears is late", |_| one.stats(2).doubling.then_some(())).await;
    two.until("it notices that what it hears is late", |_| two.stats(1).doubling.then_some(())).await;
    way.send_replace(Way::Stuck);
    for device in 0..=99 {
        one.links.send(NodeId(2), envelope(device)).unwrap();
        two.links.send(NodeId(1), envelope(device)).unwrap();
    }
    for device in 0..=99 {
        assert_eq!(one.next().await, Seen::Message(NodeId(2), Box::new(reachable(device))));
        assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(reachable(device))));
    }
    assert_eq!((one.stats(2).received, two.stats(1).received), (1, 1), "the first connection has brought nothing yet");
    // Longer than a link may be silent: it lives, because the others speak.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((one.stats(2).opened, two.stats(1).opened), (1, 1));
    way.send_replace(Way::Clear);
    // Each of the hundred comes over three connections, and counts once.
    for node in [(&one, 2), (&two, 1)] {
        node.0.until("the doubles are dropped", |_| (node.0.stats(node.1).doubles == 200).then_some(())).await;
        assert_eq!(node.0.stats(node.1).doubled, 200);
    }
    one.links.send(NodeId(2), envelope(100)).unwrap();
    assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(reachable(100))), "nothing was taken in twice");
}

#[tokio::test]
async fn a_link_that_is_not_late_sends_everything_once() {
    let (one, mut two, _way) = linked().await;
    for device in 0..=99 {
        one.links.send(NodeId(2), envelope(device)).unwrap();
    }
    for device in 0..=99 {
        assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(reachable(device))));
    }
    let stats = two.stats(1);
    assert_eq!((one.stats(2).doubled, stats.doubles, stats.received), (0, 0, 101));
}

#[tokio::test]
async fn further_connections_end_with_their_link() {
    let (mut one, mut two, _way) = linked().await;
    one.know(&[]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), None));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), None));
    one.know(&[(2, two.addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    let again = Arc::new(one);
    again.until("those of the new link", |_| (again.stats(2).further == 2).then_some(())).await;
}
