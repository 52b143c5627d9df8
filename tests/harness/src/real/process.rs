//! What the system says about a process, and how it is ended.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time, of all its threads, since it began.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub resident: u64,
}

/// Asks the process's clock for the time, which `/proc` counts in steps of 10 ms: what a node that does little uses in a second.
/// Reads its memory in `/proc/PID/stat` (proc(5): field 24).
pub fn usage(pid: u32) -> Result<Usage> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let pages = resident_pages(&text).with_context(|| format!("{path}: {text:?}"))?;
    let clock = i32::try_from(pid).context("a process id").map(|pid| clock_getcpuclockid(Pid::from_raw(pid)))?;
    let cpu = clock.and_then(|clock| clock.now()).with_context(|| format!("the clock of process {pid}"))?;
    Ok(Usage { cpu: cpu.into(), resident: pages * page_size()? })
}

fn resident_pages(text: &str) -> Option<u64> {
    // The name in parentheses may hold anything; the fields count from behind it, the first there being number 3.
    text.rsplit_once(')')?.1.split_whitespace().nth(24 - 3)?.parse().ok()
}

fn getconf(name: &str) -> Result<u64> {
    let out = std::process::Command::new("getconf").arg(name).output().context("getconf")?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.trim().parse().with_context(|| format!("getconf {name}: {text:?}"))
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
        assert_eq!(resident_pages(text), Some(25));
    }

    #[test]
    fn this_process_has_used_memory_and_time() {
        let usage = super::usage(std::process::id()).unwrap();
        assert!(usage.resident > 100_000 && !usage.cpu.is_zero(), "{usage:?}");
        assert!(super::usage(std::process::id()).unwrap().cpu > usage.cpu, "it counts what this took");
    }
}
