//! Keeping a lease alive. The library opens a stream and leaves the rest to its user. A stream that lives long has to be
//! watched for answers that do not come, and does not move when its endpoint dies; so each keep-alive gets a stream
//! of its own, bounded in time like any request and asked of the next endpoint when one fails. It costs etcd a fraction
//! of what the same node's news costs, and who asks knows when he asked: that is what his lease counts from.

use super::endpoints::Endpoints;
use crate::coordinator::{Error, LeaseId};

/// Asks once; the answer to the first message on the stream is the library's own condition for success.
pub(super) async fn keep_alive(endpoints: &Endpoints, lease: LeaseId) -> Result<(), Error> {
    endpoints.ask(|client| async move { client.lease_client().keep_alive(lease.0).await }).await.map(drop)
}
