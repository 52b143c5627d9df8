//! The service of queues.

use carillon_acd::ids::QueueId;
use carillon_actors::Center;
use carillon_rpc::v1::queue_service_server::QueueService;
use carillon_rpc::{Refusal, names, v1};
use tonic::{Request, Response, Status};

use crate::page::PageRequest;
use crate::refusal;

/// The page size when none is asked for.
const PAGE: u32 = 500;

pub(crate) struct Queues {
    center: Center,
}

impl Queues {
    pub(crate) fn new(center: Center) -> Self {
        Queues { center }
    }
}

#[tonic::async_trait]
impl QueueService for Queues {
    async fn list_queues(
        &self,
        request: Request<v1::ListQueuesRequest>,
    ) -> Result<Response<v1::ListQueuesResponse>, Status> {
        let request = request.into_inner();
        let parent = names::parent(&request.parent).map_err(|error| Refusal::name("parent", error))?;
        let page = PageRequest::read(request.page_size, PAGE, &request.page_token, names::queue)?;
        let mut queues = self.center.queues().await;
        queues.retain(|view| parent.holds(&view.queue.tenant));
        let (queues, next_page_token) = page.cut(queues, |view| &view.queue, QueueId::to_string);
        let queues = queues.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListQueuesResponse { queues, next_page_token }))
    }

    async fn get_queue(&self, request: Request<v1::GetQueueRequest>) -> Result<Response<v1::GetQueueResponse>, Status> {
        let queue = names::queue(&request.get_ref().name).map_err(|error| Refusal::name("name", error))?;
        let view = self.center.queue(&queue).await.map_err(|error| refusal::of(queue, error))?;
        Ok(Response::new(v1::GetQueueResponse { queue: Some(view.into()) }))
    }
}
