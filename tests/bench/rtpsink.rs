//! `rtpsink.c`, compiled and run: takes everybody's audio on one port, counts it, and can send it back.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::real::process;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running sink. Dropped, it is killed.
pub(crate) struct RtpSink {
    child: Child,
    folder: TempDir,
}

impl RtpSink {
    /// Compiles and starts it on `at`.
    pub(crate) async fn start(at: SocketAddr, echo: bool) -> Result<RtpSink> {
        let folder = TempDir::with_prefix("rtpsink-").context("a temporary folder")?;
        let (source, program) =
            (Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/rtpsink.c"), folder.path().join("rtpsink"));
        let built = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(&source).status().await.context("cc")?;
        ensure!(built.success(), "cc {}: {built}", source.display());
        let out = std::fs::File::create(folder.path().join("out")).context("the sink's output")?;
        let mut command = Command::new(&program);
        command.args([at.ip().to_string(), at.port().to_string()]).args(echo.then_some("echo"));
        let child = command.stdin(Stdio::null()).stdout(out).kill_on_drop(true).spawn().context("starting the sink")?;
        Ok(RtpSink { child, folder })
    }

    /// Begins to count anew.
    pub(crate) async fn reset(&self) -> Result<()> {
        process::signal(&self.child, "USR1").await
    }

    /// Ends it; returns the line of counts since the last reset.
    pub(crate) async fn stop(mut self) -> Result<String> {
        process::signal(&self.child, "TERM").await?;
        process::wait(&mut self.child, "rtpsink", Duration::from_secs(5)).await?;
        let text = std::fs::read_to_string(self.folder.path().join("out")).context("the sink's output")?;
        text.lines().last().map(str::to_owned).context("the sink counted nothing; is its port taken?")
    }
}
