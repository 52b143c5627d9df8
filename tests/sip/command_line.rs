//! The command line: what it refuses, and what it tells of a running center.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::real::carillon::run_cli;
use carillon_tests::sip::Answering;
use carillon_tests::suite::{SOON, Suite};

#[tokio::test]
async fn a_bad_center_ends_with_2_and_shows_every_mistake() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("center.yaml");
    std::fs::write(
        &file,
        "kind: Number\nname: main\nspec:\n  number: \"01 23\"\n  trunk: nowhere\n---\n\
         kind: Queue\nname: support\nspec:\n  extension: \"201\"\n  strategy: fastest\n  wrapup: 3s\n  agents: []\n",
    )?;
    let path = file.display().to_string();
    let out = run_cli(&["serve", "--center", &path, "--sip", "127.0.0.1:0", "--api", "127.0.0.1:0"], &[]).await?;
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{text}");
    for mistake in ["center.yaml", "01 23", "nowhere", "fastest", "wrapup", "wrap_up"] {
        ensure!(text.contains(mistake), "{mistake:?} is not in:\n{text}");
    }
    Ok(())
}

// spec: TR-6, QU-11
#[tokio::test]
async fn agents_and_queues_are_shown_and_commanded() -> Result<()> {
    let suite = Suite::with_queue("in_order", &["anna", "piotr"], &["wrap_up: 300s"]).await?;
    let mut anna = suite.agent("anna", 600.0, Answering::After(Duration::ZERO)).await?;
    let cli = |args: &'static [&'static str]| suite.center.cli_json(args);
    let queue = cli(&["get", "queues", "support", "-o", "json"]).await?;
    assert_eq!((&queue["strategy"], &queue["agents"], &queue["free"]), (&"in_order".into(), &2.into(), &1.into()));
    suite.center.cli(&["agent", "anna", "break"]).await?;
    assert_eq!(cli(&["get", "agents", "anna", "-o", "json"]).await?["availability"], "on_break");
    suite.center.cli(&["agent", "anna", "ready"]).await?;
    let (_phone, call) = suite.call("+33600000001", 1_500.0).await?;
    anna.next_call(SOON).await?.answered(SOON).await?;
    call.audio().hears_tone(600.0, 0.02, SOON).await?;
    let calls = cli(&["get", "calls", "-o", "json"]).await?;
    assert_eq!((&calls[0]["stage"], &calls[0]["caller"]["number"]), (&"talking".into(), &"+33600000001".into()));
    call.hang_up().await?;
    until_activity(&suite, "wrap_up").await?;
    suite.center.cli(&["agent", "anna", "wrap-up-end"]).await?;
    until_activity(&suite, "idle").await?;
    let refused = suite.center.cli(&["agent", "anna", "wrap-up-end"]).await;
    ensure!(refused.is_err(), "ending a wrap-up that is not there must be refused");
    let record = suite.records(1).await?.remove(0);
    assert_eq!((record.outcome.as_str(), record.answered_by()), ("answered", Some("anna")));
    let csv = suite.center.cli(&["records", "-o", "csv"]).await?;
    ensure!(csv.lines().count() == 2 && csv.starts_with("call,"), "{csv}");
    let data = suite.center.data().display().to_string();
    let from_disk = run_cli(&["records", "--data", &data, "-o", "json"], &[]).await?;
    ensure!(String::from_utf8_lossy(&from_disk.stdout).contains(&record.call), "not in the data folder");
    suite.stop().await
}

async fn until_activity(suite: &Suite, wanted: &str) -> Result<()> {
    let mut poll = tokio::time::interval(Duration::from_millis(50));
    let seen = async {
        loop {
            poll.tick().await;
            let anna = suite.center.cli_json(&["get", "agents", "anna", "-o", "json"]).await?;
            if anna["activity"] == wanted {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(SOON, seen).await.with_context(|| format!("anna did not come to {wanted}"))?
}
