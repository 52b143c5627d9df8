//! A node sleeps for ten seconds, as a frozen machine does; when it wakes, nothing stale acts. Spec: CL-3, CL-5.

use std::time::Duration;

use anyhow::Result;

use super::edge_killed::look_at_agents;
use crate::figures::Figure;
use crate::scene::Run;
use crate::servers::Role;

/// Until there is a new owner, or the agents of an edge's calls are free.
const LIMIT: Duration = Duration::from_secs(5);
const ASLEEP: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(6);

/// The queue's owner.
pub(super) async fn owner(run: &mut Run<'_>) -> Result<()> {
    let (victim, asked) = (run.queue_owner().await?, run.another(Role::Edge, &[])?);
    let refused = run.refused().await?;
    run.strikes();
    run.cluster.node(victim).signal("STOP").await?;
    let taken_over = run.until_other_owner(victim, asked, ASLEEP).await;
    run.figures.push(Figure::seconds("another node owns the queue", taken_over, Some(LIMIT)));
    run.pass_until(ASLEEP).await;
    run.cluster.node(victim).signal("CONT").await?;
    run.pass(AFTER).await;
    run.note_refused(refused).await
}

/// An edge: its calls are taken over, and it lets go of them when it wakes.
pub(super) async fn edge(run: &mut Run<'_>) -> Result<()> {
    let victim = 1 + (run.turn % 3) as u8;
    run.interrupted = Some(victim);
    look_at_agents(run, victim).await?;
    let refused = run.refused().await?;
    run.strikes();
    run.cluster.node(victim).signal("STOP").await?;
    while run.struck().elapsed() < ASLEEP {
        look_at_agents(run, victim).await?;
        run.pass(Duration::from_millis(250)).await;
    }
    run.cluster.node(victim).signal("CONT").await?;
    run.pass(AFTER).await;
    run.note_refused(refused).await
}
