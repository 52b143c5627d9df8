//! The commands of a scenario.
//!
//! ```text
//! queue support agents=anna,piotr strategy=in_order rings=4 …   a queue (see `setup.rs` for the rest)
//! agent anna extension=101 devices=hardware,browser             an agent; one hardware phone if not said
//! number +33123456789 queue=support greeting=welcome            a number
//! trunk carrier outbound                                        a trunk; `carrier` is there from the start
//!
//! call 1 to +33123456789                                        a caller dials; the calls are numbered as they come
//! call 2 by anna to 201                                         an agent dials
//! anna answers · anna declines · anna hangs up                  what an agent does with his phone; `anna/1` is a device
//! call 1 to +33123456789 from +33600000009                      a caller with another number, or none: `from anonymous`
//! call 1 hangs up · call 1 presses 2 · call 1 is stopped        the caller; the API
//! queue support becomes agents=anna strategy=random …           the configuration changes; what is not said is as by default
//! queue support is removed · anna is removed                    and takes out what was there
//! queue support has a new owner                                 the old one is forgotten; callers come back by themselves
//! queue support has two owners                                  the old one goes on, and both hear everything
//! outside answers · outside is busy · outside hangs up          the number that is called outside
//! sound ends                                                    the sound that plays has come to its end
//! anna break · anna ready · anna logout · anna end wrap-up      what an agent wishes
//! anna joins support · anna leaves support                      login and logout per queue
//! anna picks up from support                                    by the console: what has rung for longest there
//! call 2 by anna to *11                                         and by a code, like every code
//! anna offline · anna online · anna dead · anna alive           registration lost and back; a phone that cannot ring
//! anna online at edge 2 · anna offline at edge 2                the same at another edge; the calls are on edge 1
//! edge 2 is gone                                                and with it the way to all phones that registered there
//! wait 20s                                                      time passes
//! show agents · show queues                                     how it is now
//! show places                                                   who waits at which place, and for how long he still will
//! show statistics                                               what queues, agents and numbers have done so far
//! show last record                                              why the call that ended last went where it went
//! explain queue support · explain call 1 · explain agent anna   why it is so
//! ```

mod explain;
mod setup;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::call;
use carillon_acd::ids::{AgentId, CallId, DeviceId, LegId, Name, NodeId, QueueId, TrunkId};
use carillon_acd::leg::{Cause, LegEvent, Source};
use carillon_acd::queue;
use carillon_acd::time::Moment;
use carillon_acd::view::{Activity, AgentCommand};

use crate::world::{EDGE, Message, World};
use setup::Setup;

#[derive(Default)]
pub(crate) struct Script {
    setup: Setup,
    world: Option<World>,
    began: Moment,
    activities: Vec<(AgentId, Activity)>,
    names: BTreeMap<LegId, String>,
    /// The phones of agents who call.
    callers: BTreeMap<LegId, String>,
    told: BTreeSet<String>,
    lines: Vec<String>,
    /// Owners of queues that were replaced.
    epoch: u64,
}

/// Who calls, unless it is said.
const CALLER: &str = "+33600000000";

pub(crate) fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_| format!("{text:?} is no name"))
}

pub(crate) fn agent_id(text: &str) -> Result<AgentId, String> {
    Ok(AgentId::new(name("default")?, name(text)?))
}

pub(crate) fn queue_id(text: &str) -> Result<QueueId, String> {
    Ok(QueueId::new(name("default")?, name(text)?))
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no time"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(format!("{text:?} needs ms, s or m")),
    }
}

impl Script {
    /// What has happened since the last time.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(crate) fn run(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let happens = matches!(words[..], [_, _, "has" | "becomes" | "is", ..]);
        if Setup::knows(words[0]) && !happens {
            return match self.world {
                None => self.setup.add(&words),
                Some(_) => Err("comes too late: calls were made already".to_owned()),
            };
        }
        if self.world.is_none() {
            let mut world = self.setup.build()?;
            world.settle();
            world.seen.clear();
            self.began = world.now;
            self.world = Some(world);
            self.note_activities();
        }
        self.act(&words)?;
        self.world().settle();
        self.tell();
        Ok(())
    }

    fn world(&mut self) -> &mut World {
        self.world.as_mut().expect("built before the first act")
    }

    fn act(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            ["call", number, "to", dialled] => self.dial(number, None, dialled, CALLER),
            ["call", number, "to", dialled, "from", caller] => self.dial(number, None, dialled, caller),
            ["call", number, "by", agent, "to", dialled] => self.dial(number, Some(agent), dialled, CALLER),
            ["queue", queue, "has", "a", "new", "owner"] => self.new_owner(queue, false),
            ["queue", queue, "has", "two", "owners"] => self.new_owner(queue, true),
            ["queue", queue, "becomes", ref options @ ..] => self.reconfigure(queue, Some(options)),
            ["queue", queue, "is", "removed"] => self.reconfigure(queue, None),
            [agent, "is", "removed"] => {
                self.world().deliver(Message::Agent(agent_id(agent)?, carillon_acd::agent::Event::Removed));
                Ok(())
            }
            ["call", number, "hangs", "up"] => {
                self.leg(LegId::caller(call_id(number)?), LegEvent::Ended(Cause::Normal))
            }
            ["call", number, "presses", digit] => {
                let digit = digit.chars().next().ok_or("a digit is needed")?;
                self.leg(LegId::caller(call_id(number)?), LegEvent::Digit(digit))
            }
            ["call", number, "is", "stopped"] => {
                self.world().deliver(Message::Call(call_id(number)?, call::Event::HangUp));
                Ok(())
            }
            ["sound", "ends"] => self.sound_ends(),
            ["outside", ref what @ ..] => {
                let leg = self.world().phones.outside().ok_or("no number outside is called")?;
                self.leg(leg, phone_event(what)?)
            }
            ["edge", edge, "is", "gone"] => {
                self.world().edge_is_gone(edge_id(edge)?);
                Ok(())
            }
            ["wait", time] => self.wait(seconds(time)?),
            ["show", "agents"] => self.show_agents(),
            ["show", "queues"] => self.show_queues(),
            ["show", "places"] => self.show_places(),
            ["show", "statistics"] => self.show_statistics(),
            ["show", "last", "record"] => self.show_last_record(),
            ["explain", "queue", queue] => self.explain_queue(&queue_id(queue)?),
            ["explain", "call", number] => self.explain_call(call_id(number)?),
            ["explain", "agent", agent] => self.explain_agent(&agent_id(agent)?),
            [agent, ref what @ ..] => self.agent(agent, what),
            [] => Ok(()),
        }
    }

    fn new_owner(&mut self, queue: &str, beside: bool) -> Result<(), String> {
        let id = queue_id(queue)?;
        let config = self.setup.queue_config(&id).ok_or("no such queue")?;
        self.epoch += 1;
        let epoch = 1 + self.epoch;
        if beside {
            self.world().keep_beside(&id, epoch);
        }
        self.world().add_queue(id, config, epoch, 1);
        Ok(())
    }

    /// The queue first: an agent tells one that is new to him at once how he is.
    fn reconfigure(&mut self, queue: &str, options: Option<&[&str]>) -> Result<(), String> {
        let id = queue_id(queue)?;
        self.setup.change(&id, options)?;
        let (routing, config, agents) = (self.setup.routing()?, self.setup.queue_config(&id), self.setup.agents());
        let world = self.world();
        world.routing = Arc::new(routing);
        let changed = config.map_or(queue::Event::Removed, |config| queue::Event::Configured(Box::new(config)));
        world.deliver(Message::Queue(id, changed));
        for (agent, config) in agents {
            world.deliver(Message::Agent(agent, carillon_acd::agent::Event::Configured(Box::new(config))));
        }
        Ok(())
    }

    fn dial(&mut self, number: &str, by: Option<&str>, dialled: &str, caller: &str) -> Result<(), String> {
        let source = match by {
            Some(agent) => Source::Device(DeviceId { agent: agent_id(agent)?, index: 0 }),
            None => Source::Trunk(TrunkId::new(name("default")?, name("carrier")?)),
        };
        if let Some(agent) = by {
            self.callers.insert(LegId::caller(call_id(number)?), format!("{agent}'s phone"));
        }
        let dialled = dialled.replace('_', " ");
        let call = self.world().call(source, caller, &dialled);
        if call == call_id(number)? { Ok(()) } else { Err(format!("this is call {}", call.number)) }
    }

    fn leg(&mut self, leg: LegId, event: LegEvent) -> Result<(), String> {
        self.world().leg_event(leg, event);
        Ok(())
    }

    fn sound_ends(&mut self) -> Result<(), String> {
        let calls: Vec<CallId> = self.world().calls.keys().copied().collect();
        calls.into_iter().try_for_each(|call| self.leg(LegId::caller(call), LegEvent::PlayFinished))
    }

    fn wait(&mut self, time: Duration) -> Result<(), String> {
        let until = self.world().now + time;
        // In steps of what happens, so that every line has its own time.
        while let Some(next) = self.world().next_at().filter(|at| *at <= until) {
            self.world().run_until(next);
            self.tell();
        }
        self.world().run_until(until);
        Ok(())
    }

    fn agent(&mut self, who: &str, what: &[&str]) -> Result<(), String> {
        let (who, device) = match who.split_once('/') {
            Some((who, device)) => (who, Some(device.parse().map_err(|_| "a device is a number")?)),
            None => (who, None),
        };
        let agent = agent_id(who)?;
        if !self.world().agents.contains_key(&agent) {
            return Err("no such command, and no such agent".to_owned());
        }
        let command = match *what {
            ["break"] => AgentCommand::Break,
            ["ready"] => AgentCommand::Ready,
            ["logout"] => AgentCommand::LogOut,
            ["end", "wrap-up"] => AgentCommand::EndWrapUp,
            ["joins", queue] => AgentCommand::QueueLogIn(queue_id(queue)?),
            ["leaves", queue] => AgentCommand::QueueLogOut(queue_id(queue)?),
            ["picks", "up", "from", queue] => return self.picks_up(&agent, &queue_id(queue)?),
            ["online"] => return self.registers(&agent, device, EDGE, true),
            ["offline"] => return self.registers(&agent, device, EDGE, false),
            ["online", "at", "edge", edge] => return self.registers(&agent, device, edge_id(edge)?, true),
            ["offline", "at", "edge", edge] => return self.registers(&agent, device, edge_id(edge)?, false),
            ["dead"] => {
                self.world().phones.dead.push(agent);
                return Ok(());
            }
            ["alive"] => {
                self.world().phones.dead.retain(|dead| *dead != agent);
                return Ok(());
            }
            _ => {
                let leg =
                    self.world().phones.of_agent(&agent, device).ok_or_else(|| format!("{who}'s phone is still"))?;
                return self.leg(leg, phone_event(what)?);
            }
        };
        if let Err(refusal) = self.world().command(&agent, &command) {
            self.lines.push(format!("refused: {refusal}"));
        }
        Ok(())
    }

    fn picks_up(&mut self, agent: &AgentId, queue: &QueueId) -> Result<(), String> {
        let world = self.world();
        let now = world.clock();
        let machine = world.queues.get_mut(queue).ok_or("no such queue")?;
        let mut out = Vec::new();
        let picked = machine.rings(now, agent, None);
        match picked.and_then(|ringing| machine.pick_up(now, ringing.call, agent, &mut out)) {
            Ok(()) => out.into_iter().for_each(|queue::Effect::ToCall(call, event)| {
                world.deliver(Message::Call(call, event));
            }),
            Err(refusal) => self.lines.push(format!("refused: {refusal}")),
        }
        Ok(())
    }

    fn registers(&mut self, agent: &AgentId, device: Option<u8>, edge: NodeId, there: bool) -> Result<(), String> {
        self.world().registers(agent, device.unwrap_or(0), edge, there);
        Ok(())
    }
}

fn edge_id(number: &str) -> Result<NodeId, String> {
    number.parse().map(NodeId).map_err(|_| format!("{number:?} is no number of an edge"))
}

fn call_id(number: &str) -> Result<CallId, String> {
    let number = number.parse().map_err(|_| format!("{number:?} is no number of a call"))?;
    Ok(CallId { node: EDGE, boot: 1, number })
}

fn phone_event(what: &[&str]) -> Result<LegEvent, String> {
    match *what {
        ["answers"] => Ok(LegEvent::Answered),
        ["declines"] => Ok(LegEvent::Failed(Cause::Declined)),
        ["is", "busy"] => Ok(LegEvent::Failed(Cause::Busy)),
        ["hangs", "up"] => Ok(LegEvent::Ended(Cause::Normal)),
        ["falls", "silent"] => Ok(LegEvent::Ended(Cause::MediaTimeout)),
        ["sends", "early", "media"] => Ok(LegEvent::Alerting { early_media: true }),
        ["holds"] => Ok(LegEvent::Held),
        ["resumes"] => Ok(LegEvent::Resumed),
        _ => Err("no such command".to_owned()),
    }
}
