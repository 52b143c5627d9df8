//! The configuration through the API, over a socket.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_api::{Configuration, InForce, Outcome, Progress, Stored, Wish};
use carillon_rpc::v1::config_service_client::ConfigServiceClient;
use carillon_rpc::{Refusal, v1};
use carillon_store::config::{LookUp, plan};
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::node::Node;

/// A configuration that is kept nowhere.
#[derive(Default)]
pub(crate) struct InMemory(Mutex<Stored>, Duration);

#[tonic::async_trait]
impl Configuration for InMemory {
    async fn apply(&self, wish: Wish, progress: mpsc::Sender<Progress>) -> Result<Outcome, Refusal> {
        progress.send(Progress::Writing { parts: 1, of: 2 }).await.unwrap();
        tokio::time::sleep(self.1).await;
        if wish.files.is_empty() {
            return Err(Refusal::Overtaken("somebody else was faster".into()));
        }
        let mut stored = self.0.lock().unwrap();
        match plan(&stored.objects, &wish.files, wish.prune, LookUp::Elsewhere) {
            Err(errors) => Ok(Outcome::Refused(errors)),
            Ok(plan) => {
                if !wish.dry_run {
                    *stored = Stored { revision: stored.revision + 1, objects: Arc::new(plan.loaded.objects) };
                }
                let (changes, warnings) = (plan.changes, plan.loaded.warnings);
                Ok(Outcome::Good { changes, warnings, revision: stored.revision, in_force: !wish.dry_run })
            }
        }
    }

    fn stored(&self) -> Stored {
        self.0.lock().unwrap().clone()
    }

    fn in_force(&self) -> InForce {
        InForce::default()
    }
}

fn request(text: &str, dry_run: bool) -> v1::ApplyRequest {
    let file = v1::ConfigFile { name: "center.yaml".into(), folder: "/".into(), text: text.into() };
    v1::ApplyRequest { files: vec![file], dry_run, prune: false }
}

/// What becomes of a request, and how many answers before said how far it was.
async fn apply(
    client: &mut ConfigServiceClient<Channel>,
    request: v1::ApplyRequest,
) -> Result<(v1::ApplyResponse, usize), Status> {
    let mut answers = client.apply(request).await?.into_inner();
    let mut told = 0;
    loop {
        let answer = answers.message().await?.expect("the last answer says what became of it");
        match answer.progress {
            Some(_) => told += 1,
            None => return Ok((answer, told)),
        }
    }
}

const QUEUES: &str =
    "{ kind: Queue, name: support, spec: { rings: 5 } }\n---\n{ kind: Queue, name: sales, spec: {} }\n";

#[tokio::test]
async fn what_is_applied_is_listed_and_found() {
    let node = Node::start().await;
    let mut client = ConfigServiceClient::new(node.channel.clone());
    let planned = apply(&mut client, request(QUEUES, true)).await.unwrap().0;
    assert_eq!((planned.changes.len(), planned.revision, planned.in_force), (2, 0, false));
    let applied = apply(&mut client, request(QUEUES, false)).await.unwrap().0;
    assert_eq!((applied.changes.len(), applied.revision, applied.in_force), (2, 1, true));
    assert!(applied.problems.iter().all(|problem| problem.warning), "queues without agents are doubtful");
    let changed = apply(&mut client, request(&QUEUES.replace('5', "6"), false)).await.unwrap().0;
    let field = &changed.changes[0].fields[0];
    assert_eq!((field.path.as_str(), field.before(), field.after()), ("rings", "5", "6"));

    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let list =
            v1::ListObjectsRequest { parent: "tenants/default".into(), kind: "Queue".into(), page_size: 1, page_token };
        let page = client.list_objects(list).await.unwrap().into_inner();
        names.extend(page.objects.into_iter().map(|object| object.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["tenants/default/queues/sales", "tenants/default/queues/support"]);
    let found = client.get_object(v1::GetObjectRequest { name: names[1].clone() }).await.unwrap().into_inner();
    assert_eq!(found.object.unwrap().yaml, "kind: Queue\nname: support\nspec:\n  rings: 6\n");
    node.stop().await;
}

/// Other requests are given up after 10 s, and a client waits no longer than 15 s for them.
#[tokio::test]
async fn a_change_may_take_its_time_and_says_how_far_it_is() {
    let node = Node::configured_by(InMemory(Mutex::default(), Duration::from_secs(11))).await;
    let mut client = ConfigServiceClient::new(node.channel.clone());
    let (applied, told) = apply(&mut client, request(QUEUES, false)).await.unwrap();
    assert_eq!((applied.changes.len(), applied.revision, told), (2, 1, 1));
    // Whoever goes away leaves no change half done.
    drop(client.apply(request(&QUEUES.replace('5', "6"), false)).await.unwrap());
    crate::node::until("the change", async || {
        let name = "tenants/default/queues/support".to_owned();
        let found = client.clone().get_object(v1::GetObjectRequest { name }).await.unwrap().into_inner();
        found.object.unwrap().yaml.contains("rings: 6").then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_shown_with_its_place() {
    let node = Node::start().await;
    let mut client = ConfigServiceClient::new(node.channel.clone());
    let text = "kind: Queue\nname: support\nspec:\n  agents: [nobody]\n";
    let answer = apply(&mut client, request(text, false)).await.unwrap().0;
    assert!(answer.refused && answer.changes.is_empty());
    let problem = &answer.problems[0];
    assert_eq!((problem.file.as_str(), problem.line, problem.column), ("center.yaml", 4, 12));
    assert!(problem.text.contains("^^^^^^") && problem.message.contains("no Agent `nobody`"), "{}", problem.text);

    let overtaken = apply(&mut client, v1::ApplyRequest::default()).await.unwrap_err();
    assert_eq!(overtaken.code(), Code::Aborted);
    apply(&mut client, request(QUEUES, false)).await.unwrap();
    let name = "tenants/default/queues/suport".to_owned();
    let missing = client.get_object(v1::GetObjectRequest { name }).await.unwrap_err();
    assert!(missing.message().ends_with("did you mean tenants/default/queues/support?"), "{}", missing.message());
    for name in ["support", "tenants/default/menus/x", "tenants/other/queues/support"] {
        let status = client.get_object(v1::GetObjectRequest { name: name.into() }).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name}");
    }
    let request =
        v1::ListObjectsRequest { parent: "tenants/default".into(), kind: "Menu".into(), ..Default::default() };
    let status = client.list_objects(request).await.unwrap_err();
    assert!(status.message().contains("Tenant, Trunk"), "{}", status.message());
    node.stop().await;
}
