//! One RSA key that some targets sign with, and methods trust: made for this alone, and worth
//! nothing anywhere else.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use keysherd_authn::{Attempt, Entrant, Identity, Web, World};
use keysherd_base::{AccessId, Fault, ManualClock, Secret, Timestamp};
use keysherd_crypto::jwt::{JwtClaims, JwtSigner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::randomness::Sequence;

/// The public half.
pub(crate) const PUBLIC_PEM: &str = include_str!("../fixtures/asserting-public.pem");
const PRIVATE_PEM: &str = include_str!("../fixtures/asserting.pem");
/// Its modulus in base64url.
const MODULUS: &str = "\
    2ZWRfHFa5MkBHOTR-SkzzJRqjVSlOAJ6wlQZLACUAG3xkyEFYjeUl_LjSmJ-Wco3mE1DEUMduPPzynUFElELLnbL\
    zJnZY4k6GwfvOT08dZ9cgBcouqeLMimAmoLJ4HszX01-VQKsIj07u3sDDVQKCHl2zUTq9YwAPCQi72n1UiCBkyOS\
    rMx3bELij8RDXxrJ56DqxMeHYtXEsvTwNBkWtRdxf0HkVkPBjY5tiRpdfROzKFUOod0CeOkofQHc29qFJGxcKOZu\
    R_4pQ36dIQvz2iiwgNbpbDpS698KJe99gavGpxiiUYfjNCdDujnpysdX3eRCXiM9nraMZxMI8keZzQ";
/// The method that everybody tries to come in at.
pub(crate) const ACCESS_ID: &str = "p-aaaaaaaaaaaaaa";

static SIGNER: LazyLock<JwtSigner> = LazyLock::new(|| {
    let pem = Secret::new(PRIVATE_PEM.to_owned());
    JwtSigner::from_rsa_pem(&pem).expect("invariant: the key is one")
});

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.expect("invariant: a runtime without threads can be made")
});

/// The token that says `claims`.
pub(crate) fn sign(claims: &JwtClaims) -> String {
    SIGNER.sign(claims).expect("invariant: the key signs")
}

/// The public half as an issuer publishes it.
pub(crate) fn key_set() -> Value {
    json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "n": MODULUS, "e": "AQAB"}]})
}

/// A control plane that has seen nothing yet.
pub(crate) fn world(web: Web, now: Timestamp) -> World {
    World::new(Arc::new(ManualClock::new(now)), Arc::new(Sequence::new(3)), web)
}

/// One login.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    /// The kind of method.
    pub(crate) kind: &'static str,
    /// The method's settings, which pass their check.
    pub(crate) settings: &'a str,
    /// The method's access id.
    pub(crate) access_id: &'a str,
    /// Whom the guard let be tried.
    pub(crate) admitted: Option<Entrant<'a>>,
    /// What is presented.
    pub(crate) evidence: &'a str,
    /// The time.
    pub(crate) now: Timestamp,
}

impl Login<'_> {
    /// Who that is.
    pub(crate) fn verify(self, world: &World) -> Result<Identity, Fault> {
        let member = keysherd_authn::by_kind(self.kind).expect("invariant: the kinds exist");
        let access_id = AccessId::parse(self.access_id).expect("invariant: an access id");
        let attempt = Attempt {
            settings: self.settings,
            evidence: self.evidence,
            access_id: &access_id,
            admitted: self.admitted,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            delimiters: &[],
            now: self.now,
        };
        RUNTIME.block_on(member.verify(attempt, world))
    }
}
