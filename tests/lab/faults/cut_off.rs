//! The queue's owner reaches everybody but etcd: it stops in time, and somebody else goes on. Spec: CL-3, CL-5.

use std::time::Duration;

use anyhow::Result;

use crate::figures::Figure;
use crate::network::ETCD;
use crate::scene::Run;
use crate::servers::Role;

/// Until there is a new owner.
const LIMIT: Duration = Duration::from_secs(5);
/// How long it is cut off, and how long it is looked at afterwards.
const CUT: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(5);

pub(super) async fn inject(run: &mut Run<'_>) -> Result<()> {
    let (victim, asked) = (run.queue_owner().await?, run.another(Role::Edge, &[])?);
    let place = run.cluster.node(victim).place.clone();
    let refused = run.refused().await?;
    run.strikes();
    // Neither direction gets through; nobody is told, as on a broken cable.
    place.filter(&format!("-A INPUT -s {ETCD} -j DROP")).await?;
    place.filter(&format!("-A OUTPUT -d {ETCD} -j DROP")).await?;
    let taken_over = run.until_other_owner(victim, asked, CUT).await;
    run.figures.push(Figure::seconds("another node owns the queue", taken_over, Some(LIMIT)));
    run.pass_until(CUT).await;
    place.unfilter().await?;
    run.pass(AFTER).await;
    run.note_refused(refused).await
}
