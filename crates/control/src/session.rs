//! From a bearer token to its bearer: what a token proves now, not only when it was made.
//!
//! Nothing is stored per login. A token's body (see [`token`]) is authenticated by the token key;
//! everything that can change afterwards is looked up at each request: the auth method and its
//! generation, its end, the networks and client types that may use it, and revocations.
//!
//! A bounded cache keeps what was decoded, keyed by the token's hash, so that no bearer token stays
//! in memory. It holds rule sets weakly: those belong to the directory, which drops them all when
//! the account changes.

pub(crate) mod revoked;
pub(crate) mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use keysherd_base::limits::TOKEN_BYTES_MAX;
use keysherd_base::{AccessId, AccountId, Fault, SecretString, Timestamp, Uid, UidTokenId};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::token::TokenKey;
use keysherd_domain::account::Account;
use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_plane::Caller;
use quick_cache::sync::Cache;

use crate::admission::admits;
use crate::directory::{AccountDirectory, Directory};
use revoked::Revoked;
use token::{TOKEN_PREFIX, TokenBody, TooManyClaims};

/// Tokens whose decoding is kept; each takes about a kilobyte.
const VERIFIED_MAX: usize = 50_000;

/// The bearer of a good token, as of one request.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// The account with its settings, as of the request.
    pub settings: Arc<Account>,
    /// The auth method.
    pub method: Arc<AuthMethod>,
    /// Who the bearer is within the method.
    pub unique_id: Arc<str>,
    /// Every claim on the token.
    pub claims: Arc<SubClaims>,
    /// The claims the method lets into audit records.
    pub audited_claims: Arc<BTreeMap<String, Vec<String>>>,
    /// The rules that bind the bearer.
    pub rules: Arc<RuleSet>,
    /// When the login was.
    pub token_issued: Timestamp,
    /// When the token ends.
    pub token_expires: Timestamp,
    /// What a revocation of the token names.
    pub token_id: Uid,
    /// SHA-256 of the token's text, for permits.
    pub token_sha256: [u8; 32],
    /// Whether this is the account's owner, who may do everything.
    pub owner: bool,
    /// What the bearer was looked up in.
    pub(crate) directory: Arc<AccountDirectory>,
    /// The universal-identity token that this is, or that it was exchanged for.
    pub uid: Option<UidOrigin>,
}

/// A universal-identity token behind a bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UidOrigin {
    /// Its number in the store.
    pub id: i64,
    /// Its public id.
    pub token_id: UidTokenId,
    /// Its life between two rotations, in minutes.
    pub ttl_minutes: u32,
    /// When it was rotated last, or made.
    pub last_rotate: Timestamp,
}

impl Principal {
    /// The auth method's public name.
    pub fn access_id(&self) -> &AccessId {
        &self.method.access_id
    }
}

/// Why a token is not accepted, and whose it was if that can be told.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// The account and, if it still exists, the method: `None` when the token proves nothing.
    pub(crate) bearer: Option<(AccountId, Option<Arc<AuthMethod>>)>,
    /// When a genuine token ends.
    pub(crate) expires: Option<Timestamp>,
    /// What the caller is told.
    pub(crate) fault: Fault,
}

/// What is known of a token until its account changes.
struct Verified {
    body: Arc<TokenBody>,
    /// The version of the account's directory that the rest was worked out from.
    directory: u64,
    unique_id: Arc<str>,
    claims: Arc<SubClaims>,
    audited_claims: Arc<BTreeMap<String, Vec<String>>>,
    rules: Weak<RuleSet>,
}

/// Makes and checks bearer tokens.
pub(crate) struct Sessions {
    key: TokenKey,
    verified: Cache<[u8; 32], Arc<Verified>>,
    pub(crate) revoked: Revoked,
}

impl Sessions {
    /// Sessions under `key`, with the revocations that are in force.
    pub(crate) fn new(key: TokenKey, revoked: Revoked) -> Self {
        Self { key, verified: Cache::new(VERIFIED_MAX), revoked }
    }

    /// The key that seals tokens.
    pub(crate) const fn key(&self) -> &TokenKey {
        &self.key
    }

    /// The token that says `body`.
    ///
    /// # Errors
    /// [`TooManyClaims`].
    pub(crate) fn seal(&self, body: &TokenBody) -> Result<SecretString, TooManyClaims> {
        Ok(self.key.seal(TOKEN_PREFIX, &body.to_bytes()?))
    }

    /// A text only this control plane can make and read back, such as a page token. It is no
    /// secret: `body` must hold nothing its bearer may not see.
    pub(crate) fn seal_text(&self, prefix: &'static str, body: &[u8]) -> String {
        self.key.seal(prefix, body).expose().to_owned()
    }

    /// The body of [`Self::seal_text`].
    pub(crate) fn open_text(&self, prefix: &'static str, text: &str) -> Option<Vec<u8>> {
        self.key.open(prefix, text)
    }

    /// The bearer of the caller's token, if it is good at `now` for this client.
    ///
    /// # Errors
    /// [`Rejection`] otherwise. A store that cannot be read is a rejection too, with its own fault.
    pub(crate) async fn verify(
        &self,
        directory: &Arc<Directory>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Principal, Box<Rejection>> {
        let Some(token) = caller.token.as_deref() else {
            return Err(unknown("this command needs a token; log in with 'auth' and send it"));
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(unknown("the token is too long to be one; log in again with 'auth'"));
        }
        let hash = sha256(&[token.as_bytes()]);
        let known = self.verified.get(&hash);
        let body = match &known {
            Some(known) => Arc::clone(&known.body),
            None => Arc::new(self.open(token)?),
        };
        let account = directory
            .ready(body.account)
            .await
            .map_err(|fault| rejected(&body, None, fault))?
            .ok_or_else(|| unknown("the token's account does not exist; log in again"))?;
        let method = account.method_by_id(body.method);
        let Some(method) = method.filter(|method| method.generation == body.generation) else {
            let text = "the token's auth method was deleted or its credential was replaced; log in \
                        again with a credential that is in force";
            return Err(rejected(&body, None, Fault::unauthorized(text)));
        };
        self.usable(&body, now)
            .and_then(|()| admits(&account.account, method, &caller.client, now))
            .map_err(|fault| rejected(&body, Some(method), fault))?;
        let known = known.filter(|known| known.directory == account.version);
        let known = known.and_then(|known| known.rules.upgrade().map(|rules| (known, rules)));
        let (verified, rules) = match known {
            Some(known) => known,
            None => {
                let worked_out = work_out(&account, method, Arc::clone(&body)).await;
                let (verified, rules) =
                    worked_out.map_err(|fault| rejected(&body, Some(method), fault))?;
                self.verified.insert(hash, Arc::clone(&verified));
                (verified, rules)
            }
        };
        Ok(assemble(&account, method, hash, verified, rules))
    }

    fn open(&self, token: &str) -> Result<TokenBody, Box<Rejection>> {
        let body = self.key.open(TOKEN_PREFIX, token);
        body.and_then(|body| TokenBody::from_bytes(&body))
            .ok_or_else(|| unknown("the token is not valid here; log in again with 'auth'"))
    }

    fn usable(&self, body: &TokenBody, now: Timestamp) -> Result<(), Fault> {
        if now >= body.expires {
            let text = format!("the token expired at {}; log in again with 'auth'", body.expires);
            return Err(Fault::unauthorized(text));
        }
        if self.revoked.contains(body.id) {
            let text = "the token was revoked; log in again with 'auth'";
            return Err(Fault::unauthorized(text));
        }
        Ok(())
    }

    /// The bearer of a token that says `body` and was checked elsewhere. Nothing is kept.
    ///
    /// # Errors
    /// Those of [`AccountDirectory::ready_rules`].
    pub(crate) async fn principal_of(
        account: &Arc<AccountDirectory>,
        method: &Arc<AuthMethod>,
        hash: [u8; 32],
        body: TokenBody,
    ) -> Result<Principal, Fault> {
        let (verified, rules) = work_out(account, method, Arc::new(body)).await?;
        Ok(assemble(account, method, hash, verified, rules))
    }
}

fn assemble(
    account: &Arc<AccountDirectory>,
    method: &Arc<AuthMethod>,
    hash: [u8; 32],
    verified: Arc<Verified>,
    rules: Arc<RuleSet>,
) -> Principal {
    Principal {
        account: verified.body.account,
        settings: Arc::clone(&account.account),
        method: Arc::clone(method),
        unique_id: Arc::clone(&verified.unique_id),
        claims: Arc::clone(&verified.claims),
        audited_claims: Arc::clone(&verified.audited_claims),
        rules,
        token_issued: verified.body.issued,
        token_expires: verified.body.expires,
        token_id: verified.body.id,
        token_sha256: hash,
        owner: account.is_owner(method),
        directory: Arc::clone(account),
        uid: None,
    }
}

async fn work_out(
    account: &Arc<AccountDirectory>,
    method: &AuthMethod,
    body: Arc<TokenBody>,
) -> Result<(Arc<Verified>, Arc<RuleSet>), Fault> {
    let claims = Arc::new(body.all_claims());
    let rules = account.ready_rules(method.id, &claims).await?;
    let verified = Verified {
        directory: account.version,
        unique_id: body.unique_id.as_str().into(),
        audited_claims: Arc::new(audited(method, &claims)),
        rules: Arc::downgrade(&rules),
        claims,
        body,
    };
    Ok((Arc::new(verified), rules))
}

fn audited(method: &AuthMethod, claims: &SubClaims) -> BTreeMap<String, Vec<String>> {
    let wanted = |name: &String| claims.0.get(name).map(|values| (name.clone(), values.clone()));
    method.shared.audit_claims.iter().filter_map(wanted).collect()
}

/// The refusal of a token that proves nothing.
pub(crate) fn unknown(text: &'static str) -> Box<Rejection> {
    Box::new(Rejection { bearer: None, expires: None, fault: Fault::unauthorized(text) })
}

fn rejected(body: &TokenBody, method: Option<&Arc<AuthMethod>>, fault: Fault) -> Box<Rejection> {
    let bearer = Some((body.account, method.map(Arc::clone)));
    Box::new(Rejection { bearer, expires: Some(body.expires), fault })
}
