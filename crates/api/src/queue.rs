//! The service of queues.

use carillon_acd::ids::QueueId;
use carillon_actors::{Center, Owned};
use carillon_rpc::v1::queue_service_client::QueueServiceClient;
use carillon_rpc::v1::queue_service_server::QueueService;
use carillon_rpc::{Refusal, names, v1};
use tonic::{Request, Response, Status};

use crate::elsewhere::{Elsewhere, ask_all, forwarded, marked, merged};
use crate::page::PageRequest;
use crate::pickup::Pickups;

/// The page size when none is asked for.
const PAGE: u32 = 500;

pub(crate) struct Queues {
    center: Center,
    elsewhere: Elsewhere,
}

impl Queues {
    pub(crate) fn new(center: Center, elsewhere: Elsewhere) -> Self {
        Queues { center, elsewhere }
    }
}

#[tonic::async_trait]
impl QueueService for Queues {
    async fn list_queues(
        &self,
        request: Request<v1::ListQueuesRequest>,
    ) -> Result<Response<v1::ListQueuesResponse>, Status> {
        let others = self.elsewhere.others(&request, |it| it.acd);
        let request = request.into_inner();
        let parent = names::parent(&request.parent).map_err(|error| Refusal::name("parent", error))?;
        let page = PageRequest::read(request.page_size, PAGE, &request.page_token, names::queue)?;
        let wanted = |queue: &QueueId| parent.holds(&queue.tenant) && page.may_hold(queue);
        let queues = self.center.queues_among(wanted, page.look_ahead()).await;
        let (queues, next_page_token) = page.cut(queues, |view| &view.queue, QueueId::to_string);
        let own = (queues.into_iter().map(v1::Queue::from).collect(), next_page_token);
        let pages = ask_all(others, |channel| {
            let request = forwarded(request.clone());
            async move {
                let page = QueueServiceClient::new(channel).list_queues(request).await?.into_inner();
                Ok((page.queues, page.next_page_token))
            }
        });
        let pages = pages.await;
        let name = |queue: &v1::Queue| queue.name.clone();
        let (queues, next_page_token) = merged(page.size, own, pages.of, |it| names::queue(&it.name).ok(), name);
        Ok(marked(v1::ListQueuesResponse { queues, next_page_token }, &pages.missing))
    }

    async fn get_queue(&self, request: Request<v1::GetQueueRequest>) -> Result<Response<v1::GetQueueResponse>, Status> {
        let queue = names::queue(&request.get_ref().name).map_err(|error| Refusal::name("name", error))?;
        if let Some(channel) = self.elsewhere.owner(&request, &Owned::Queue(queue.clone())) {
            return QueueServiceClient::new(channel).get_queue(forwarded(request.into_inner())).await;
        }
        let view = self.center.queue(&queue).await;
        let view = view.map_err(|error| self.elsewhere.refused(&Owned::Queue(queue), error))?;
        Ok(Response::new(v1::GetQueueResponse { queue: Some(view.into()) }))
    }

    async fn find_ringing_call(
        &self,
        request: Request<v1::FindRingingCallRequest>,
    ) -> Result<Response<v1::FindRingingCallResponse>, Status> {
        Pickups { center: &self.center, elsewhere: &self.elsewhere }.find(request).await
    }
}
