//! What most suites begin with: a running center, agents' phones, and callers.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::center::{Center, NUMBER, password};
use crate::real::{Block, Carillon, Launch};
use crate::records::{self, Record};
use crate::sip::{Answering, Call, Phone, PhoneConfig};

/// How long anything may take that should take milliseconds; generous, because the machine is shared.
pub const SOON: Duration = Duration::from_secs(10);
/// How far a heard frequency may be off.
pub const TOLERANCE: f64 = 0.02;

/// A running center and its addresses.
#[derive(Debug)]
pub struct Suite {
    /// Its addresses.
    pub block: Block,
    /// The process.
    pub center: Carillon,
}

impl Suite {
    /// Starts `center` with more options of the command line.
    pub async fn start(block: Block, center: Center, options: &[(&str, &str)]) -> Result<Suite> {
        let launch = Launch::serve(block, center.yaml());
        let launch = options.iter().fold(launch, |launch, (name, value)| launch.option(name, value));
        Ok(Suite { block, center: Carillon::start(launch).await? })
    }

    /// A center with one queue `support` of these agents, who have accounts and the extensions 101, 102, ….
    pub async fn with_queue(strategy: &str, agents: &[&str], fields: &[&str]) -> Result<Suite> {
        let block = Block::fresh();
        Suite::start(block, queue_of(block, strategy, agents, fields), &[]).await
    }

    /// The configuration of an agent's phone that answers at once.
    pub fn agent_config(&self, name: &str, tone: f64) -> PhoneConfig {
        let config = PhoneConfig::agent(self.center.sip, name, &password(name), tone);
        PhoneConfig { ip: self.block.agents(), ..config }
    }

    /// An agent's phone, registered.
    pub async fn agent(&self, name: &str, tone: f64, answering: Answering) -> Result<Phone> {
        let phone = Phone::start(PhoneConfig { answering, ..self.agent_config(name, tone) }).await?;
        phone.register(Duration::from_secs(300)).await?;
        Ok(phone)
    }

    /// A caller outside.
    pub async fn caller(&self, number: &str, tone: f64) -> Result<Phone> {
        Phone::start(PhoneConfig::caller(self.center.sip, self.block.carrier(), number, tone)).await
    }

    /// A caller outside who has dialled [`NUMBER`].
    pub async fn call(&self, number: &str, tone: f64) -> Result<(Phone, Call)> {
        let phone = self.caller(number, tone).await?;
        let call = phone.dial(NUMBER).await?;
        Ok((phone, call))
    }

    /// Waits until `carillon get agents` says that all of them are idle, so that the next call finds them so.
    pub async fn until_idle(&self) -> Result<()> {
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        let idle = async {
            loop {
                poll.tick().await;
                let agents = self.center.cli_json(&["get", "agents", "-o", "json"]).await?;
                let all = agents.as_array().context("agents are a list")?;
                if all.iter().all(|a| a["activity"] == "idle") {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::time::timeout(SOON, idle).await.context("the agents did not become idle")?
    }

    /// The records, once there are `count`.
    pub async fn records(&self, count: usize) -> Result<Vec<Record>> {
        records::all(&self.center, count, SOON).await
    }

    /// Ends the center as an operator would; anything but a clean end is an error.
    pub async fn stop(self) -> Result<()> {
        self.center.stop().await.map(|_log| ())
    }
}

/// See [`Suite::with_queue`].
pub fn queue_of(block: Block, strategy: &str, agents: &[&str], fields: &[&str]) -> Center {
    let names: Vec<String> = agents.iter().map(|&name| name.to_owned()).collect();
    let center = Center::new(block).queue("support", strategy, &names, fields);
    agents.iter().zip(101..).fold(center, |center, (name, extension)| center.agent(name, extension))
}

/// Both sides hear each other's tone.
pub async fn hear_each_other(a: (&Call, f64), b: (&Call, f64)) -> Result<()> {
    a.0.audio().hears_tone(b.1, TOLERANCE, SOON).await?;
    b.0.audio().hears_tone(a.1, TOLERANCE, SOON).await
}
