//! kill -9 of a node that owns queues and agents. Spec: CL-4, QU-8.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::QUEUE;
use crate::figures::Figure;
use crate::scene::Run;
use crate::servers::Role;

/// Offers go on, and the true state is back.
const LIMIT: Duration = Duration::from_secs(3);
/// How long it is looked at.
const LOOK: Duration = Duration::from_secs(8);

/// The queue's owner; it owns agents too.
pub(super) async fn of_the_queue(run: &mut Run<'_>) -> Result<()> {
    let (victim, asked) = (run.queue_owner().await?, run.another(Role::Edge, &[])?);
    run.strikes();
    run.cluster.node_mut(victim).kill().await?;
    let taken_over = run.until_other_owner(victim, asked, LOOK).await;
    run.figures.push(Figure::seconds("another node owns the queue", taken_over, Some(LIMIT)));
    run.pass_until(LOOK).await;
    Ok(())
}

/// One that owns agents, but not the queue.
pub(super) async fn of_agents(run: &mut Run<'_>) -> Result<()> {
    let asked = run.another(Role::Edge, &[])?;
    let owners = run.cluster.owners(asked).await?;
    let queue = owners.get(QUEUE).context("nobody owns the queue")?.node;
    let victim = owners.values().map(|owner| owner.node).find(|node| *node != queue);
    let victim = victim.context("one node owns everything")?;
    run.strikes();
    run.cluster.node_mut(victim).kill().await?;
    let back = run.until_views_are_true(asked, LOOK).await;
    run.figures.push(Figure::seconds("agents shown as they are", back, Some(LIMIT)));
    run.pass_until(LOOK).await;
    Ok(())
}
