//! `carillon hang-up`: the end of a call.

use std::io::{self, Write};

use carillon_rpc::v1;
use carillon_rpc::v1::call_service_client::CallServiceClient;
use clap::Args;

use super::api::{self, Api, said};

/// Which call.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon get calls
  carillon hang-up 1-6a0f3c21-42")]
pub(crate) struct HangUpArgs {
    /// The call's id, as `carillon get calls` shows it.
    call: String,

    #[command(flatten)]
    api: Api,
}

pub(super) async fn run(args: HangUpArgs) -> anyhow::Result<()> {
    let mut client = CallServiceClient::new(args.api.connect().await?);
    let name = api::call_name(&args.call);
    client.hang_up_call(v1::HangUpCallRequest { name }).await.map_err(said)?;
    writeln!(io::stdout(), "{}: hung up", args.call)?;
    Ok(())
}
