//! Nodes come and go as their operator wants: no call is dropped, no place lost. Spec: CL-2, CL-6.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use crate::cluster::NODES;
use crate::figures::Figure;
use crate::scene::Run;
use crate::servers::Role;

/// How long what follows is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Until a drained node has handed over what it owns.
const HANDED_OVER: Duration = Duration::from_secs(10);
/// Until a node has let its calls end.
const ENDED: Duration = Duration::from_secs(90);

/// A seventh node joins and owns a part; afterwards it goes again.
pub(super) async fn added(run: &mut Run<'_>) -> Result<()> {
    let asked = run.another(Role::Edge, &[])?;
    run.strikes();
    let joining = run.cluster.node_mut(NODES);
    joining.spawn()?;
    joining.until_accepts().await?;
    let mut owns = 0;
    while owns == 0 && run.struck().elapsed() < Duration::from_secs(20) {
        let owners = run.cluster.owners(asked).await?;
        owns = owners.values().filter(|owner| owner.node == NODES).count();
        run.pass(Duration::from_millis(100)).await;
    }
    run.figures.push(Figure::seconds("until the new node owns something", run.struck().elapsed(), Some(HANDED_OVER)));
    run.pass(LOOK).await;
    let clean = run.cluster.node_mut(NODES).terminate(ENDED).await?;
    run.figures.push(Figure::count("nodes that did not end cleanly", usize::from(!clean), Some(0)));
    run.pass(Duration::from_secs(3)).await;
    Ok(())
}

pub(super) async fn owner_drained(run: &mut Run<'_>) -> Result<()> {
    let victim = run.queue_owner().await?;
    drained(run, victim).await
}

pub(super) async fn edge_drained(run: &mut Run<'_>) -> Result<()> {
    let victim = 1 + (run.turn % 3) as u8;
    drained(run, victim).await
}

async fn drained(run: &mut Run<'_>, victim: u8) -> Result<()> {
    let asked = run.another(Role::Edge, &[victim])?;
    let number = victim.to_string();
    run.strikes();
    run.cluster.node(asked).cli(&["drain", &number, "--no-wait"], Duration::from_secs(5)).await?;
    let mut owns = usize::MAX;
    while owns > 0 && run.struck().elapsed() < HANDED_OVER {
        let owners = run.cluster.owners(asked).await?;
        owns = owners.values().filter(|owner| owner.node == victim).count();
        run.pass(Duration::from_millis(100)).await;
    }
    run.figures.push(Figure::seconds("until it owns nothing", run.struck().elapsed(), Some(HANDED_OVER)));
    run.pass_until(LOOK).await;
    // The longest conversation is shorter than that: who is left waits.
    let nodes = run.cluster.ask(asked, &["nodes"]).await?;
    let drained = nodes.iter().find(|node| node["node"] == victim).context("the drained node is not listed")?;
    let left = drained["calls"].as_u64().and_then(|calls| usize::try_from(calls).ok()).unwrap_or(0);
    run.figures.push(Figure::count("calls left at the drained node", left, Some(0)));
    run.cluster.node(asked).cli(&["undrain", &number], Duration::from_secs(5)).await?;
    run.pass(Duration::from_secs(3)).await;
    Ok(())
}

/// As a new version is brought in: one node after the other.
pub(super) async fn rolling_restart(run: &mut Run<'_>) -> Result<()> {
    run.strikes();
    let mut unclean = 0;
    let mut longest = Duration::ZERO;
    for number in run.cluster.running() {
        let began = Instant::now();
        let node = run.cluster.node_mut(number);
        unclean += usize::from(!node.terminate(ENDED).await?);
        node.spawn()?;
        node.until_accepts().await?;
        run.cluster.until_whole().await?;
        longest = longest.max(began.elapsed());
    }
    run.figures.push(Figure::count("nodes that did not end cleanly", unclean, Some(0)));
    run.figures.push(Figure::seconds("longest restart of a node", longest, None));
    run.pass(Duration::from_secs(3)).await;
    Ok(())
}
