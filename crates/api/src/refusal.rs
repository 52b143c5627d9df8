//! What the center refuses, in the words of the API.

use carillon_actors::CenterError;
use carillon_rpc::Refusal;

/// `name` is the resource name of the object that was asked for.
pub(crate) fn of(name: impl ToString, error: CenterError) -> Refusal {
    match error {
        CenterError::NotFound { what, nearest } => Refusal::NotFound { name: what, nearest },
        CenterError::Refused(problem) => Refusal::State { name: name.to_string(), problem },
        CenterError::Timeout(what) => Refusal::Timeout(what),
    }
}
