//! The gateway behind the HTTP edge: makes each request's context, sees to its audit record, and
//! knows whose a token is, for counting.

use std::sync::Arc;

use keysherd_api::{Ctx, Recorded, Services};
use keysherd_base::{Fault, FaultKind};
use keysherd_crypto::hash::sha256;
use keysherd_http::{Host, IDENTITY_BYTES, RequestInfo};
use keysherd_plane::auth::OwnMethod;
use keysherd_plane::{BoxFuture, Caller, Client, MethodBytes, Note, claimed_method};
use quick_cache::sync::Cache;

/// Tokens that do not name their method, of which it is remembered at most.
const TOKENS_MAX: usize = 20_000;

/// Serves commands with these services.
pub struct GatewayHost {
    services: Arc<Services>,
    /// The methods of universal-identity tokens, by their hashes: those name nothing themselves.
    methods: Cache<[u8; 32], MethodBytes>,
}

impl GatewayHost {
    /// A host for `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services, methods: Cache::new(TOKENS_MAX) }
    }
}

impl Host for GatewayHost {
    type Call = Ctx;

    fn identity_of(&self, token: &str) -> Option<[u8; IDENTITY_BYTES]> {
        claimed_method(token).or_else(|| self.methods.get(&sha256(&[token.as_bytes()])))
    }

    fn identify<'a>(
        &'a self,
        call: &'a Ctx,
    ) -> BoxFuture<'a, Result<Option<[u8; IDENTITY_BYTES]>, Fault>> {
        Box::pin(async move {
            let Some(token) = &call.caller().token else { return Ok(None) };
            match call.ask(OwnMethod).await {
                Ok(reply) => {
                    self.methods.insert(sha256(&[token.as_bytes()]), reply.counted_as);
                    Ok(Some(reply.counted_as))
                }
                // What can be done without control goes on.
                Err(fault) if fault.kind() == FaultKind::Unavailable => Ok(None),
                Err(fault) => Err(fault),
            }
        })
    }

    fn accepted(&self, call: &Ctx) -> bool {
        call.accepted()
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
