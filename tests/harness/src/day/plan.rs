//! Who comes when, and what they do. The same every time.

use std::time::Duration;

use crate::sip::{Hash, Transport};

/// The whole day.
#[derive(Clone, Debug)]
pub struct Day {
    /// The agents.
    pub agents: Vec<AgentPlan>,
    /// The callers, in the order in which they come.
    pub visits: Vec<Visit>,
}

/// One agent.
#[derive(Clone, Debug)]
pub struct AgentPlan {
    /// User name of the phone.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The agent's voice, in hertz.
    pub tone: f64,
    /// The digest the phone answers with.
    pub hash: Hash,
    /// How the phone speaks SIP.
    pub transport: Transport,
    /// How long the phone rings before the agent picks up.
    pub picks_up_after: Duration,
    /// Whether the agent declines the first call.
    pub declines_first: bool,
}

/// Who ends a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The caller.
    Caller,
    /// The agent.
    Agent,
}

/// One caller.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The caller's number, which the agent sees.
    pub number: String,
    /// The caller's voice, in hertz.
    pub tone: f64,
    /// When, after the day's begin.
    pub at: Duration,
    /// Gives up after this long; shorter than any agent needs to pick up.
    pub gives_up_after: Option<Duration>,
    /// How long the conversation lasts.
    pub talk: Duration,
    /// Who ends it.
    pub ends: Side,
}

impl Day {
    /// Callers come a little faster than the agents can serve them, so that a queue forms and empties again.
    pub fn small(accounts: &[(String, String)], callers: usize) -> Day {
        let agents = accounts.iter().enumerate().map(|(i, account)| agent(i, account)).collect();
        Day { agents, visits: (0..callers).map(|i| visit(i, callers)).collect() }
    }

    /// The callers who give up.
    pub fn abandons(&self) -> usize {
        self.visits.iter().filter(|v| v.gives_up_after.is_some()).count()
    }
}

fn agent(i: usize, (user, password): &(String, String)) -> AgentPlan {
    AgentPlan {
        user: user.clone(),
        password: password.clone(),
        // Halfway between the notes of the tempered scale, where no music is, three half-tones apart.
        tone: 440.0 * 2f64.powf((3 * i) as f64 / 12.0 + 0.5 / 12.0),
        hash: if i.is_multiple_of(2) { Hash::Md5 } else { Hash::Sha256 },
        transport: if i == 3 { Transport::Tcp } else { Transport::Udp },
        picks_up_after: Duration::from_millis(600 + 150 * i as u64),
        declines_first: i == 2 || i == 5,
    }
}

fn visit(i: usize, callers: usize) -> Visit {
    // Geometric, so that each voice is the same part away from the next: 5 % for 40 callers.
    let step = 8f64.powf(1.0 / callers as f64);
    Visit {
        number: format!("+3360000{:04}", 1000 + i),
        tone: 400.0 * step.powi(i as i32),
        at: Duration::from_millis(900 * i as u64),
        gives_up_after: (i % 10 == 7).then_some(Duration::from_millis(400)),
        talk: Duration::from_millis(4_000 + 700 * (i as u64 * 7 % 8)),
        ends: if i.is_multiple_of(2) { Side::Caller } else { Side::Agent },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_voices_can_be_told_apart() {
        let accounts: Vec<_> = (0..8).map(|i| (format!("u{i}"), "p".to_owned())).collect();
        let day = Day::small(&accounts, 40);
        let callers: Vec<f64> = day.visits.iter().map(|v| v.tone).collect();
        let agents: Vec<f64> = day.agents.iter().map(|a| a.tone).collect();
        for voices in [callers, agents] {
            assert!(voices.windows(2).all(|v| v[1] / v[0] > 1.04));
            assert!(voices.iter().all(|&v| (300.0..3_400.0).contains(&v)), "{voices:?}");
        }
        let slowest_to_give_up = day.visits.iter().filter_map(|v| v.gives_up_after).max().unwrap();
        assert!(day.agents.iter().all(|a| a.picks_up_after > slowest_to_give_up));
        assert_eq!(day.abandons(), 4);
    }
}
