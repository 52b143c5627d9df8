//! The service of calls that are not over.

use carillon_acd::ids::CallId;
use carillon_actors::{Center, CenterError};
use carillon_rpc::v1::call_service_client::CallServiceClient;
use carillon_rpc::v1::call_service_server::CallService;
use carillon_rpc::{Refusal, names, v1};
use tonic::{Request, Response, Status};

use crate::elsewhere::{Elsewhere, ask_all, forwarded, marked, merged};
use crate::page::PageRequest;
use crate::refusal;

/// The page size when none is asked for.
const PAGE: u32 = 500;

pub(crate) struct Calls {
    center: Center,
    elsewhere: Elsewhere,
}

impl Calls {
    pub(crate) fn new(center: Center, elsewhere: Elsewhere) -> Self {
        Calls { center, elsewhere }
    }
}

#[tonic::async_trait]
impl CallService for Calls {
    async fn list_calls(
        &self,
        request: Request<v1::ListCallsRequest>,
    ) -> Result<Response<v1::ListCallsResponse>, Status> {
        let others = self.elsewhere.others(&request, |it| it.edge);
        let request = request.into_inner();
        let page = PageRequest::read(request.page_size, PAGE, &request.page_token, names::call)?;
        let calls = self.center.calls().await;
        let (calls, next_page_token) = page.cut(calls, |view| &view.call, |call| names::of_call(*call));
        let own = (calls.into_iter().map(v1::Call::from).collect(), next_page_token);
        let pages = ask_all(others, |channel| {
            let request = forwarded(request.clone());
            async move {
                let page = CallServiceClient::new(channel).list_calls(request).await?.into_inner();
                Ok((page.calls, page.next_page_token))
            }
        });
        let pages = pages.await;
        let name = |call: &v1::Call| call.name.clone();
        let (calls, next_page_token) = merged(page.size, own, pages.of, |it| names::call(&it.name).ok(), name);
        Ok(marked(v1::ListCallsResponse { calls, next_page_token }, &pages.missing))
    }

    async fn get_call(&self, request: Request<v1::GetCallRequest>) -> Result<Response<v1::GetCallResponse>, Status> {
        let call = named(&request.get_ref().name)?;
        if let Some(channel) = self.elsewhere.of_call(&request, call) {
            return CallServiceClient::new(channel).get_call(forwarded(request.into_inner())).await;
        }
        let view = self.center.call(call).await.map_err(|error| refused(call, error))?;
        Ok(Response::new(v1::GetCallResponse { call: Some(view.into()) }))
    }

    async fn hang_up_call(
        &self,
        request: Request<v1::HangUpCallRequest>,
    ) -> Result<Response<v1::HangUpCallResponse>, Status> {
        let call = named(&request.get_ref().name)?;
        if let Some(channel) = self.elsewhere.of_call(&request, call) {
            return CallServiceClient::new(channel).hang_up_call(forwarded(request.into_inner())).await;
        }
        tracing::info!(call_id = %call, "hang up by request");
        self.center.hang_up(call).await.map_err(|error| refused(call, error))?;
        Ok(Response::new(v1::HangUpCallResponse {}))
    }
}

pub(crate) fn named(name: &str) -> Result<CallId, Refusal> {
    names::call(name).map_err(|error| Refusal::name("name", error))
}

/// The center knows a call by its id alone, the API by its name. Ids that look alike belong to other calls: none is
/// suggested.
pub(crate) fn refused(call: CallId, error: CenterError) -> Refusal {
    match refusal::of(names::of_call(call), error) {
        Refusal::NotFound { .. } => Refusal::NotFound { name: names::of_call(call), nearest: Vec::new() },
        other => other,
    }
}
