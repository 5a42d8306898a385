//! What the control half of the members shares: time, randomness, what was used up, the way out.

use std::sync::Arc;

use keysherd_base::{AccessId, ClockHandle, Fault, RngHandle, Timestamp};
use keysherd_crypto::jwt::{self, Expected, JwtClaims, JwtKeys, JwtRefused};
use keysherd_crypto::pki::ClientCrl;

use crate::challenge::Challenges;
use crate::fetched::Fetched;
use crate::issuer::{self, IssuerDocument};
use crate::replay::{Replays, UsedOnce, mark_of, replayed};
use crate::saml::metadata::{self, Provider};
use crate::tokens::refused;
use crate::web::Web;

/// What checks of evidence may use. One for the whole control plane.
pub struct World {
    clock: ClockHandle,
    rng: RngHandle,
    replays: Replays,
    /// Where several control planes remember; `None`: this one is alone.
    shared: Option<Box<dyn UsedOnce>>,
    challenges: Challenges,
    /// What was made before this time is refused: whether it was used is not known.
    started: Timestamp,
    web: Web,
    key_sets: Fetched<JwtKeys>,
    issuers: Fetched<IssuerDocument>,
    saml_providers: Fetched<Provider>,
    revocations: Fetched<ClientCrl>,
}

impl World {
    /// A world with nothing remembered.
    pub fn new(clock: ClockHandle, rng: RngHandle, web: Web) -> Self {
        Self {
            started: clock.now(),
            replays: Replays::default(),
            shared: None,
            challenges: Challenges::default(),
            key_sets: Fetched::new(web.clone(), clock.clone(), read_keys),
            issuers: Fetched::new(web.clone(), clock.clone(), issuer::read),
            saml_providers: Fetched::new(web.clone(), clock.clone(), read_provider),
            revocations: Fetched::new(web.clone(), clock.clone(), read_revocations),
            clock,
            rng,
            web,
        }
    }

    /// The same, remembering what counts once where other control planes do, too.
    pub fn sharing(self, shared: Box<dyn UsedOnce>) -> Self {
        Self { shared: Some(shared), ..self }
    }

    /// Time.
    pub fn clock(&self) -> &ClockHandle {
        &self.clock
    }

    /// Randomness.
    pub fn rng(&self) -> &RngHandle {
        &self.rng
    }

    /// Uses `what` up, which was made at `made` and is refused by its time after `until`. To be
    /// called only when everything else about it is good.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when it was used before; [`Fault::unavailable`] when that is not
    /// known, since it was made before this process started, or when too much is remembered.
    pub fn use_up(&self, what: &[u8], made: Timestamp, until: Timestamp) -> Result<(), Fault> {
        if let Some(shared) = &self.shared {
            return if shared.take(mark_of(what), until)? { Ok(()) } else { Err(replayed()) };
        }
        if made < self.started {
            return Err(Fault::unavailable(
                "the proof was made before the server started; make a fresh one",
            ));
        }
        self.replays.take(what, self.clock.now(), until)
    }

    /// A challenge for whoever wants to come in at `access_id` with the thing whose hash is
    /// `subject`; good for a minute and one use.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn challenge(&self, access_id: &AccessId, subject: &[u8; 32]) -> Result<Vec<u8>, Fault> {
        self.challenges.make(access_id, subject, self.clock.now(), &*self.rng)
    }

    /// Uses a challenge up. To be called only when the answer to it is good.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when it is not of this method, subject and minute, or was used.
    pub fn answered(
        &self,
        challenge: &[u8],
        access_id: &AccessId,
        subject: &[u8; 32],
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let until = self.challenges.good_until(challenge, access_id, subject, now);
        let until = until.ok_or_else(|| {
            Fault::unauthorized("the challenge is over or for another; ask for a new one")
        })?;
        // No challenge of an earlier process is good, so there is no need to look at its time.
        self.replays.take(&[b"challenge", challenge].concat(), now, until)
    }

    /// The way out.
    pub fn web(&self) -> &Web {
        &self.web
    }

    /// What a SAML identity provider says about itself at `url`.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when it does not answer, or with something else.
    pub(crate) async fn saml_provider(&self, url: &str) -> Result<Arc<Provider>, Fault> {
        self.saml_providers.get(url, None).await
    }

    /// What an issuer says about itself.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when it does not answer, or with something else.
    pub async fn issuer(&self, issuer: &str) -> Result<Arc<IssuerDocument>, Fault> {
        self.issuers.get(&issuer::document_url(issuer), None).await
    }

    /// What an authority says at `url` that it revoked. It is not verified yet.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when nothing is there that can be read.
    pub async fn revocations(&self, url: &str) -> Result<Arc<ClientCrl>, Fault> {
        self.revocations.get(url, None).await
    }

    /// Verifies a token with the keys at `keys_uri`. When none of them can have signed it, they
    /// are fetched again, unless that was done a moment ago: issuers change their keys.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] with the reason in the private half; [`Fault::unavailable`] when
    /// there are no keys.
    pub async fn verify_jwt(
        &self,
        token: &str,
        keys_uri: &str,
        expected: &Expected<'_>,
    ) -> Result<JwtClaims, Fault> {
        // What is no token makes nobody ask the issuer.
        jwt::glance(token).map_err(refused)?;
        let keys = self.key_sets.get(keys_uri, None).await?;
        match jwt::verify(token, &keys, expected) {
            Err(JwtRefused::UnknownKey) => {
                let newer = self.key_sets.get(keys_uri, Some(&keys)).await?;
                if Arc::ptr_eq(&keys, &newer) {
                    return Err(refused(JwtRefused::UnknownKey));
                }
                jwt::verify(token, &newer, expected).map_err(refused)
            }
            outcome => outcome.map_err(refused),
        }
    }
}

fn read_provider(_: &str, bytes: &[u8]) -> Result<Provider, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    metadata::read(text).map_err(|fault| fault.public().to_owned())
}

fn read_keys(_: &str, bytes: &[u8]) -> Result<JwtKeys, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    JwtKeys::from_key_set(text).map_err(|_| "it has no signing key that can be used".to_owned())
}

fn read_revocations(_: &str, bytes: &[u8]) -> Result<ClientCrl, String> {
    ClientCrl::read(bytes).map_err(|refused| refused.to_string())
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
