//! Centers for the suites, as the YAML that a person would write.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};

use crate::real::Block;

/// The number that every center here answers.
pub const NUMBER: &str = "+33123456789";

/// A center in the making.
#[derive(Clone, Debug)]
pub struct Center {
    yaml: String,
}

impl Center {
    /// The tenant, the carrier's trunk, and [`NUMBER`], which leads to the queue `support`.
    pub fn new(block: Block) -> Center {
        Center::with_carrier(block.carrier())
    }

    /// The same with a carrier who lives elsewhere.
    pub fn with_carrier(carrier: IpAddr) -> Center {
        let yaml = format!(
            "kind: Tenant\nname: default\nspec:\n  display_name: Suite\n  time_zone: Europe/Paris\n\
             ---\nkind: Trunk\nname: carrier\nspec:\n  connection: pbx\n  peers: [{}]\n\
             ---\nkind: Number\nname: main\nspec:\n  number: \"{NUMBER}\"\n  trunk: carrier\n  queue: support\n",
            carrier
        );
        Center { yaml }
    }

    /// A queue; `fields` are more lines of its spec, like `wrap_up: 2s`.
    pub fn queue(mut self, name: &str, strategy: &str, agents: &[String], fields: &[&str]) -> Center {
        let list = agents.join(", ");
        let _infallible = write!(
            self.yaml,
            "---\nkind: Queue\nname: {name}\nspec:\n  display_name: {name}\n  strategy: {strategy}\n  agents: [{list}]\n"
        );
        for field in fields {
            let _infallible = writeln!(self.yaml, "  {field}");
        }
        self
    }

    /// An agent with an account: the user name is the agent's, the password [`password`].
    pub fn agent(mut self, name: &str, extension: u32) -> Center {
        let _infallible = write!(
            self.yaml,
            "---\nkind: Agent\nname: {name}\nspec:\n  display_name: {name}\n  extension: \"{extension}\"\n  devices:\n    \
             - {{ username: {name}, password: {{ plain: {} }}, kind: desktop }}\n",
            password(name)
        );
        self
    }

    /// An agent with a fixed contact instead of an account.
    pub fn fixed_agent(mut self, name: &str, at: SocketAddr) -> Center {
        let _infallible = write!(
            self.yaml,
            "---\nkind: Agent\nname: {name}\nspec:\n  display_name: {name}\n  devices:\n    \
             - {{ contact: \"sip:{name}@{at}\", kind: desktop }}\n"
        );
        self
    }

    /// Anything else.
    pub fn object(mut self, yaml: &str) -> Center {
        self.yaml += "---\n";
        self.yaml += yaml;
        self
    }

    /// The text.
    pub fn yaml(self) -> String {
        self.yaml
    }
}

/// The workload of `tests/bench`: `count` agents, all played by one SIPp at `at`, longest idle, music, no wrap-up.
pub fn bench_center(block: Block, count: usize, at: SocketAddr) -> Center {
    let names = agent_names(count);
    let fields = ["wrap_up: 0s", "waiting_sound: music", "unanswered: wait"];
    let center = Center::new(block).queue("support", "longest_idle", &names, &fields);
    names.iter().fold(center, |center, name| center.fixed_agent(name, at))
}

/// `a001`, `a002`, …
pub fn agent_names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("a{n:03}")).collect()
}

/// The password of an agent's only device.
pub fn password(agent: &str) -> String {
    format!("{agent}-secret")
}

/// User names and passwords of a center's agents, in the order of the file, each written as
/// `{ username: NAME, password: { plain: SECRET }, … }`.
pub fn accounts(yaml: &str) -> Result<Vec<(String, String)>> {
    let after = |line: &str, key: &str| {
        let (_, rest) = line.split_once(key)?;
        rest.trim_start().split([',', ' ', '}']).next().map(str::to_owned)
    };
    let account = |line: &str| {
        let both = after(line, "username:").zip(after(line, "plain:"));
        both.with_context(|| format!("no user name and plain password in {line:?}"))
    };
    yaml.lines().filter(|line| line.contains("username:")).map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_again() {
        let names = agent_names(2);
        let center = Center::new(Block::fresh()).queue("support", "random", &names, &[]);
        let yaml = names.iter().zip(101..).fold(center, |c, (n, e)| c.agent(n, e)).yaml();
        let expected = vec![("a001".into(), "a001-secret".into()), ("a002".into(), "a002-secret".into())];
        assert_eq!(accounts(&yaml).unwrap(), expected);
    }
}
