//! What a gateway asserts about a bearer whom it alone can check: a signed statement for one auth
//! method, good once and for a minute.
//!
//! The password or token that was checked stays at the gateway. What control believes is the
//! signature of the method's own key, whose private half only the gateways of that method have;
//! the word of any other gateway is worth nothing.
//!
//! ```text
//! JWT, RS256: iss "keysherd-gateway", aud "keysherd:" kind ":" access id, iat, exp, jti,
//! made (milliseconds since 1970), unique_id, claims {name: [values]}; where the bearer's own
//! proof says more: ends (of the identity), proof {mark, made, until} (which counts once)
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keysherd_base::limits::{CLAIM_NAME_BYTES_MAX, CLAIM_VALUE_BYTES_MAX};
use keysherd_base::{AccessId, Fault, SecretString, Timestamp};
use keysherd_crypto::jwt::{self, Expected, JwtKeys, JwtSigner};
use keysherd_domain::claims::SubClaims;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Attempt, CLAIMS_MAX, Desk, Identity, Kind, VALUES_MAX, World};

#[cfg(test)]
mod tests;

/// Who signs, in `iss`.
const ISSUER: &str = "keysherd-gateway";
/// How long an assertion is good: it is used as soon as it is made.
const LIFETIME_SECONDS: i64 = 60;
/// How far a gateway's clock may be from control's.
const SKEW_SECONDS: i64 = 60;
/// Longest time for which a bearer's own proof is remembered: twice the skew of Kerberos, and as
/// much again.
const PROOF_SECONDS_MAX: i64 = 1_200;
/// Longest `jti` and unique id, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
    made: Timestamp,
    unique_id: String,
    claims: BTreeMap<String, Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
}

/// What the bearer showed, where that counts once: control remembers it for all gateways.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proof {
    /// Stands for it; the same wherever it is shown.
    pub(crate) mark: String,
    /// When the bearer made it.
    pub(crate) made: Timestamp,
    /// After this its time alone refuses it.
    pub(crate) until: Timestamp,
}

fn audience(kind: &Kind, access_id: &AccessId) -> String {
    format!("keysherd:{}:{}", kind.name, access_id.as_str())
}

/// Asserts that `identity` was found to be the bearer, for the method `access_id` alone, and for
/// `seconds` where that is shorter than the minute that is the most.
///
/// # Errors
/// [`Fault::internal`] when `key` cannot sign or the random source fails.
pub(crate) fn sign(
    kind: &Kind,
    access_id: &AccessId,
    identity: Identity,
    key: &SecretString,
    seconds: u32,
    desk: &dyn Desk,
) -> Result<String, Fault> {
    sign_proof(kind, access_id, identity, None, key, seconds, desk)
}

/// The same for a bearer who showed a `proof` that counts once.
///
/// # Errors
/// As [`sign`].
pub(crate) fn sign_proof(
    kind: &Kind,
    access_id: &AccessId,
    identity: Identity,
    proof: Option<Proof>,
    key: &SecretString,
    seconds: u32,
    desk: &dyn Desk,
) -> Result<String, Fault> {
    let made = desk.clock().now();
    let jti: [u8; 16] = desk.rng().array()?;
    let body = Body {
        iss: ISSUER.to_owned(),
        aud: audience(kind, access_id),
        iat: made.seconds(),
        exp: made.seconds().saturating_add(i64::from(seconds).clamp(1, LIFETIME_SECONDS)),
        jti: URL_SAFE_NO_PAD.encode(jti),
        made,
        unique_id: identity.unique_id,
        claims: identity.claims.0,
        ends: identity.ends,
        proof,
    };
    let body = serde_json::to_value(&body).map_err(Fault::internal)?;
    let Value::Object(claims) = body else {
        return Err(Fault::internal("an assertion is no object"));
    };
    let signed = JwtSigner::from_rsa_pem(key).and_then(|signer| signer.sign(&claims));
    signed.map_err(|_| Fault::internal("the signing key of an auth configuration cannot sign"))
}

/// Whom the evidence of `attempt` asserts, signed with the private half of `public_pem`. It is
/// used up by this.
///
/// # Errors
/// [`Fault::unauthorized`] when it is not good for this method now; see also [`World::use_up`].
pub(crate) fn verify(
    kind: &Kind,
    public_pem: &str,
    attempt: &Attempt<'_>,
    world: &World,
) -> Result<Identity, Fault> {
    verify_any(kind, &[public_pem], attempt, world)
}

/// The same where several gateways have a key of their own.
///
/// # Errors
/// As [`verify`].
pub(crate) fn verify_any(
    kind: &Kind,
    public_pems: &[&str],
    attempt: &Attempt<'_>,
    world: &World,
) -> Result<Identity, Fault> {
    if attempt.admitted.is_none() {
        return Err(refused("the gateway did not ask whether this login may be tried"));
    }
    let body = signed_by_any(kind, public_pems, attempt)?;
    check(&body, attempt.now).map_err(refused)?;
    let until = Timestamp::from_seconds(body.exp).plus_seconds(SKEW_SECONDS);
    let mark = [attempt.access_id.as_str(), " ", &body.jti].concat();
    world.use_up(mark.as_bytes(), body.made, until)?;
    if let Some(proof) = &body.proof {
        // Not of one method: nor may another one accept it again.
        let mark = [kind.name, " ", &proof.mark].concat();
        // A gateway whose clock is behind accepts it longer, by as much as its assertions may be.
        let until = proof.until.plus_seconds(LIFETIME_SECONDS + SKEW_SECONDS);
        world.use_up(mark.as_bytes(), proof.made, until)?;
    }
    Ok(Identity { unique_id: body.unique_id, claims: SubClaims(body.claims), ends: body.ends })
}

fn signed_by_any(kind: &Kind, public_pems: &[&str], attempt: &Attempt<'_>) -> Result<Body, Fault> {
    let audience = audience(kind, attempt.access_id);
    let expected = Expected {
        issuers: &[ISSUER],
        audiences: &[&audience],
        now: attempt.now,
        skew_seconds: SKEW_SECONDS,
    };
    let mut why = String::from("the method has no key");
    for pem in public_pems {
        let keys = JwtKeys::from_public_pem(pem)
            .map_err(|_| Fault::internal("an auth method's public key cannot be read"))?;
        match jwt::verify(attempt.evidence, &keys, &expected) {
            Ok(claims) => {
                return serde_json::from_value(Value::Object(claims))
                    .map_err(|_| refused("the assertion is not of the form that gateways sign"));
            }
            Err(refused) => why = refused.to_string(),
        }
    }
    Err(refused(&format!("the assertion was refused: {why}")))
}

/// What a signature does not promise: bounds, and times that agree.
fn check(body: &Body, now: Timestamp) -> Result<(), &'static str> {
    let lifetime = body.exp.saturating_sub(body.iat);
    if !(1..=LIFETIME_SECONDS).contains(&lifetime) || body.made.seconds() != body.iat {
        return Err("the times of the assertion do not agree");
    }
    let bounded = |text: &str, most: usize| !text.is_empty() && text.len() <= most;
    if !bounded(&body.jti, TEXT_BYTES_MAX) || !bounded(&body.unique_id, TEXT_BYTES_MAX) {
        return Err("the assertion has no jti or unique id, or one that is too long");
    }
    if let Some(proof) = &body.proof {
        let last = now.plus_seconds(PROOF_SECONDS_MAX);
        if !bounded(&proof.mark, TEXT_BYTES_MAX) || proof.until > last {
            return Err("the assertion's proof has no mark, or is good for too long");
        }
    }
    let fits = |(name, values): (&String, &Vec<String>)| {
        bounded(name, CLAIM_NAME_BYTES_MAX)
            && values.len() <= VALUES_MAX
            && values.iter().all(|value| value.len() <= CLAIM_VALUE_BYTES_MAX)
    };
    if body.claims.len() > CLAIMS_MAX || !body.claims.iter().all(fits) {
        return Err("the assertion has too many claims, or too long ones");
    }
    Ok(())
}

/// A refusal whose reason is for the log.
fn refused(why: &str) -> Fault {
    Fault::unauthorized("authentication failed").with_private(why)
}
