//! How the public API says no. The status message alone tells a person everything; the details tell it to a program.

use std::fmt::Display;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::names::NameError;

/// Why a request was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of the request is not understood.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field's name in the proto file.
        field: &'static str,
        /// What was given and what would be right.
        problem: String,
    },
    /// There is no such object.
    #[error("{name} not found{}", suggestion(.nearest))]
    NotFound {
        /// Its resource name.
        name: String,
        /// Resource names that are close to it, best first.
        nearest: Vec<String>,
    },
    /// The object's state does not allow it.
    #[error("{problem}")]
    State {
        /// The object's resource name.
        name: String,
        /// What state it is in.
        problem: String,
    },
    /// Its owner did not answer in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// Somebody else has changed meanwhile what the request would change; it may be sent again.
    #[error("{0}")]
    Overtaken(String),
    /// A limit of the server is reached; trying again later helps.
    #[error("{0}")]
    Exhausted(String),
    /// Something that the server needs does not work now.
    #[error("{0}")]
    Unavailable(String),
}

impl Refusal {
    /// `given` is not a valid value of `field`; `expected` says what is.
    pub fn invalid(field: &'static str, given: impl Display, expected: &str) -> Self {
        Refusal::Invalid { field, problem: format!("{given} is not {expected}") }
    }

    /// The text in `field` is not the name it should be.
    pub fn name(field: &'static str, error: NameError) -> Self {
        Refusal::Invalid { field, problem: error.to_string() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let message = refusal.to_string();
        match refusal {
            Refusal::Invalid { field, problem } => {
                let details = ErrorDetails::with_bad_request_violation(field, problem);
                Status::with_error_details(Code::InvalidArgument, message, details)
            }
            Refusal::NotFound { name, nearest } => {
                let kind = kind_of(&name).to_owned();
                let details = ErrorDetails::with_resource_info(kind, name, "", nearest.join(" "));
                Status::with_error_details(Code::NotFound, message, details)
            }
            Refusal::State { name, problem } => {
                let details = ErrorDetails::with_precondition_failure_violation("STATE", name, problem);
                Status::with_error_details(Code::FailedPrecondition, message, details)
            }
            Refusal::Timeout(_) => Status::deadline_exceeded(message),
            Refusal::Overtaken(_) => Status::aborted(message),
            Refusal::Exhausted(_) => Status::resource_exhausted(message),
            Refusal::Unavailable(_) => Status::unavailable(message),
        }
    }
}

fn suggestion(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        some => format!("; did you mean {}?", some.join(" or ")),
    }
}

/// The collection that a resource name ends in: `agents` for `tenants/default/agents/anna`.
fn kind_of(name: &str) -> &str {
    name.rsplit('/').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn a_wrong_field_is_named_with_what_would_be_right() {
        let status = Status::from(Refusal::name("name", names::agent("Anna").unwrap_err()));
        assert_eq!(status.code(), Code::InvalidArgument);
        let expected = "\"Anna\" is not an agent's name, like \"tenants/default/agents/anna\"";
        assert_eq!(status.message(), format!("name: {expected}"));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!((violations[0].field.as_str(), violations[0].description.as_str()), ("name", expected));
    }

    #[test]
    fn a_missing_object_comes_with_near_names() {
        let name = "tenants/default/agents/ana".to_owned();
        let nearest = vec!["tenants/default/agents/anna".to_owned()];
        let status = Status::from(Refusal::NotFound { name: name.clone(), nearest });
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), format!("{name} not found; did you mean tenants/default/agents/anna?"));
        let info = status.get_details_resource_info().unwrap();
        assert_eq!((info.resource_type.as_str(), info.resource_name), ("agents", name));
    }

    #[test]
    fn a_refused_command_names_the_object_and_its_state() {
        let name = "tenants/default/agents/anna".to_owned();
        let status = Status::from(Refusal::State { name: name.clone(), problem: "anna is not in wrap-up".into() });
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "anna is not in wrap-up"));
        assert_eq!(status.get_details_precondition_failure().unwrap().violations[0].subject, name);
    }
}
