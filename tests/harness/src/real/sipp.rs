//! SIPp, as a carrier and as many phones at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::process;
use crate::audio::wav;

/// A run to be.
#[derive(Clone, Debug)]
pub struct Sipp {
    /// The scenario file.
    pub scenario: PathBuf,
    /// Its own address.
    pub local: SocketAddr,
    /// Whom it calls; `None` for one that is called.
    pub remote: Option<SocketAddr>,
    /// More options.
    pub options: Vec<String>,
    /// Whether the scenario plays `tone.ulaw`.
    pub tone: bool,
}

impl Sipp {
    /// A scenario of `tests/bench`.
    pub fn bench(name: &str, local: SocketAddr, remote: Option<SocketAddr>) -> Self {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench").join(name);
        Sipp { scenario, local, remote, options: vec![], tone: false }
    }

    /// One more option and its value.
    pub fn option(mut self, name: &str, value: impl ToString) -> Self {
        self.options.extend([name.to_owned(), value.to_string()]);
        self
    }

    /// Sets a `[name]` of the scenario.
    pub fn key(mut self, name: &str, value: impl ToString) -> Self {
        self.options.extend(["-key".to_owned(), name.to_owned(), value.to_string()]);
        self
    }

    /// Gives the scenario the `tone.ulaw` that it plays.
    pub fn with_tone(mut self) -> Self {
        self.tone = true;
        self
    }

    /// Starts it.
    pub async fn start(&self) -> Result<SippRun> {
        let folder = TempDir::with_prefix("sipp-").context("a temporary folder")?;
        let at = |name: &str| folder.path().join(name);
        if self.tone {
            wav::write_tone_ulaw(&at("tone.ulaw"), 440.0, 10)?;
        }
        let output = std::fs::File::create(at("output")).context("the output file")?;
        let mut command = Command::new("sipp");
        command
            .arg("-sf")
            .arg(&self.scenario)
            .args(["-i", &self.local.ip().to_string(), "-p", &self.local.port().to_string(), "-nostdin"])
            .args(["-trace_stat", "-fd", "1", "-stf"])
            .arg(at("stat"))
            .args(["-trace_err", "-error_file"])
            .arg(at("errors"))
            .args(["-trace_logs", "-log_file"])
            .arg(at("log"))
            .args(&self.options)
            .args(self.remote.map(|r| r.to_string()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("the output file")?)
            .stderr(output)
            .kill_on_drop(true);
        let child = command.spawn().context("starting sipp (Debian: sip-tester)")?;
        Ok(SippRun { child, folder })
    }

    /// Starts it and waits for its end.
    pub async fn run(&self, within: Duration) -> Result<SippEnd> {
        self.start().await?.wait(within).await
    }
}

/// A running SIPp. Dropped, it is killed.
#[derive(Debug)]
pub struct SippRun {
    child: Child,
    folder: TempDir,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct SippEnd {
    /// Calls that went as the scenario says.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages that went out again.
    pub retransmissions: u64,
    /// What the scenario's `<log>` actions wrote.
    pub log: String,
    /// What went wrong, in SIPp's words.
    pub errors: String,
}

impl SippEnd {
    /// An error unless all of `calls` went well.
    pub fn all_of(&self, calls: u64) -> Result<()> {
        ensure!(
            self.successful == calls && self.failed == 0,
            "of {calls} calls {} succeeded and {} failed:\n{}",
            self.successful,
            self.failed,
            self.errors.chars().take(4_000).collect::<String>()
        );
        Ok(())
    }
}

impl SippRun {
    /// Waits until it has made all its calls.
    pub async fn wait(mut self, within: Duration) -> Result<SippEnd> {
        let status = process::wait(&mut self.child, "sipp", within).await;
        let end = self.read()?;
        let status = status.with_context(|| end.errors.clone())?;
        // 0: all calls went well, 1: at least one did not; anything else is a failure of SIPp itself.
        ensure!(
            matches!(status.code(), Some(0 | 1)),
            "sipp ended with {status}:\n{}{}",
            self.text("output"),
            end.errors
        );
        Ok(end)
    }

    /// Ends one that would wait for calls for ever.
    pub async fn stop(mut self) -> Result<SippEnd> {
        process::signal(&self.child, "TERM").await?;
        process::wait(&mut self.child, "sipp", Duration::from_secs(5)).await?;
        self.read()
    }

    /// The counts so far; SIPp writes them each second.
    pub fn read(&self) -> Result<SippEnd> {
        let mut end = parse_statistics(&self.text("stat"));
        (end.log, end.errors) = (self.text("log"), self.text("errors"));
        Ok(end)
    }

    fn text(&self, file: &str) -> String {
        std::fs::read(self.folder.path().join(file))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

/// The last line of SIPp's statistics, by the names in its first.
fn parse_statistics(text: &str) -> SippEnd {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    let values: Vec<&str> = lines.last().unwrap_or_default().split(';').collect();
    let count = |name: &str| {
        let column = names.iter().position(|n| *n == name);
        column.and_then(|c| values.get(c)?.parse().ok()).unwrap_or(0)
    };
    SippEnd {
        successful: count("SuccessfulCall(C)"),
        failed: count("FailedCall(C)"),
        retransmissions: count("Retransmissions(C)"),
        ..SippEnd::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let text = "StartTime;SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);Retransmissions(C);\n\
                    a;1;1;0;0;\nb;2;3;1;7;\n";
        let end = parse_statistics(text);
        assert_eq!((end.successful, end.failed, end.retransmissions), (3, 1, 7));
        assert!(end.all_of(3).is_err());
        assert_eq!(parse_statistics("").successful, 0);
    }
}
