//! What `/proc` says about a process, and how it is ended.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time, of all its threads, since it began.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub resident: u64,
}

/// Reads `/proc/PID/stat` (proc(5): fields 14, 15 and 24).
pub fn usage(pid: u32) -> Result<Usage> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    parse_stat(&text, ticks_a_second()?, page_size()?).with_context(|| format!("{path}: {text:?}"))
}

fn parse_stat(text: &str, ticks: u64, page: u64) -> Option<Usage> {
    // The name in parentheses may hold anything; the fields count from behind it, the first there being number 3.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let spent = field(14)? + field(15)?;
    Some(Usage { cpu: Duration::from_millis(spent * 1000 / ticks), resident: field(24)? * page })
}

fn getconf(name: &str) -> Result<u64> {
    let out = std::process::Command::new("getconf").arg(name).output().context("getconf")?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.trim().parse().with_context(|| format!("getconf {name}: {text:?}"))
}

fn ticks_a_second() -> Result<u64> {
    getconf("CLK_TCK")
}

fn page_size() -> Result<u64> {
    getconf("PAGESIZE")
}

/// Sends a signal by name: `INT`, `TERM`, `USR1`.
pub async fn signal(child: &Child, name: &str) -> Result<()> {
    let Some(pid) = child.id() else { return Ok(()) };
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .await
        .context("kill")?;
    anyhow::ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}

/// Waits for the end; a process that does not come to it is killed.
pub async fn wait(child: &mut Child, what: &str, within: Duration) -> Result<std::process::ExitStatus> {
    match tokio::time::timeout(within, child.wait()).await {
        Ok(status) => status.with_context(|| what.to_owned()),
        Err(_) => {
            child.kill().await.with_context(|| format!("killing {what}"))?;
            bail!("{what} did not end within {within:?}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let text = "7 (a (b) c) S 1 1 1 0 -1 4194560 90 0 0 0 150 50 0 0 20 0 1 0 100 4096000 25 18446744073709551615";
        let usage = parse_stat(text, 100, 4096).unwrap();
        assert_eq!(usage, Usage { cpu: Duration::from_secs(2), resident: 25 * 4096 });
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(super::usage(std::process::id()).unwrap().resident > 100_000);
    }
}
