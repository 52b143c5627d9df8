//! The configuration through the API, over a socket.

use std::sync::{Arc, Mutex};

use carillon_api::{Configuration, Outcome, Stored, Wish};
use carillon_rpc::v1::config_service_client::ConfigServiceClient;
use carillon_rpc::{Refusal, v1};
use carillon_store::config::{LookUp, plan};
use tonic::Code;

use crate::node::Node;

/// A configuration that is kept nowhere.
#[derive(Default)]
pub(crate) struct InMemory(Mutex<Stored>);

#[tonic::async_trait]
impl Configuration for InMemory {
    async fn apply(&self, wish: Wish) -> Result<Outcome, Refusal> {
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
}

fn request(text: &str, dry_run: bool) -> v1::ApplyRequest {
    let file = v1::ConfigFile { name: "center.yaml".into(), folder: "/".into(), text: text.into() };
    v1::ApplyRequest { files: vec![file], dry_run, prune: false }
}

const QUEUES: &str =
    "{ kind: Queue, name: support, spec: { rings: 5 } }\n---\n{ kind: Queue, name: sales, spec: {} }\n";

#[tokio::test]
async fn what_is_applied_is_listed_and_found() {
    let node = Node::start().await;
    let mut client = ConfigServiceClient::new(node.channel.clone());
    let planned = client.apply(request(QUEUES, true)).await.unwrap().into_inner();
    assert_eq!((planned.changes.len(), planned.revision, planned.in_force), (2, 0, false));
    let applied = client.apply(request(QUEUES, false)).await.unwrap().into_inner();
    assert_eq!((applied.changes.len(), applied.revision, applied.in_force), (2, 1, true));
    assert!(applied.problems.iter().all(|problem| problem.warning), "queues without agents are doubtful");
    let changed = client.apply(request(&QUEUES.replace('5', "6"), false)).await.unwrap().into_inner();
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

#[tokio::test]
async fn what_is_wrong_is_shown_with_its_place() {
    let node = Node::start().await;
    let mut client = ConfigServiceClient::new(node.channel.clone());
    let text = "kind: Queue\nname: support\nspec:\n  agents: [nobody]\n";
    let answer = client.apply(request(text, false)).await.unwrap().into_inner();
    assert!(answer.refused && answer.changes.is_empty());
    let problem = &answer.problems[0];
    assert_eq!((problem.file.as_str(), problem.line, problem.column), ("center.yaml", 4, 12));
    assert!(problem.text.contains("^^^^^^") && problem.message.contains("no Agent `nobody`"), "{}", problem.text);

    let overtaken = client.apply(v1::ApplyRequest::default()).await.unwrap_err();
    assert_eq!(overtaken.code(), Code::Aborted);
    client.apply(request(QUEUES, false)).await.unwrap();
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
