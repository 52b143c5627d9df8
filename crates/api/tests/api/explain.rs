//! Why? asked through the API, over a socket.

use crate::node::{Node, agent_name, call_id, incoming, queue_name, until};
use carillon_rpc::v1;
use carillon_rpc::v1::explain_service_client::ExplainServiceClient;
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt;

fn client(node: &Node) -> ExplainServiceClient<Channel> {
    ExplainServiceClient::new(node.channel.clone())
}

async fn queue(node: &Node, request: v1::ExplainQueueRequest) -> (v1::QueueExplanation, Vec<String>) {
    let request = v1::ExplainQueueRequest { name: queue_name("support"), ..request };
    let answer = client(node).explain_queue(request).await.unwrap().into_inner();
    (answer.queue.unwrap(), answer.text)
}

async fn call(node: &Node, number: u64) -> Result<(v1::CallExplanation, Vec<String>), tonic::Status> {
    let request = v1::ExplainCallRequest { name: format!("calls/{}", call_id(number)), all_agents: false };
    let answer = client(node).explain_call(request).await?.into_inner();
    Ok((answer.call.unwrap(), answer.text))
}

/// A caller who waits because nobody has a phone.
async fn with_a_caller() -> Node {
    let node = Node::start().await;
    node.center.incoming(incoming(1));
    until("he waits", async || queue(&node, Default::default()).await.0.callers.pop()).await;
    node
}

// spec: RT-9, QU-6
#[tokio::test]
async fn rt_9_a_queue_says_why_nobody_gets_its_caller() {
    let node = with_a_caller().await;
    let on_break =
        v1::SetAvailabilityRequest { name: agent_name("ivan"), availability: v1::Availability::OnBreak.into() };
    node.agents().set_availability(on_break).await.unwrap();
    let (explained, text) = queue(&node, Default::default()).await;
    let obstacles: Vec<_> = explained.agents.iter().map(|group| (group.obstacle(), group.agents.clone())).collect();
    let expected = [
        (v1::Obstacle::Unreachable, vec![agent_name("anna"), agent_name("piotr")]),
        (v1::Obstacle::OnBreak, vec![agent_name("ivan")]),
    ];
    assert_eq!(obstacles, expected);
    let caller = &explained.callers[0];
    assert_eq!((caller.position, caller.state(), explained.waiting_count), (1, v1::CallerState::Waiting, 1));
    assert_eq!(caller.call, format!("calls/{}", call_id(1)));
    assert!(
        explained.settings.iter().any(|set| (set.name.as_str(), set.value.as_str()) == ("strategy", "longest_idle"))
    );
    assert_eq!(text[0], "support: 1 waiting");
    assert!(text.contains(&"  on break: ivan".to_owned()), "{text:#?}");

    // The answer has as many callers as are asked for, and always says how many wait.
    node.center.incoming(incoming(2));
    let one = v1::ExplainQueueRequest { caller_limit: 1, ..Default::default() };
    let (explained, text) = until("both wait", async || {
        Some(queue(&node, one.clone()).await).filter(|(explained, _)| explained.waiting_count == 2)
    })
    .await;
    assert_eq!(explained.callers.len(), 1);
    assert_eq!(text.last().unwrap(), "  and 1 more");
}

// spec: RT-9, QU-3
#[tokio::test]
async fn rt_9_a_call_says_why_it_was_offered_to_whom_also_when_it_is_over() {
    let node = with_a_caller().await;
    let (waiting, text) = call(&node, 1).await.unwrap();
    assert_eq!((waiting.stage(), waiting.outcome()), (v1::Stage::Waiting, v1::Outcome::Unspecified));
    assert_eq!(waiting.place.unwrap().callers[0].position, 1);
    assert!(text.iter().any(|line| line.ends_with("without a device that can ring: anna, ivan, piotr")), "{text:#?}");

    node.plug_in("anna");
    let dialled = |step: &v1::CallStep| step.agents.iter().any(|agent| agent.result() == v1::OfferResult::Dialled);
    let offered =
        until("anna is called", async || call(&node, 1).await.unwrap().0.steps.into_iter().find(dialled)).await;
    assert_eq!((offered.event(), offered.queue.as_str()), (v1::Event::Offered, queue_name("support").as_str()));
    assert_eq!(offered.agents[0].agent, agent_name("anna"));
    assert_eq!(offered.why, "longest idle: no call yet, nobody else was eligible");

    node.center.hang_up(call_id(1)).await.unwrap();
    let (over, text) = until("its record is there", async || {
        call(&node, 1).await.ok().filter(|(explained, _)| explained.stage() == v1::Stage::Unspecified)
    })
    .await;
    assert_eq!((over.outcome(), over.place), (v1::Outcome::Missed, None));
    let offer = over.steps.iter().find(|step| step.event() == v1::Event::Offered).unwrap();
    assert_eq!((offer.why.as_str(), offer.agents[0].result()), (offered.why.as_str(), v1::OfferResult::Withdrawn));
    assert!(text.iter().any(|line| line.contains("offered to anna: longest idle")), "{text:#?}");
}

// spec: RT-9, QU-7
#[tokio::test]
async fn rt_9_an_agent_says_whom_he_gets_next() {
    let node = with_a_caller().await;
    let request = v1::ExplainAgentRequest { name: agent_name("piotr"), queues: Vec::new() };
    let answer = client(&node).explain_agent(request).await.unwrap().into_inner();
    let explained = answer.agent.unwrap();
    assert_eq!(explained.agent.unwrap().name, agent_name("piotr"));
    let seen: Vec<_> =
        explained.queues.iter().map(|queue| (queue.queue.clone(), queue.list_place, queue.obstacle())).collect();
    let unreachable = v1::Obstacle::Unreachable;
    assert_eq!(seen, [(queue_name("sales"), 3, unreachable), (queue_name("support"), 3, unreachable)]);
    let next: Vec<_> = explained.callers.iter().map(|caller| (caller.call.clone(), caller.queue.clone())).collect();
    assert_eq!(next, [(format!("calls/{}", call_id(1)), queue_name("support"))]);
    assert!(answer.text[0].starts_with("piotr: ready, idle"), "{:#?}", answer.text);
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_refused() {
    let node = Node::start().await;
    let request = v1::ExplainQueueRequest { name: queue_name("suport"), ..Default::default() };
    let absent = client(&node).explain_queue(request).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    assert!(absent.message().ends_with("did you mean tenants/default/queues/support?"), "{}", absent.message());

    let absent = client(&node)
        .explain_agent(v1::ExplainAgentRequest { name: agent_name("ana"), queues: Vec::new() })
        .await
        .unwrap_err();
    assert!(absent.message().ends_with("did you mean tenants/default/agents/anna?"), "{}", absent.message());

    let absent = call(&node, 7).await.unwrap_err();
    assert_eq!((absent.code(), absent.message()), (Code::NotFound, "calls/1-6a0f3c21-7 not found"));

    let request = v1::ExplainQueueRequest { name: queue_name("support"), caller_limit: 1001, ..Default::default() };
    let many = client(&node).explain_queue(request).await.unwrap_err();
    assert_eq!(many.get_details_bad_request().unwrap().field_violations[0].field, "caller_limit");
}
