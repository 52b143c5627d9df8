//! A bad network between the nodes; phones and etcd are not on it. Spec: CL-3.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Child;

use crate::delay;
use crate::network::NODES;
use crate::scene::Run;

const LOST: &str = "0.05";
/// One way.
const LATE: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_secs(20);
/// The packets of links that broke may still be repeated for a while.
const AFTER: Duration = Duration::from_secs(3);

pub(super) async fn inject(run: &mut Run<'_>) -> Result<()> {
    let places: Vec<_> = run.cluster.running().into_iter().map(|node| run.cluster.node(node).place.clone()).collect();
    let own = std::env::current_exe().context("this program's path")?;
    let mut delays: Vec<Child> = Vec::new();
    for place in &places {
        let mut command = place.command(&own);
        command.args(["delay", "--milliseconds", &LATE.as_millis().to_string()]);
        delays.push(command.spawn().context("the delay")?);
    }
    run.strikes();
    for place in &places {
        // Where packets come in: a sender would be told of what its own filter drops.
        let from = format!("-A INPUT -i eth0 -s {NODES}");
        place.filter(&format!("{from} -m statistic --mode random --probability {LOST} -j DROP")).await?;
        place.filter(&format!("{from} -j NFQUEUE --queue-num {} --queue-bypass", delay::QUEUE)).await?;
    }
    run.pass_until(LOOK).await;
    for place in &places {
        place.unfilter().await?;
    }
    for mut delay in delays {
        let ended = delay.try_wait().context("the delay")?;
        anyhow::ensure!(ended.is_none(), "packets were not late all the time: the delay ended with {ended:?}");
        delay.kill().await.context("the delay")?;
    }
    run.pass(AFTER).await;
    Ok(())
}
