//! One GET, as a load balancer's check or a scrape makes it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status and the body. The server closes the connection after its answer, which must not be chunked.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let what = || format!("GET {path} of {address}");
    tokio::time::timeout(PATIENCE, exchange(address, path)).await.with_context(what)?.with_context(what)
}

async fn exchange(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}
