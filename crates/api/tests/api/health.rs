//! What orchestrators and load balancers see of a node: gRPC health and plain HTTP.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::node::{Mood, Node, until};

/// The status line and the whole answer.
async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.lines().next().unwrap_or_default().to_owned(), answer)
}

async fn until_health_is(node: &Node, service: &str, wanted: ServingStatus) {
    until("the health", async || {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(node.channel.clone()).check(request).await.unwrap();
        (answer.into_inner().status() == wanted).then_some(())
    })
    .await;
}

// spec: CL-6
#[tokio::test]
async fn cl_6_the_health_of_the_server_follows_the_node_and_that_of_its_services_does_not() {
    let node = Node::start().await;
    until_health_is(&node, "", ServingStatus::Serving).await;
    node.vitals.becomes(&["draining"]);
    until_health_is(&node, "", ServingStatus::NotServing).await;
    until_health_is(&node, "carillon.v1.CallService", ServingStatus::Serving).await;
    node.vitals.becomes(&[]);
    until_health_is(&node, "", ServingStatus::Serving).await;
}

// spec: CL-6
#[tokio::test]
async fn cl_6_readiness_over_http_says_what_is_in_the_way() {
    let mood = std::sync::Arc::new(Mood::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(carillon_api::serve_http(listener, mood.clone()));
    let (status, answer) = get(address, "/healthz/ready").await;
    assert!(status.contains("200") && answer.ends_with("ready\n"), "{answer}");
    mood.becomes(&["draining: 3 calls left", "joining"]);
    let (status, answer) = get(address, "/healthz/ready").await;
    assert!(status.contains("503") && answer.ends_with("draining: 3 calls left\njoining\n"), "{answer}");
    mood.becomes(&[]);
    mood.refuses("sound welcome: cannot read /w.wav");
    let (status, answer) = get(address, "/healthz/ready").await;
    let refusal = "revision 3 of the configuration is not in force here, but 2: sound welcome: cannot read /w.wav";
    assert!(status.contains("200") && answer.ends_with(&format!("ready\n{refusal}\n")), "{answer}");
    let (status, _) = get(address, "/healthz/live").await;
    assert!(status.contains("200"), "a node that is not ready need not be killed");
    let (status, answer) = get(address, "/metrics").await;
    assert!(status.contains("200") && answer.contains("application/openmetrics-text"), "{answer}");
    assert!(get(address, "/").await.0.contains("404"));
    served.abort();
}
