//! Wall clocks jump: waits, order and leases are measured on other clocks. Spec: QU-7, CL-5.

use std::time::Duration;

use anyhow::Result;

use crate::figures::Figure;
use crate::scene::Run;
use crate::servers::Role;

/// libfaketime looks each second.
const LOOK: Duration = Duration::from_secs(10);

pub(super) async fn inject(run: &mut Run<'_>) -> Result<()> {
    let asked = run.another(Role::Edge, &[])?;
    let victims = [run.queue_owner().await?, asked];
    let before = run.cluster.owners(asked).await?;
    run.strikes();
    let by = if run.turn.is_multiple_of(2) { "+3600" } else { "-3600" };
    for victim in victims {
        run.cluster.node(victim).set_clock(by)?;
    }
    run.pass_until(LOOK).await;
    let after = run.cluster.owners(asked).await?;
    let changed = after.iter().filter(|(name, owner)| before.get(*name) != Some(owner)).count();
    run.figures.push(Figure::count("owners or epochs changed", changed, Some(0)));
    let waits = longest_wait(run, asked).await?;
    run.figures.push(Figure::seconds("longest wait shown", waits, Some(Duration::from_secs(300))));
    for victim in victims {
        run.cluster.node(victim).set_clock("+0")?;
    }
    run.pass(Duration::from_secs(2)).await;
    Ok(())
}

async fn longest_wait(run: &Run<'_>, asked: u8) -> Result<Duration> {
    let queues = run.cluster.ask(asked, &["get", "queues"]).await?;
    let longest = queues.iter().filter_map(|queue| queue["longest_wait_seconds"].as_f64()).fold(0.0, f64::max);
    Ok(Duration::from_secs_f64(longest.abs()))
}
