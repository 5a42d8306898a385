//! The gateway behind the HTTP edge: makes each request's context, and sees to its audit record.

use std::sync::Arc;

use keysherd_api::{Ctx, Recorded, Services};
use keysherd_base::Fault;
use keysherd_http::{Host, IDENTITY_BYTES, RequestInfo};
use keysherd_plane::{BoxFuture, Caller, Client, Note, claimed_method};

/// Serves commands with these services.
pub struct GatewayHost {
    services: Arc<Services>,
}

impl GatewayHost {
    /// A host for `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

impl Host for GatewayHost {
    type Call = Ctx;

    fn identity_of(&self, token: &str) -> Option<[u8; IDENTITY_BYTES]> {
        claimed_method(token)
    }

    fn open(&self, info: RequestInfo) -> Ctx {
        let client = Client { address: info.client_address, kind: info.client_kind };
        let caller = Caller {
            token: info.token,
            client,
            command: info.command.into(),
            request: info.request,
            received: info.received,
        };
        Ctx::new(self.services.clone(), caller)
    }

    fn finish<'a>(
        &'a self,
        call: &'a Ctx,
        outcome: Result<(), &'a Fault>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let note = match (outcome, call.recorded()) {
                (Ok(()), Recorded::Success) | (Err(_), Recorded::Failure) => return Ok(()),
                (Ok(()), _) => Note::success(),
                (Err(fault), _) => Note::failure(fault),
            };
            let note = Note { about: call.told(), ..note };
            call.ask(note).await.map(|_| ())
        })
    }
}
