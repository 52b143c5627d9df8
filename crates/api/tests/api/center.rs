//! Agents, queues and calls through the API, over a socket.

use crate::node::{AGENTS, Node, agent_name, incoming, next, queue_name, until};
use carillon_rpc::v1;
use carillon_rpc::v1::call_service_client::CallServiceClient;
use carillon_rpc::v1::queue_service_client::QueueServiceClient;
use carillon_rpc::v1::record_service_client::RecordServiceClient;
use carillon_rpc::v1::statistics_service_client::StatisticsServiceClient;
use tonic::Code;
use tonic_types::StatusExt;

#[tokio::test]
async fn agents_are_listed_in_pages() {
    let node = Node::start().await;
    let (mut names, mut pages, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request =
            v1::ListAgentsRequest { parent: "tenants/default".into(), page_size: 2, page_token, names: Vec::new() };
        let page = node.agents().list_agents(request).await.unwrap().into_inner();
        pages.push(page.agents.len());
        names.extend(page.agents.into_iter().map(|agent| agent.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, AGENTS.map(agent_name));
    assert_eq!(pages, [2, 1]);

    let request = v1::ListAgentsRequest { parent: "tenants/other".into(), ..Default::default() };
    assert!(node.agents().list_agents(request).await.unwrap().into_inner().agents.is_empty());
}

// spec: TR-6
#[tokio::test]
async fn availability_is_set_and_seen() {
    let node = Node::start().await;
    for wanted in [v1::Availability::OnBreak, v1::Availability::LoggedOut, v1::Availability::Ready] {
        let request = v1::SetAvailabilityRequest { name: agent_name("anna"), availability: wanted.into() };
        let answered = node.agents().set_availability(request).await.unwrap().into_inner().agent.unwrap();
        assert_eq!(answered.availability(), wanted);
        assert_eq!(node.agent("anna").await.availability(), wanted);
    }
}

// spec: TR-5
#[tokio::test]
async fn queues_are_left_and_joined() {
    let node = Node::start().await;
    let logins = |agent: v1::Agent| agent.queues.into_iter().map(|login| login.logged_in).collect::<Vec<_>>();
    let request = v1::LogOutOfQueueRequest { name: agent_name("anna"), queue: queue_name("support") };
    node.agents().log_out_of_queue(request).await.unwrap();
    assert_eq!(logins(node.agent("anna").await), [true, false]);

    let request = v1::LogInToQueueRequest { name: agent_name("anna"), queue: queue_name("support") };
    node.agents().log_in_to_queue(request).await.unwrap();
    assert_eq!(logins(node.agent("anna").await), [true, true]);
}

#[tokio::test]
async fn refusals_say_what_would_be_right() {
    let node = Node::start().await;
    let absent = node.agents().get_agent(v1::GetAgentRequest { name: agent_name("ana") }).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    assert_eq!(absent.message(), "tenants/default/agents/ana not found; did you mean tenants/default/agents/anna?");

    let unnamed = node.agents().get_agent(v1::GetAgentRequest { name: "anna".into() }).await.unwrap_err();
    assert_eq!(unnamed.code(), Code::InvalidArgument);
    assert_eq!(unnamed.get_details_bad_request().unwrap().field_violations[0].field, "name");

    let request = v1::SetAvailabilityRequest { name: agent_name("anna"), availability: 0 };
    let unspecified = node.agents().set_availability(request).await.unwrap_err();
    assert_eq!(unspecified.get_details_bad_request().unwrap().field_violations[0].field, "availability");

    let queue = "tenants/other/queues/support".into();
    let foreign = node.agents().log_in_to_queue(v1::LogInToQueueRequest { name: agent_name("anna"), queue }).await;
    assert_eq!(foreign.unwrap_err().get_details_bad_request().unwrap().field_violations[0].field, "queue");

    // spec: QU-11
    let idle = node.agents().end_wrap_up(v1::EndWrapUpRequest { name: agent_name("anna") }).await.unwrap_err();
    assert_eq!(idle.code(), Code::FailedPrecondition);
    assert_eq!(idle.get_details_precondition_failure().unwrap().violations[0].subject, agent_name("anna"));
}

// spec: TR-4
#[tokio::test]
async fn tr_4_an_agent_picks_up_what_rings_at_a_colleague() {
    let node = Node::start().await;
    let pick_up = async |who: &str, call: &str| {
        let request = v1::PickUpCallRequest { name: agent_name(who), call: call.into(), queue: String::new() };
        node.agents().pick_up_call(request).await.map(|answer| answer.into_inner().call)
    };
    let refused = async |who: &str, call: &str, why: &str| {
        let status = pick_up(who, call).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert!(status.message().contains(why), "{status:?}");
    };
    refused("ivan", "", "no reachable device").await;
    for who in ["anna", "ivan"] {
        node.plug_in(who);
        until("the phone is known", async || (node.agent(who).await.reachable_device_count == 1).then_some(())).await;
    }
    refused("ivan", "", "tenants/default/queues/support: nothing rings").await;
    node.center.incoming(incoming(42));
    let reserved =
        async |who: &str| (node.agent(who).await.activity() == v1::Activity::Reserved).then(|| who.to_owned());
    let rings = until("a phone rings", async || reserved("anna").await.or(reserved("ivan").await)).await;
    let other = if rings == "anna" { "ivan" } else { "anna" };
    let name = "calls/1-6a0f3c21-42";
    refused(&rings, name, "busy with another call").await;
    let absent = pick_up(other, "calls/1-6a0f3c21-7").await.unwrap_err();
    assert_eq!((absent.code(), absent.message()), (Code::NotFound, "calls/1-6a0f3c21-7 not found"));
    assert_eq!(pick_up(other, "42").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(pick_up(other, "").await.unwrap(), name);
    until("his phone rings, too", async || reserved(other).await).await;
    assert_eq!([node.agent("anna").await.call, node.agent("ivan").await.call], [name, name]);
}

#[tokio::test]
async fn a_call_is_seen_in_its_queue_until_it_is_hung_up() {
    let node = Node::start().await;
    let mut calls = CallServiceClient::new(node.channel.clone());
    let mut queues = QueueServiceClient::new(node.channel.clone());
    node.center.incoming(incoming(42));
    let name = "calls/1-6a0f3c21-42".to_owned();
    let get = v1::GetCallRequest { name: name.clone() };
    let waiting = until("the call waits", async || {
        let call = calls.clone().get_call(get.clone()).await.ok()?.into_inner().call?;
        (call.stage() == v1::Stage::Waiting).then_some(call)
    })
    .await;
    assert_eq!((waiting.name.as_str(), waiting.queue), (name.as_str(), queue_name("support")));
    assert_eq!(waiting.caller.unwrap().number, "+48600000000");
    let listed = calls.list_calls(v1::ListCallsRequest::default()).await.unwrap().into_inner().calls;
    assert_eq!(listed.len(), 1);
    let queue = queues.get_queue(v1::GetQueueRequest { name: queue_name("support") }).await.unwrap().into_inner();
    assert_eq!(queue.queue.unwrap().strategy(), v1::Strategy::LongestIdle);

    calls.hang_up_call(v1::HangUpCallRequest { name }).await.unwrap();
    let gone = until("the call is gone", async || calls.clone().get_call(get.clone()).await.err()).await;
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "calls/1-6a0f3c21-42 not found"));

    // spec: PL-6
    let mut records = RecordServiceClient::new(node.channel.clone());
    let record = until("its record is there", async || {
        let page = records.clone().list_records(v1::ListRecordsRequest::default()).await.unwrap().into_inner();
        page.records.into_iter().next()
    })
    .await;
    assert_eq!((record.call.as_str(), record.queue), ("calls/1-6a0f3c21-42", queue_name("support")));
    let request = v1::ListRecordsRequest { queue: queue_name("sales"), ..Default::default() };
    assert!(records.list_records(request).await.unwrap().into_inner().records.is_empty());
}

// spec: PL-4
#[tokio::test]
async fn pl_4_statistics_are_the_same_live_and_from_the_records() {
    let node = Node::start().await;
    let mut statistics = StatisticsServiceClient::new(node.channel.clone());
    for number in [1, 2] {
        node.center.incoming(incoming(number));
        let call = crate::node::call_id(number);
        until("it waits", async || node.center.call(call).await.ok().filter(|view| view.queue.is_some())).await;
        node.center.hang_up(call).await.unwrap();
        until("it is gone", async || node.center.call(call).await.err()).await;
    }
    let ask = |since, subject: v1::Subject, quarters| v1::ListStatisticsRequest {
        parent: "tenants/default".into(),
        subject: subject.into(),
        since,
        quarters,
        ..Default::default()
    };
    let hour_ago = carillon_acd::time::WallTime(node.center.now().wall.0 - 3_600_000_000);
    let since = Some(carillon_rpc::time::timestamp(hour_ago));
    for subject in [v1::Subject::Queues, v1::Subject::Numbers] {
        for quarters in [false, true] {
            let mut answers = Vec::new();
            for since in [None, since] {
                let answer = statistics.list_statistics(ask(since, subject, quarters)).await.unwrap().into_inner();
                let sums = |row: &v1::Statistics| (row.offered_count, row.lost_count, row.longest_wait);
                answers.push(answer.statistics.iter().map(sums).collect::<Vec<_>>());
            }
            assert_eq!(answers[0], answers[1], "{subject:?}, by quarters: {quarters}");
            // Two quarters when the hour struck in between.
            let lost: u64 = answers[0].iter().map(|(_, lost, _)| lost).sum();
            let offered: u64 = answers[0].iter().map(|(offered, _, _)| offered).sum();
            assert_eq!((offered, lost), (2, 2));
        }
    }
    let mut page = statistics.list_statistics(ask(None, v1::Subject::Queues, false)).await.unwrap().into_inner();
    assert_eq!(page.statistics.pop().unwrap().threshold.unwrap().seconds, 20);
    let unspecified = statistics.list_statistics(ask(None, v1::Subject::Unspecified, false)).await.unwrap_err();
    assert_eq!(unspecified.get_details_bad_request().unwrap().field_violations[0].field, "subject");
}

#[tokio::test]
async fn who_watches_gets_everything_then_changes_until_the_server_stops() {
    let node = Node::start().await;
    let mut watcher = v1::watch_service_client::WatchServiceClient::new(node.channel.clone());
    let request = v1::WatchRequest { parent: "tenants/default".into() };
    let mut stream = watcher.watch(request).await.unwrap().into_inner();
    let (mut queues, mut agents) = (0, 0);
    loop {
        let part = next(&mut stream).await.unwrap().unwrap();
        queues += part.queues.len();
        agents += part.agents.len();
        if part.complete {
            break;
        }
    }
    assert_eq!((queues, agents), (2, 3));

    let availability = v1::Availability::OnBreak.into();
    let request = v1::SetAvailabilityRequest { name: agent_name("anna"), availability };
    node.agents().set_availability(request).await.unwrap();
    let on_break = |agent: &v1::Agent| agent.availability() == v1::Availability::OnBreak;
    while !next(&mut stream).await.unwrap().unwrap().agents.iter().any(on_break) {}

    drop(watcher);
    node.stop().await;
    let ended = loop {
        if let Err(status) = next(&mut stream).await {
            break status;
        }
    };
    assert_eq!((ended.code(), ended.message()), (Code::Unavailable, "the server stops"));
}
