//! Resource names as the API writes them.

use carillon_acd::ids::{AgentId, CallId, Name, NumberId, QueueId};

/// A text that is not the name it should be. It says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {expected}")]
pub struct NameError {
    /// What was given.
    pub given: String,
    /// What would be right, with an example.
    pub expected: &'static str,
}

/// Whose objects are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Everybody's: `tenants/-`.
    Everybody,
    /// One tenant's: `tenants/{tenant}`.
    Tenant(Name),
}

impl Parent {
    /// Whether an object of `tenant` is listed.
    pub fn holds(&self, tenant: &Name) -> bool {
        match self {
            Parent::Everybody => true,
            Parent::Tenant(one) => one == tenant,
        }
    }
}

/// Reads `tenants/{tenant}` or `tenants/-`.
pub fn parent(text: &str) -> Result<Parent, NameError> {
    let expected = "a tenant, like \"tenants/default\", or \"tenants/-\" for all";
    let bad = || NameError { given: text.into(), expected };
    match text.strip_prefix("tenants/").ok_or_else(bad)? {
        "-" => Ok(Parent::Everybody),
        tenant => tenant.parse().map(Parent::Tenant).map_err(|_| bad()),
    }
}

/// Reads `tenants/{tenant}/agents/{agent}`.
pub fn agent(text: &str) -> Result<AgentId, NameError> {
    let expected = "an agent's name, like \"tenants/default/agents/anna\"";
    let (tenant, name) = object(text, "agents").ok_or_else(|| NameError { given: text.into(), expected })?;
    Ok(AgentId::new(tenant, name))
}

/// Reads `tenants/{tenant}/queues/{queue}`.
pub fn queue(text: &str) -> Result<QueueId, NameError> {
    let expected = "a queue's name, like \"tenants/default/queues/support\"";
    let (tenant, name) = object(text, "queues").ok_or_else(|| NameError { given: text.into(), expected })?;
    Ok(QueueId::new(tenant, name))
}

/// Reads the name of a configuration object, like `tenants/{tenant}/queues/{queue}`: its collection (none for a tenant) and
/// its own name, of the only tenant of this version.
pub fn config_object(text: &str) -> Result<(Option<&str>, Name), NameError> {
    let expected = "an object's name, like \"tenants/default/queues/support\" or \"tenants/default\"";
    let bad = || NameError { given: text.into(), expected };
    let rest = text.strip_prefix("tenants/").ok_or_else(bad)?;
    match rest.split('/').collect::<Vec<_>>()[..] {
        [tenant] => tenant.parse().map(|name| (None, name)).map_err(|_| bad()),
        ["default", collection, name] => name.parse().map(|name| (Some(collection), name)).map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// Reads `tenants/{tenant}/numbers/{number}`.
pub fn number(text: &str) -> Result<NumberId, NameError> {
    let expected = "a number's name, like \"tenants/default/numbers/main\"";
    let (tenant, name) = object(text, "numbers").ok_or_else(|| NameError { given: text.into(), expected })?;
    Ok(NumberId::new(tenant, name))
}

/// Reads `calls/{call}`.
pub fn call(text: &str) -> Result<CallId, NameError> {
    let expected = "a call's name, like \"calls/1-6a0f3c21-42\"";
    let id = text.strip_prefix("calls/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| NameError { given: text.into(), expected })
}

/// Writes `calls/{call}`.
pub fn of_call(call: CallId) -> String {
    format!("calls/{call}")
}

/// The name of an object that may not be there: empty then, as the protos say.
pub(crate) fn or_empty(name: Option<impl ToString>) -> String {
    name.map_or_else(String::new, |name| name.to_string())
}

fn object(text: &str, collection: &str) -> Option<(Name, Name)> {
    let mut parts = text.split('/');
    let (root, tenant, kind, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if root != "tenants" || kind != collection || parts.next().is_some() {
        return None;
    }
    Some((tenant.parse().ok()?, name.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ob_1_names_read_back() {
        for text in ["tenants/default/agents/anna", "tenants/a-1/agents/0"] {
            assert_eq!(agent(text).unwrap().to_string(), text);
        }
        assert_eq!(queue("tenants/default/queues/support").unwrap().to_string(), "tenants/default/queues/support");
        assert_eq!(number("tenants/default/numbers/main").unwrap().to_string(), "tenants/default/numbers/main");
        assert_eq!(of_call(call("calls/1-6a0f3c21-42").unwrap()), "calls/1-6a0f3c21-42");
    }

    #[test]
    fn ob_1_other_texts_are_refused_with_an_example() {
        let bad = ["", "anna", "tenants/default/queues/anna", "tenants/default/agents/", "tenants//agents/anna"];
        for text in bad.into_iter().chain(["tenants/default/agents/Anna", "tenants/default/agents/anna/x"]) {
            let error = agent(text).unwrap_err().to_string();
            assert!(error.ends_with("is not an agent's name, like \"tenants/default/agents/anna\""), "{error}");
        }
        assert!(call("1-6a0f3c21-42").is_err());
    }

    #[test]
    fn a_parent_is_one_tenant_or_all() {
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        let one = parent("tenants/a").unwrap();
        assert!(one.holds(&a) && !one.holds(&b));
        assert!(parent("tenants/-").unwrap().holds(&b));
        assert!(parent("").is_err() && parent("a").is_err() && parent("tenants/A").is_err());
    }
}
