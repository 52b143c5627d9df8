//! What is done and measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::center::{Center, NUMBER, bench_center};
use carillon_tests::real::network::free_port;
use carillon_tests::real::process::Usage;
use carillon_tests::real::{Block, Carillon, Launch, Sipp, SippRun};
use tokio::time::Instant;

use crate::figures::{
    BRIDGED_CPU, BRIDGED_MEMORY, CALL_1S, CALL_5S, Figures, IDLE_MEMORY, LATENCY_P50, LATENCY_P99, START_UP,
    WAITING_CPU, WAITING_MEMORY,
};
use crate::rtpsink::RtpSink;

pub(crate) const AGENTS: usize = 200;

/// Where the sinks listen. SIPp keeps the ports from 6000 on for itself.
pub(crate) const AUDIO_PORT: u16 = 7_000;

/// Waits without work: a measured interval.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// CPU that the center uses in `seconds` of nothing else to do, as a part of one core, and its memory at the end.
async fn over(center: &Carillon, seconds: u64) -> Result<(f64, Usage)> {
    let (before, began) = (center.usage()?, Instant::now());
    pass(seconds).await;
    let after = center.usage()?;
    Ok(((after.cpu - before.cpu).as_secs_f64() / began.elapsed().as_secs_f64(), after))
}

/// Start-up of the example center five times, and what it needs then.
pub(crate) async fn startup(figures: &mut Figures) -> Result<()> {
    figures.begin("startup");
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let center = Carillon::start(Launch::dev(Block::fresh())).await?;
        pass(1).await;
        times.push(center.start_up.as_secs_f64());
        memory.push(center.usage()?.resident as f64 / 1e6);
        center.stop().await?;
    }
    figures.add(START_UP, median(&mut times));
    figures.add(IDLE_MEMORY, median(&mut memory));
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A center with its agents, played by one SIPp.
struct Bench {
    center: Carillon,
    block: Block,
    agents: SippRun,
}

impl Bench {
    async fn start(scenario: &str, talk_ms: u64, sdport: u16) -> Result<Bench> {
        let block = Block::fresh();
        let at = SocketAddr::new(block.agents(), 5080);
        let launch = Launch { sip_port: Some(5060), ..Launch::serve(block, bench_center(block, AGENTS, at).yaml()) };
        let center = Carillon::start(launch).await?;
        let agents = Sipp::bench(scenario, at, None).option("-d", talk_ms).key("sdport", sdport).start().await?;
        pass(1).await;
        Ok(Bench { center, block, agents })
    }

    /// Calls the queue `calls` times.
    fn callers(&self, scenario: &str, calls: u64, rate: u64) -> Result<Sipp> {
        let local = free_port(self.block.carrier())?;
        Ok(Sipp::bench(scenario, local, Some(self.center.sip))
            .option("-s", NUMBER)
            .option("-m", calls)
            .option("-r", rate)
            .option("-l", calls))
    }
}

/// CPU per call: 100/s with 1 s of talk, and 20/s with 5 s; the first also gives the latency.
pub(crate) async fn calls(figures: &mut Figures, seconds: u64, rate: u64) -> Result<()> {
    figures.begin("calls");
    let (cpu, latencies) = calls_at(rate, seconds, 1_000).await?;
    figures.add(CALL_1S, cpu);
    let at = |part: usize| {
        latencies.get((latencies.len() * part).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
    };
    figures.add(LATENCY_P50, at(50));
    figures.add(LATENCY_P99, at(99));
    let (cpu, _) = calls_at(rate.div_ceil(5), seconds, 5_000).await?;
    figures.add(CALL_5S, cpu);
    figures.note(format!("latency: {} calls, longest {:.2} ms", latencies.len(), at(100)));
    Ok(())
}

/// CPU milliseconds per call, and the sorted milliseconds from the caller's INVITE to the agent's.
async fn calls_at(rate: u64, seconds: u64, talk_ms: u64) -> Result<(f64, Vec<f64>)> {
    let bench = Bench::start("agent.xml", talk_ms, AUDIO_PORT).await?;
    let (warm_up, calls) = (3 * rate, seconds * rate);
    let longest = Duration::from_secs(seconds + talk_ms / 1000 + 60);
    bench.callers("caller.xml", warm_up, rate)?.key("sdport", AUDIO_PORT).run(longest).await?.all_of(warm_up)?;
    let (idle, _) = over(&bench.center, 6).await?;
    let (before, began) = (bench.center.usage()?, Instant::now());
    bench.callers("caller.xml", calls, rate)?.key("sdport", AUDIO_PORT).run(longest).await?.all_of(calls)?;
    let spent = (bench.center.usage()?.cpu - before.cpu).as_secs_f64() - idle * began.elapsed().as_secs_f64();
    let log = bench.agents.stop().await?.log;
    bench.center.stop().await?;
    let mut latencies: Vec<f64> = log.lines().filter_map(latency).skip(warm_up as usize).collect();
    ensure!(latencies.len() as u64 == calls, "the agents logged {} of {calls} calls", latencies.len());
    latencies.sort_by(f64::total_cmp);
    Ok((spent * 1000.0 / calls as f64, latencies))
}

/// Milliseconds of a line `T sec usec sec usec`: the caller's clock at its INVITE, and the agent's when it arrived.
pub(crate) fn latency(line: &str) -> Option<f64> {
    let times: Option<Vec<f64>> = line.strip_prefix("T ")?.split_whitespace().map(|word| word.parse().ok()).collect();
    match times?.as_slice() {
        [s, u, ns, nu] => Some((ns - s) * 1e3 + (nu - u) / 1e3),
        _ => None,
    }
}

/// Callers who wait with music: nobody answers, because the only agent's phone is not there.
pub(crate) async fn waiting(figures: &mut Figures, callers: u64) -> Result<()> {
    figures.begin("waiting");
    let block = Block::fresh();
    let fields = ["wrap_up: 0s", "waiting_sound: music", "unanswered: wait", "max_waiting: 20000"];
    let center = Center::new(block).queue("support", "longest_idle", &["anna".to_owned()], &fields).agent("anna", 101);
    let center = Carillon::start(Launch::serve(block, center.yaml())).await?;
    let sink_at = SocketAddr::new(block.carrier(), AUDIO_PORT);
    let sink = RtpSink::start(sink_at, false).await?;
    let (idle, before) = over(&center, 3).await?;
    let calls = Sipp::bench("caller.xml", free_port(block.carrier())?, Some(center.sip))
        .option("-s", NUMBER)
        .option("-m", callers)
        .option("-r", 200)
        .option("-l", callers)
        .key("sdport", sink_at.port())
        .start()
        .await?;
    until_waiting(&center, callers).await?;
    pass(3).await;
    sink.reset().await?;
    let (busy, after) = over(&center, 15).await?;
    let music = sink.stop().await?;
    drop(calls);
    figures.add(WAITING_CPU, (busy - idle) * 100.0 / callers as f64);
    figures.add(WAITING_MEMORY, (after.resident.saturating_sub(before.resident)) as f64 / 1024.0 / callers as f64);
    figures.note(format!("{callers} callers waiting; music as it arrived: {music}"));
    Ok(())
}

async fn until_waiting(center: &Carillon, callers: u64) -> Result<()> {
    let mut poll = tokio::time::interval(Duration::from_millis(500));
    let all = async {
        loop {
            poll.tick().await;
            let queue = center.cli_json(&["get", "queues", "support", "-o", "json"]).await?;
            if queue["waiting"].as_u64() >= Some(callers) {
                return anyhow::Ok(());
            }
        }
    };
    let within = Duration::from_secs(30 + callers / 100);
    tokio::time::timeout(within, all)
        .await
        .with_context(|| format!("{callers} callers do not wait after {within:?}"))?
}

/// Calls in conversation: the caller sends a tone, the agent's side sends it back.
pub(crate) async fn bridged(figures: &mut Figures, calls: u64) -> Result<()> {
    figures.begin("bridged");
    ensure!(calls <= AGENTS as u64, "the workload has {AGENTS} agents");
    let bench = Bench::start("agent_wait.xml", 0, AUDIO_PORT).await?;
    let sink = RtpSink::start(SocketAddr::new(bench.block.agents(), AUDIO_PORT), true).await?;
    let (idle, before) = over(&bench.center, 3).await?;
    let callers = bench.callers("caller_rtp.xml", calls, 50)?.with_tone().start().await?;
    until_talking(&bench.center, calls).await?;
    pass(3).await;
    sink.reset().await?;
    let (busy, after) = over(&bench.center, 15).await?;
    let audio = sink.stop().await?;
    drop(callers);
    figures.add(BRIDGED_CPU, (busy - idle) * 100.0 / calls as f64);
    figures.add(BRIDGED_MEMORY, (after.resident.saturating_sub(before.resident)) as f64 / 1024.0 / calls as f64);
    figures.note(format!("{calls} bridged calls; audio as it arrived at the agents: {audio}"));
    Ok(())
}

async fn until_talking(center: &Carillon, calls: u64) -> Result<()> {
    let mut poll = tokio::time::interval(Duration::from_millis(500));
    let all = async {
        loop {
            poll.tick().await;
            let list = center.cli_json(&["get", "calls", "-o", "json"]).await?;
            let talking = list.as_array().map_or(0, |l| l.iter().filter(|c| c["stage"] == "talking").count());
            if talking as u64 >= calls {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.context("the calls were not all connected after 60 s")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_the_difference_of_two_clocks() {
        let line = "T 1795176015.000000 999000.000000 1795176016.000000 1500.000000";
        assert!((latency(line).unwrap() - 2.5).abs() < 0.001);
        assert_eq!(latency("T 1 2 3"), None);
    }
}
