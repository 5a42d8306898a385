//! An issuer on this machine and a world that asks it, for the tests of members that take tokens.

use std::sync::Arc;

use keysherd_base::{AccessId, Fault, FaultKind, ManualClock, Rng, RngFailed, Timestamp};
use serde_json::Value;

use crate::web::tests::Provider;
use crate::{Attempt, Identity, Method, Web, WebSettings, World};

#[path = "../../crypto/tests/tokens/mod.rs"]
#[expect(dead_code, reason = "forged tokens are a matter of the crate that verifies them")]
pub(crate) mod tokens;

use tokens::{TokenKey, key_set};

/// What a refused login gives.
pub(crate) const REFUSED: Result<String, FaultKind> = Err(FaultKind::Unauthorized);

/// Randomness that nobody may ask for.
pub(crate) struct NoRng;

impl Rng for NoRng {
    fn fill(&self, _: &mut [u8]) -> Result<(), RngFailed> {
        Err(RngFailed)
    }
}

/// An issuer with one key at `/keys`, which is Google's as well.
pub(crate) struct Scene {
    pub(crate) issuer: Provider,
    pub(crate) clock: Arc<ManualClock>,
    world: World,
    key: TokenKey,
}

impl Scene {
    /// When everything happens, in seconds.
    pub(crate) const NOW: i64 = 1_800_000_000;

    pub(crate) fn new(algorithm: &str) -> Self {
        let (issuer, key) = (Provider::new(), TokenKey::new(algorithm, "k"));
        issuer.answer("/keys", 200, &key_set(&[&key]));
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(Self::NOW)));
        let settings = WebSettings {
            loopback_http: true,
            google_keys_uri: Some(format!("{}/keys", issuer.url)),
            ..WebSettings::default()
        };
        let web = Web::new(&settings).unwrap();
        let world = World::new(clock.clone(), Arc::new(NoRng), web);
        Self { issuer, clock, world, key }
    }

    pub(crate) fn keys_uri(&self) -> String {
        format!("{}/keys", self.issuer.url)
    }

    pub(crate) fn publish(&self, keys: &[&TokenKey]) {
        self.issuer.answer("/keys", 200, &key_set(keys));
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.key.sign(claims)
    }

    /// Who the bearer of `token` is.
    pub(crate) async fn identity(
        &self,
        method: &dyn Method,
        settings: &str,
        token: &str,
    ) -> Result<Identity, Fault> {
        method.check(settings).unwrap();
        let attempt = Attempt {
            settings,
            evidence: token,
            access_id: &AccessId::parse("p-aaaaaaaaaaaaaa").unwrap(),
            admitted: None,
            client: "127.0.0.1".parse().unwrap(),
            delimiters: &[],
            now: self.world.clock().now(),
        };
        method.verify(attempt, &self.world).await
    }

    /// The unique id of the bearer, or why not.
    pub(crate) async fn login(
        &self,
        method: &dyn Method,
        settings: &str,
        token: &str,
    ) -> Result<String, FaultKind> {
        let outcome = self.identity(method, settings, token).await;
        outcome.map(|identity| identity.unique_id).map_err(|fault| fault.kind())
    }
}
