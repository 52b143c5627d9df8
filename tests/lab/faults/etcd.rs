//! etcd loses its leader, or all of it. Spec: CL-5.

use std::time::Duration;

use anyhow::Result;

use crate::cluster::Owner;
use crate::figures::Figure;
use crate::scene::Run;
use crate::servers::{Role, cli};

/// How long a new leader may take, and all that follows from it.
const LOOK: Duration = Duration::from_secs(8);
/// How long a leader is frozen.
const FROZEN: Duration = Duration::from_secs(6);
/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_secs(10);
/// Changes of etcd after it has come back: the nodes register again, and some shards change hands in transactions of 64.
/// A storm would be thousands.
const CHANGES: usize = 300;

pub(super) async fn leader_killed(run: &mut Run<'_>) -> Result<()> {
    let (leader, asked) = (run.cluster.etcd_leader().await?, run.another(Role::Edge, &[])?);
    let before = run.cluster.owners(asked).await?;
    run.strikes();
    run.cluster.etcds[leader].kill().await?;
    run.pass_until(LOOK).await;
    note_changes(run, asked, before.into_values().collect(), Some(0)).await?;
    run.cluster.etcds[leader].spawn()?;
    run.cluster.etcds[leader].until_accepts().await
}

pub(super) async fn leader_frozen(run: &mut Run<'_>) -> Result<()> {
    let (leader, asked) = (run.cluster.etcd_leader().await?, run.another(Role::Edge, &[])?);
    let before = run.cluster.owners(asked).await?;
    run.strikes();
    run.cluster.etcds[leader].signal("STOP").await?;
    run.pass_until(FROZEN).await;
    run.cluster.etcds[leader].signal("CONT").await?;
    run.pass(LOOK).await;
    note_changes(run, asked, before.into_values().collect(), Some(0)).await
}

pub(super) async fn all_frozen(run: &mut Run<'_>) -> Result<()> {
    let asked = run.another(Role::Edge, &[])?;
    let before = run.cluster.owners(asked).await?;
    let changes = run.cluster.etcd_changes().await?;
    run.strikes();
    for etcd in &run.cluster.etcds {
        etcd.signal("STOP").await?;
    }
    run.pass(Duration::from_secs(5)).await;
    let refusal = configuration_is_refused(run, asked).await;
    run.pass_until(Duration::from_secs(run.load.outage_seconds)).await;
    for etcd in &run.cluster.etcds {
        etcd.signal("CONT").await?;
    }
    run.pass(LOOK).await;
    run.figures.push(Figure::none_of("changes of configuration without a clear refusal", &refusal));
    // All leases have ended, so every owner has claimed its shards anew, in a new epoch.
    note_changes(run, asked, before.into_values().collect(), None).await?;
    let after = run.cluster.etcd_changes().await?.saturating_sub(changes);
    let after = usize::try_from(after).unwrap_or(usize::MAX);
    run.figures.push(Figure::count("changes in etcd after its return", after, Some(CHANGES)));
    Ok(())
}

/// What is wrong with the answer to `carillon apply` while etcd sleeps.
async fn configuration_is_refused(run: &Run<'_>, asked: u8) -> Vec<String> {
    let node = run.cluster.node(asked);
    let file = node.center().display().to_string();
    match cli(&node.api(), &["apply", "-f", &file], REFUSAL).await {
        Ok(said) => vec![format!("it was taken: {said}")],
        Err(error) => {
            let text = format!("{error:#}");
            let clear = text.contains("etcd") && !text.contains("longer than") && !text.contains("unrecognized");
            if clear { vec![] } else { vec![text.lines().next().unwrap_or_default().to_owned()] }
        }
    }
}

/// How many owners or their epochs have changed.
async fn note_changes(run: &mut Run<'_>, asked: u8, before: Vec<Owner>, limit: Option<usize>) -> Result<()> {
    let after: Vec<Owner> = run.cluster.owners(asked).await?.into_values().collect();
    let changed = after.iter().zip(&before).filter(|(after, before)| after != before).count();
    let changed = changed + after.len().abs_diff(before.len());
    run.figures.push(Figure::count("owners or epochs changed", changed, limit));
    Ok(())
}
