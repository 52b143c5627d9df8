//! The way to the server, and the names that people type.

use std::time::Duration;

use anyhow::anyhow;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an answer may take; the server gives up earlier.
const ANSWER: Duration = Duration::from_secs(15);
/// How often a quiet connection is tried, and how long the trial may take: a stream notices that its server is gone.
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);
/// The largest answer. The server keeps pages below 4 MiB, but a single record may be larger.
pub(super) const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Where the server is and whose objects are meant.
#[derive(clap::Args, Debug)]
pub(super) struct Api {
    /// The server's API.
    #[arg(
        long = "api",
        value_name = "URL",
        env = "CARILLON_API",
        default_value = "http://127.0.0.1:7400",
        value_parser = endpoint,
        global = true
    )]
    endpoint: Endpoint,

    /// The tenant whose objects are meant; `-` lists those of all.
    #[arg(long, value_name = "TENANT", default_value = "default", global = true)]
    pub(super) tenant: String,
}

impl Api {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached; the text says where it was looked for and how to start it.
    pub(super) async fn connect(&self) -> anyhow::Result<Channel> {
        self.endpoint.connect().await.map_err(|error| {
            let cause = root_cause(&error);
            anyhow!(
                "cannot reach Carillon at {}: {cause}\n\
                 Start it with `carillon dev` or `carillon serve`, or say where it is with --api URL or CARILLON_API.",
                self.url()
            )
        })
    }

    /// The address, as it was understood.
    pub(super) fn url(&self) -> String {
        self.endpoint.uri().to_string()
    }

    /// `tenants/{tenant}`.
    pub(super) fn parent(&self) -> String {
        format!("tenants/{}", self.tenant)
    }

    /// `anna` of the collection `agents` as a resource name; one that is a resource name already is kept.
    pub(super) fn name(&self, collection: &str, typed: &str) -> String {
        if typed.contains('/') { typed.into() } else { format!("tenants/{}/{collection}/{typed}", self.tenant) }
    }

    /// What people call the object: without what the tenant and the collection say already.
    pub(super) fn short<'a>(&self, name: &'a str) -> &'a str {
        let own = name.strip_prefix("tenants/").and_then(|rest| rest.strip_prefix(&self.tenant));
        own.and_then(|rest| rest.strip_prefix('/')).and_then(|rest| rest.split('/').nth(1)).unwrap_or(name)
    }
}

/// `1-6a0f3c21-42` as the resource name of a call.
pub(super) fn call_name(typed: &str) -> String {
    if typed.starts_with("calls/") { typed.into() } else { format!("calls/{typed}") }
}

/// What the server said, as an error for the person at the terminal.
pub(super) fn said(status: Status) -> anyhow::Error {
    match (status.code(), status.message()) {
        (Code::Unimplemented, _) => anyhow!("the server does not know this request: it is another version of Carillon"),
        (Code::Unavailable, "") => anyhow!("the connection to the server was lost"),
        (code, "") => anyhow!("the server refused: {code}"),
        (Code::Unknown, message) => anyhow!("the connection to the server was lost: {message}"),
        (_, message) => anyhow!("{message}"),
    }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let url = if text.contains("://") { text.into() } else { format!("http://{text}") };
    let wrong = || format!("{text:?} is not an address of the API, like \"http://127.0.0.1:7400\"");
    let endpoint = Endpoint::from_shared(url).map_err(|_| wrong())?;
    if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().port().is_none() {
        return Err(wrong());
    }
    Ok(endpoint
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(true))
}

fn root_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

#[cfg(test)]
pub(super) fn of_tenant(tenant: &str) -> Api {
    Api { endpoint: endpoint("127.0.0.1:7400").unwrap(), tenant: tenant.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_scheme_but_a_port() {
        assert_eq!(endpoint("localhost:7400").unwrap().uri(), "http://localhost:7400/");
        assert_eq!(endpoint("http://[::1]:7400").unwrap().uri(), "http://[::1]:7400/");
        for wrong in ["", "localhost", "https://localhost:7400", "http://", "a b:1"] {
            assert!(endpoint(wrong).unwrap_err().contains("http://127.0.0.1:7400"), "{wrong}");
        }
    }

    #[test]
    fn ob_1_a_short_name_belongs_to_the_tenant() {
        let api = of_tenant("default");
        assert_eq!(api.name("agents", "anna"), "tenants/default/agents/anna");
        assert_eq!(api.name("agents", "tenants/other/agents/anna"), "tenants/other/agents/anna");
        assert_eq!(api.short("tenants/default/agents/anna"), "anna");
        assert_eq!(api.short("tenants/default2/agents/anna"), "tenants/default2/agents/anna");
        assert_eq!(api.short(""), "");
    }

    #[test]
    fn calls_are_known_by_their_id() {
        assert_eq!(call_name("1-6a0f3c21-42"), "calls/1-6a0f3c21-42");
        assert_eq!(call_name("calls/1-6a0f3c21-42"), "calls/1-6a0f3c21-42");
    }

    #[tokio::test]
    async fn an_absent_server_is_named_with_the_way_to_start_it() {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = endpoint(&format!("127.0.0.1:{port}")).unwrap();
        let error = Api { endpoint, tenant: "default".into() }.connect().await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot reach Carillon at http://127.0.0.1:{port}/: ")), "{error}");
        assert!(error.contains("carillon serve"), "{error}");
    }
}
