//! Whom the log is read as: a token, renewed when it ends or is refused.

use std::sync::Arc;

use keysherd_api::passwords::login_proof;
use keysherd_base::{AccessId, Fault, RequestId, SecretString, Timestamp, Uid};
use keysherd_crypto::access_key::AccessKey;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::auth::{Login, LoginSubject, PURPOSE_LOGIN};
use keysherd_plane::{BoxFuture, Caller, Client, PlaneHandle};
use keysherd_sinks::Way;
use tokio::sync::Mutex;

/// How long before its end a token is replaced, in seconds.
const EARLY_SECONDS: i64 = 60;

/// The token that a forwarder acts with, wherever it comes from.
pub(super) trait LogToken: Send + Sync {
    /// One that is good as far as is known.
    fn token(&self) -> BoxFuture<'_, Result<Arc<str>, Fault>>;

    /// It was refused: the next one is another.
    fn refused(&self) -> BoxFuture<'_, ()>;
}

/// An API key of the account, kept on this gateway.
pub(super) struct Reader {
    plane: PlaneHandle,
    way: Way,
    access_id: AccessId,
    key: SigningKey,
    token: Mutex<Option<(Arc<str>, Timestamp)>>,
}

impl Reader {
    /// A reader that has not signed in yet.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when the key is none.
    pub(super) fn new(
        plane: PlaneHandle,
        way: Way,
        access_id: AccessId,
        access_key: &SecretString,
    ) -> Result<Self, Fault> {
        let key = AccessKey::parse(access_key.expose()).ok_or_else(|| {
            Fault::bad_request("invalid value of 'reader-access-key': it is no access key")
        })?;
        Ok(Self { plane, way, access_id, key: key.signing_key(), token: Mutex::default() })
    }

    async fn sign_in(&self) -> Result<(Arc<str>, Timestamp), Fault> {
        let subject = LoginSubject::AccessId(self.access_id.clone());
        let now = (self.way.clock.now(), &*self.way.rng);
        let proof = login_proof(now, PURPOSE_LOGIN, &subject, &self.key)?;
        let login = Login { subject, proof, otp: None };
        let reply = self.plane.ask(caller(&self.way, None)?, login).await?;
        Ok((reply.token.into(), reply.expires))
    }
}

impl LogToken for Reader {
    fn token(&self) -> BoxFuture<'_, Result<Arc<str>, Fault>> {
        Box::pin(async move {
            let mut kept = self.token.lock().await;
            if let Some((token, ends)) = &*kept
                && self.way.clock.now().plus_seconds(EARLY_SECONDS) < *ends
            {
                return Ok(token.clone());
            }
            let (token, ends) = self.sign_in().await?;
            *kept = Some((token.clone(), ends));
            Ok(token)
        })
    }

    fn refused(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { *self.token.lock().await = None })
    }
}

/// A request of the forwarder itself.
pub(super) fn caller(way: &Way, token: Option<Arc<str>>) -> Result<Caller, Fault> {
    Ok(Caller {
        token,
        client: Client {
            kind: "gateway".into(),
            ..Caller::of_the_server(RequestId::default()).client
        },
        command: "log-forwarding".into(),
        request: Uid(way.rng.array()?),
        received: way.clock.now(),
    })
}
