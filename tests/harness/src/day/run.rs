//! Lets the day happen.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plan::{AgentPlan, Day, Side, Visit};
use crate::audio::Sound;
use crate::center::NUMBER;
use crate::real::{Block, Carillon};
use crate::sip::{Account, Answering, Call, Phone, PhoneConfig};

/// What just happened, for whoever watches. Agents and callers are meant by their place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The agent's phone is registered.
    Ready(usize),
    /// It rings for a caller.
    Rings(usize, usize),
    /// The agent declined.
    Declines(usize),
    /// The agent hears the caller.
    Talks(usize, usize),
    /// The agent has nobody on the line any more.
    Free(usize),
    /// The caller dials.
    Dials(usize),
    /// The caller hears an agent.
    Served(usize, usize),
    /// The caller gave up, as planned.
    GivesUp(usize),
    /// The caller's call is over.
    Leaves(usize),
}

/// What the two sides found out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Caller and the agent whose voice the caller heard.
    pub heard_by_callers: Vec<(usize, usize)>,
    /// Agent and the caller whose number was shown and whose voice the agent heard.
    pub heard_by_agents: Vec<(usize, usize)>,
    /// Callers who heard music or ringing while they waited.
    pub entertained: usize,
    /// Callers who gave up.
    pub abandoned: usize,
    /// Calls that agents declined.
    pub declined: usize,
    /// Everything that was not as planned.
    pub wrong: Vec<String>,
}

/// How long a caller may have to wait in all.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long it may take until a voice is heard once the sides are connected, and until a call ends once one side hung up.
const SOON: Duration = Duration::from_secs(5);
/// A voice counts as recognised after half a second.
const WINDOWS: usize = 5;
/// How far a measured frequency may be off.
const TOLERANCE: f64 = 0.01;

/// What one person found out.
enum Finding {
    CallerHeard { caller: usize, agent: usize, music: bool },
    AgentHeard { agent: usize, caller: usize },
    Abandoned,
    Declined,
}

type Findings = mpsc::Sender<Result<Finding>>;

#[derive(Clone)]
struct Stage {
    day: Arc<Day>,
    block: Block,
    server: std::net::SocketAddr,
    tell: mpsc::Sender<Happening>,
    findings: Findings,
}

impl Stage {
    async fn tell(&self, what: Happening) {
        // A view that is gone misses nothing that the outcome needs.
        let _nobody_watches = self.tell.send(what).await;
    }
}

/// Registers the agents, sends the callers, and waits until all have left.
pub async fn run(center: &Carillon, block: Block, day: Arc<Day>, tell: mpsc::Sender<Happening>) -> Result<Outcome> {
    let (findings, mut found) = mpsc::channel(256);
    let stage = Stage { day: day.clone(), block, server: center.sip, tell, findings };
    let (closing, closed) = watch::channel(false);
    let mut agents = JoinSet::new();
    for (index, plan) in day.agents.iter().enumerate() {
        let phone = register(&stage, plan).await.with_context(|| format!("agent {}", plan.user))?;
        stage.tell(Happening::Ready(index)).await;
        agents.spawn(serve(stage.clone(), index, phone, closed.clone()));
    }
    let mut callers = JoinSet::new();
    let begin = Instant::now();
    for (index, visit) in day.visits.iter().enumerate() {
        let (stage, at) = (stage.clone(), begin + visit.at);
        callers.spawn(async move {
            tokio::time::sleep_until(at).await;
            let outcome =
                call(&stage, index).await.with_context(|| format!("caller {}", stage.day.visits[index].number));
            stage.tell(Happening::Leaves(index)).await;
            let _run_is_over = stage.findings.send(outcome).await;
        });
    }
    drop(stage);
    let collect = tokio::spawn(async move {
        let mut outcome = Outcome::default();
        while let Some(finding) = found.recv().await {
            outcome.add(finding);
        }
        outcome
    });
    while callers.join_next().await.is_some() {}
    closing.send(true).context("the agents went home early")?;
    while agents.join_next().await.is_some() {}
    collect.await.context("the findings")
}

impl Outcome {
    fn add(&mut self, finding: Result<Finding>) {
        match finding {
            Ok(Finding::CallerHeard { caller, agent, music }) => {
                self.heard_by_callers.push((caller, agent));
                self.entertained += usize::from(music);
            }
            Ok(Finding::AgentHeard { agent, caller }) => self.heard_by_agents.push((agent, caller)),
            Ok(Finding::Abandoned) => self.abandoned += 1,
            Ok(Finding::Declined) => self.declined += 1,
            Err(wrong) => self.wrong.push(format!("{wrong:#}")),
        }
    }
}

async fn register(stage: &Stage, plan: &AgentPlan) -> Result<Phone> {
    let account = Account { username: plan.user.clone(), password: plan.password.clone(), hash: plan.hash };
    let answering = match plan.declines_first {
        true => Answering::Reject(603, plan.picks_up_after),
        false => Answering::After(plan.picks_up_after),
    };
    let config = PhoneConfig::agent(stage.server, &plan.user, &plan.password, plan.tone);
    let (ip, transport) = (stage.block.agents(), plan.transport);
    let phone = Phone::start(PhoneConfig { account: Some(account), ip, transport, answering, ..config }).await?;
    phone.stay_registered(Duration::from_secs(60)).await?;
    Ok(phone)
}

/// An agent's day.
async fn serve(stage: Stage, agent: usize, mut phone: Phone, mut closed: watch::Receiver<bool>) {
    loop {
        let call = tokio::select! {
            call = phone.next_call(LONGEST_WAIT * 2) => call,
            _ = closed.wait_for(|closed| *closed) => return,
        };
        let Ok(call) = call else { return };
        let finding = take(&stage, agent, &phone, &call).await;
        stage.tell(Happening::Free(agent)).await;
        if let Some(finding) = finding.with_context(|| format!("agent {}", stage.day.agents[agent].user)).transpose() {
            let _run_is_over = stage.findings.send(finding).await;
        }
    }
}

/// One call of an agent; nothing when the caller gave up before the answer.
async fn take(stage: &Stage, agent: usize, phone: &Phone, call: &Call) -> Result<Option<Finding>> {
    let plan = &stage.day.agents[agent];
    let caller = stage.day.visits.iter().position(|v| v.number == call.from);
    let caller = caller.with_context(|| format!("the phone shows {:?}, which is nobody's number", call.from))?;
    let visit = &stage.day.visits[caller];
    stage.tell(Happening::Rings(agent, caller)).await;
    let picked_up = call.until("answer", LONGEST_WAIT, |p| p.answered.is_some() || p.end.is_some()).await?;
    if picked_up.answered.is_none() {
        // Whatever ended it, the next call is taken.
        phone.set_answering(Answering::After(plan.picks_up_after));
        let declined = picked_up.end.is_some_and(|end| end.by_us);
        if declined {
            stage.tell(Happening::Declines(agent)).await;
        }
        return Ok(declined.then_some(Finding::Declined));
    }
    let heard = recognise(call, SOON, &[visit.tone]).await;
    heard.with_context(|| format!("the voice of {} ({:.0} Hz)", visit.number, visit.tone))?;
    stage.tell(Happening::Talks(agent, caller)).await;
    if visit.ends == Side::Agent && call.until("end", visit.talk, |p| p.end.is_some()).await.is_err() {
        call.hang_up().await?;
    }
    call.ended(visit.talk + SOON).await?;
    Ok(Some(Finding::AgentHeard { agent, caller }))
}

/// A caller's call.
async fn call(stage: &Stage, caller: usize) -> Result<Finding> {
    let visit: &Visit = &stage.day.visits[caller];
    let config = PhoneConfig::caller(stage.server, stage.block.carrier(), &visit.number, visit.tone);
    let phone = Phone::start(config).await?;
    stage.tell(Happening::Dials(caller)).await;
    let call = phone.dial(NUMBER).await?;
    if let Some(patience) = visit.gives_up_after {
        if call.until("end", patience, |p| p.end.is_some()).await.is_ok() {
            bail!("the call ended before the caller gave up: {:?}", call.progress().end);
        }
        stage.tell(Happening::GivesUp(caller)).await;
        call.hang_up().await?;
        return Ok(Finding::Abandoned);
    }
    let tones: Vec<f64> = stage.day.agents.iter().map(|a| a.tone).collect();
    let music = tokio::spawn({
        let call = call.clone();
        async move { call.audio().hears("music", WINDOWS, LONGEST_WAIT, |s| s == Sound::Mixed).await.is_ok() }
    });
    let agent = recognise(&call, LONGEST_WAIT, &tones).await.context("an agent's voice");
    // Whoever heard music has heard it by now.
    let music = if music.is_finished() { music.await.unwrap_or(false) } else { false };
    let agent = agent?;
    stage.tell(Happening::Served(caller, agent)).await;
    if visit.ends == Side::Caller && call.until("end", visit.talk, |p| p.end.is_some()).await.is_err() {
        call.hang_up().await?;
    }
    call.ended(visit.talk + SOON).await?;
    Ok(Finding::CallerHeard { caller, agent, music })
}

/// Waits for one of these voices and says which it was.
async fn recognise(call: &Call, within: Duration, tones: &[f64]) -> Result<usize> {
    let which = |s: Sound| tones.iter().position(|&tone| s.is_tone(tone, TOLERANCE));
    let listen = call.audio().hears("a voice", WINDOWS, within, |s| which(s).is_some());
    tokio::select! {
        heard = listen => heard?,
        end = call.ended(within * 2) => bail!("the call ended before: {:?}", end?),
    }
    // The windows that were just recognised end with the voice that speaks now.
    let voice = call.audio().heard().latest.iter().rev().find_map(|&s| which(s));
    voice.context("a voice that went as soon as it came")
}
