//! The control: whoever reads the other rows should know this one.

use std::time::Duration;

use anyhow::Result;

use crate::scene::Run;

pub(super) async fn inject(run: &mut Run<'_>) -> Result<()> {
    run.strikes();
    run.pass(Duration::from_secs(10)).await;
    Ok(())
}
