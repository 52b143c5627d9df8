//! What the server does for every service: health, reflection, limits, pages of records.

use crate::node::{Node, call_id, next, until};
use carillon_acd::leg::{CallerId, Cause};
use carillon_acd::record::{Outcome, Record};
use carillon_acd::time::WallTime;
use carillon_rpc::v1;
use carillon_rpc::v1::record_service_client::RecordServiceClient;
use carillon_rpc::v1::watch_service_client::WatchServiceClient;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SERVICES: [&str; 6] = ["Agent", "Call", "Explain", "Queue", "Record", "Watch"];

#[tokio::test]
async fn every_service_is_healthy_and_described() {
    let node = Node::start().await;
    let mut health = HealthClient::new(node.channel.clone());
    for service in SERVICES {
        let request = tonic_health::pb::HealthCheckRequest { service: format!("carillon.v1.{service}Service") };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving, "{service}");
    }

    let mut reflection = ServerReflectionClient::new(node.channel.clone());
    let ask = |message_request| tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let questions = [ask(MessageRequest::ListServices(String::new()))];
    let mut answers = reflection.server_reflection_info(tokio_stream::iter(questions)).await.unwrap().into_inner();
    let answer = next(&mut answers).await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in SERVICES {
        assert!(names.contains(&format!("carillon.v1.{service}Service")), "{names:?}");
    }
}

// spec: SE-6
#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let node = Node::start().await;
    let request = v1::GetAgentRequest { name: "a".repeat(100_000) };
    assert_eq!(node.agents().get_agent(request).await.unwrap_err().code(), Code::OutOfRange);
    node.agent("anna").await;
}

#[tokio::test]
async fn a_place_to_watch_is_free_again_when_its_client_leaves() {
    let node = Node::start().await;
    let mut watcher = WatchServiceClient::new(node.channel.clone());
    let request = v1::WatchRequest { parent: "tenants/-".into() };
    let mut streams = Vec::new();
    let refused = loop {
        match watcher.watch(request.clone()).await {
            Ok(stream) => streams.push(stream.into_inner()),
            Err(status) => break status,
        }
    };
    assert_eq!((refused.code(), streams.len()), (Code::ResourceExhausted, 64));
    drop(streams);
    until("a place is free", async || watcher.clone().watch(request.clone()).await.ok()).await;
}

#[tokio::test]
async fn a_client_that_never_speaks_does_not_hold_up_the_stop() {
    let node = Node::start().await;
    let address = node.address;
    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    node.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is still open");
}

fn record(number: u64, started: i64) -> Record {
    Record {
        call: call_id(number),
        caller: CallerId::default(),
        dialled: "201".into(),
        number: None,
        started: WallTime(started),
        ended: WallTime(started + 1),
        queue: None,
        agent: None,
        wait_ms: None,
        talk_ms: 0,
        outcome: Outcome::Refused,
        cause: Cause::NotFound,
        transitions: Vec::new(),
    }
}

// spec: PL-6
#[tokio::test]
async fn records_are_listed_once_each_the_latest_first() {
    let node = Node::start().await;
    // Two calls in the same microsecond stand across the border of two pages.
    for (number, started) in [(1, 10), (2, 20), (3, 20), (4, 30)] {
        node.store.writer().try_write(record(number, started)).unwrap();
    }
    node.store.writer().flush().await.unwrap();
    let mut client = RecordServiceClient::new(node.channel.clone());
    let (mut calls, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListRecordsRequest { page_size: 2, page_token, ..Default::default() };
        let page = client.list_records(request).await.unwrap().into_inner();
        assert!(page.records.len() <= 2);
        calls.extend(page.records.into_iter().map(|record| record.call));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(calls, [4, 3, 2, 1].map(|number| format!("calls/1-6a0f3c21-{number}")));

    let since = Some(carillon_rpc::time::timestamp(WallTime(20)));
    let until = Some(carillon_rpc::time::timestamp(WallTime(30)));
    let request = v1::ListRecordsRequest { since, until, ..Default::default() };
    assert_eq!(client.list_records(request).await.unwrap().into_inner().records.len(), 2);
}
