//! Asking a cluster's API server whose token it is: TokenReview, `authentication.k8s.io/v1`.

use std::collections::BTreeMap;

use keysherd_base::{Fault, Secret, SecretString, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::config::{Api, K8sConfig};
use super::pod::OwnAccount;
use super::token::{AUDIENCES_MAX, Claims};
use crate::outward::{Outward, answer};

/// What the names of service accounts begin with.
const ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// Longest name or id that is taken over, in bytes; Kubernetes has 253.
const NAME_BYTES_MAX: usize = 253;
/// How far the cluster's clock may be from ours before a token counts as expired unasked.
const SKEW_SECONDS: f64 = 300.0;

/// Whose token it is, as the API server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reviewed {
    pub(super) namespace: String,
    pub(super) account: String,
    pub(super) account_uid: String,
    pub(super) pod_name: Option<String>,
    pub(super) pod_uid: Option<String>,
    pub(super) node: Option<String>,
    pub(super) secret: Option<String>,
    /// The audiences that the API server confirmed.
    pub(super) audiences: Vec<String>,
    /// Whether it is meant for the API server itself.
    pub(super) for_api_server: bool,
}

#[derive(Deserialize)]
struct Review {
    kind: String,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    authenticated: bool,
    user: User,
    audiences: Vec<String>,
    error: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

/// Reviews `token`.
///
/// # Errors
/// [`Fault::unauthorized`] when the API server does not know it, [`Fault::unavailable`] when it
/// cannot be asked.
pub(super) async fn review(
    config: &K8sConfig,
    token: &SecretString,
    outward: &Outward,
    now: Timestamp,
) -> Result<Reviewed, Fault> {
    let claims = Claims::of(token).ok_or_else(|| refused("it is no token with claims"))?;
    check_unasked(config, &claims, now)?;
    let asker = Asker::new(config, token, outward)?;
    let wanted = claims.audiences();
    let own = asker.ask(token, &[]).await?;
    let for_api_server = own.authenticated;
    let mut status = own;
    let more = wanted.iter().any(|name| !status.audiences.contains(name));
    if more && !wanted.is_empty() {
        // It is meant for others too, or only: the API server has to be asked about those by name.
        let named = asker.ask(token, &wanted).await?;
        if named.authenticated && !named.audiences.is_empty() {
            let confirmed = named.audiences.iter().filter(|name| wanted.contains(name)).cloned();
            let mut audiences: Vec<_> = confirmed.collect();
            audiences.append(&mut status.audiences);
            status = Status { audiences, ..named };
        }
    }
    reviewed(status, &claims, for_api_server)
}

/// What [`review`] makes of `answer`, had the API server given it to the first question.
pub(super) fn answered(token: &SecretString, answer: &[u8]) -> Result<Reviewed, Fault> {
    let claims = Claims::of(token).ok_or_else(|| refused("it is no token with claims"))?;
    reviewed(status_of(answer)?, &claims, true)
}

/// The status of a review.
fn status_of(answer: &[u8]) -> Result<Status, Fault> {
    let review = serde_json::from_slice(answer).ok();
    let review = review.filter(|review: &Review| review.kind == "TokenReview");
    review.map(|review| review.status).ok_or_else(|| {
        Fault::unavailable(
            "the Kubernetes API server answers something else than a TokenReview; check k8s-host \
             in the gateway's configuration",
        )
    })
}

/// What needs no question: another issuer, or a token that ended.
fn check_unasked(config: &K8sConfig, claims: &Claims, now: Timestamp) -> Result<(), Fault> {
    if config.issuer.as_ref().is_some_and(|issuer| *issuer != claims.iss) {
        return Err(refused("another issuer made it than the configuration says"));
    }
    #[expect(clippy::cast_precision_loss, reason = "exact for some hundred million years")]
    let now = now.seconds() as f64;
    if claims.exp.is_some_and(|end| end + SKEW_SECONDS < now) {
        return Err(refused("it has expired"));
    }
    Ok(())
}

fn reviewed(mut status: Status, claims: &Claims, for_api_server: bool) -> Result<Reviewed, Fault> {
    if !status.authenticated {
        return Err(refused(&format!("the API server does not accept it: {}", status.error)));
    }
    status.audiences.sort();
    status.audiences.dedup();
    status.audiences.truncate(AUDIENCES_MAX);
    let user = status.user;
    let name = user.username.strip_prefix(ACCOUNT_PREFIX).and_then(|name| name.split_once(':'));
    let (namespace, account) = name
        .filter(|(namespace, account)| is_name(namespace) && is_name(account))
        .ok_or_else(|| refused("it is not a service account's"))?;
    let extra = |key: &str| {
        let values = user.extra.get(&format!("authentication.kubernetes.io/{key}"));
        values.and_then(|values| values.first()).filter(|text| text.len() <= NAME_BYTES_MAX)
    };
    if user.uid.len() > NAME_BYTES_MAX {
        return Err(refused("the API server's answer has an id that is too long"));
    }
    Ok(Reviewed {
        namespace: namespace.to_owned(),
        account: account.to_owned(),
        account_uid: user.uid.clone(),
        pod_name: extra("pod-name").cloned(),
        pod_uid: extra("pod-uid").cloned(),
        node: extra("node-name").cloned(),
        secret: claims.secret().filter(|name| name.len() <= NAME_BYTES_MAX),
        audiences: status.audiences,
        for_api_server,
    })
}

/// A name as Kubernetes has them (RFC 1123).
fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(fits)
}

/// Who asks, and how.
struct Asker<'a> {
    client: reqwest::Client,
    url: reqwest::Url,
    bearer: Option<Bearer<'a>>,
}

enum Bearer<'a> {
    Given(&'a str),
    Read(SecretString),
}

impl Bearer<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Given(text) => text,
            Self::Read(text) => text.expose(),
        }
    }
}

impl<'a> Asker<'a> {
    fn new(
        config: &'a K8sConfig,
        token: &'a SecretString,
        outward: &Outward,
    ) -> Result<Self, Fault> {
        // What is kept may be older than the demands on it, or was made at another gateway.
        let url = config.review_url().map_err(|fault| {
            Fault::unavailable("the gateway's configuration of the cluster cannot be used here")
                .with_private(fault.public())
        })?;
        let mut trust = config.trust();
        let own;
        let bearer = if config.own_service_account {
            own = OwnAccount::read(config.ca.as_deref())?;
            trust.ca = Some(&own.ca);
            Some(Bearer::Read(own.token))
        } else if config.api == Api::Rancher {
            config.rancher_api_key.as_deref().map(Bearer::Given)
        } else if let Some(reviewer) = &config.reviewer {
            Some(Bearer::Given(reviewer))
        } else if config.client_certificate.is_some() {
            None
        } else {
            Some(Bearer::Given(token.expose()))
        };
        let client = outward.client(&trust)?;
        Ok(Self { client, url, bearer })
    }

    /// One review; without audiences it is the API server's own that count.
    async fn ask(&self, token: &SecretString, audiences: &[String]) -> Result<Status, Fault> {
        let mut spec = json!({ "token": token.expose() });
        if !audiences.is_empty() {
            spec["audiences"] = audiences.into();
        }
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec,
        });
        let body = Secret::new(serde_json::to_vec(&review).map_err(Fault::internal)?);
        keysherd_wire::wipe(review);
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(body.expose().clone());
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.text());
        }
        let (status, body) = answer("the Kubernetes API server", request).await?;
        match status {
            200 | 201 => status_of(body.expose()),
            // Without a reviewer it is the bearer's own token that was refused.
            401 | 403 if self.asks_about_itself(token) => {
                Err(refused("the API server does not let it ask about itself"))
            }
            other => Err(Fault::unavailable(
                "the Kubernetes API server does not let this gateway review tokens; give its \
                 reviewer the role system:auth-delegator, or a fresh token",
            )
            .with_private(format!("TokenReview was answered with status {other}"))),
        }
    }
}

impl Asker<'_> {
    fn asks_about_itself(&self, token: &SecretString) -> bool {
        matches!(self.bearer, Some(Bearer::Given(own)) if own == token.expose())
    }
}

/// A refusal whose reason is for the log.
fn refused(why: &str) -> Fault {
    Fault::unauthorized("authentication failed")
        .with_private(format!("the service account's token was refused: {why}"))
}
