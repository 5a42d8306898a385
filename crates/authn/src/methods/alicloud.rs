//! Alibaba Cloud: bearers of its credentials, who sign a `GetCallerIdentity` request (RPC style,
//! the signature in the query) that control sends to its Security Token Service.

use std::collections::BTreeMap;

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};
use serde::Deserialize;

use crate::fields::{CLOUD_ID, UNIQUE_IDENTIFIER};
use crate::signed_request::caller::{
    BOUND_ARN, BOUND_RESOURCE_ID, BOUND_ROLE_ID, BOUND_ROLE_NAME, BOUND_USER_ID, BOUND_USER_NAME,
    CallerSettings,
};
use crate::signed_request::{SignedRequest, Why, cloud_id_of, fresh, refused, use_up};
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

#[cfg(test)]
mod tests;

const STS_URL: Field<Text> = Field::text(
    "sts-url",
    "The Security Token Service that is asked; Alibaba's, or one that stands in for it.",
)
.default(DEFAULT_STS_URL);
const BOUND_ACCOUNT: Field<List> =
    Field::list("bound-account-id", "Accounts whose identities may enter.");

const DEFAULT_STS_URL: &str = "https://sts.aliyuncs.com";

/// The parameters of a request; no other is sent, and none twice.
const PARAMETERS: [&str; 12] = [
    "AccessKeyId",
    "Action",
    "Format",
    "RegionId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

static KIND: Kind = Kind {
    name: "alicloud",
    access_types: &["alicloud", "ali_cloud", "alibaba"],
    bearers: "identities of Alibaba Cloud",
    create: &[Spelling::create("auth-method-create-alicloud").success(200)],
    update: &[Spelling::update("auth-method-update-alicloud").success(200)],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "Alibaba Cloud",
    fields: &[
        BOUND_ACCOUNT.spec(),
        BOUND_ARN.spec(),
        BOUND_ROLE_NAME.spec(),
        BOUND_ROLE_ID.spec(),
        BOUND_RESOURCE_ID.spec(),
        BOUND_USER_NAME.spec(),
        BOUND_USER_ID.spec(),
        STS_URL.spec(),
        UNIQUE_IDENTIFIER.spec(),
    ],
};

/// The member.
pub(super) struct AliCloud;

impl Method for AliCloud {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        Prepared::of(&CallerSettings::of(given, &BOUND_ACCOUNT, &STS_URL, DEFAULT_STS_URL)?)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        CallerSettings::checked(settings).map(drop)
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let content = CallerSettings::read(settings)?.show();
        Ok(Rules { field: "alicloud_access_rules", content })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[CLOUD_ID.spec()] }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        _: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async { cloud_id_of(given) })
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(verify(attempt, world))
    }
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings = CallerSettings::read(attempt.settings)?;
    let request = SignedRequest::read(attempt.evidence).map_err(refused)?;
    let (signature, made) = check(&request, &settings.sts_url, attempt.now).map_err(refused)?;
    // Headers are not signed in this style, so none of the client's is sent.
    let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let answer = request.send(&[form], world).await?;
    let identity = claims(&answer).and_then(|claims| settings.admit(claims)).map_err(refused)?;
    use_up(KIND.name, &signature, made, world)?;
    Ok(identity)
}

/// Checks everything but the signature, which the service does; gives that and its time.
fn check(
    request: &SignedRequest,
    sts_url: &str,
    now: Timestamp,
) -> Result<(String, Timestamp), Why> {
    request.goes_to(sts_url, is_sts)?;
    if request.method != "POST" || request.url.path() != "/" || !request.body.is_empty() {
        return Err("it is not a POST to / without a body".to_owned());
    }
    let mut given = BTreeMap::new();
    for (name, value) in request.url.query_pairs() {
        let Some(name) = PARAMETERS.into_iter().find(|known| *known == name) else {
            return Err(format!("it has a parameter {}", name.escape_default()));
        };
        if given.insert(name, value.into_owned()).is_some() {
            return Err(format!("it has the parameter {name} twice"));
        }
    }
    let fixed = [("Action", "GetCallerIdentity"), ("Version", "2015-04-01"), ("Format", "JSON")];
    for (name, value) in fixed {
        if given.get(name).map(String::as_str) != Some(value) {
            return Err(format!("its parameter {name} is not {value}"));
        }
    }
    let made = fresh(given.get("Timestamp").and_then(|at| Timestamp::parse_rfc3339(at)), now)?;
    let nonce = given.get("SignatureNonce").is_some_and(|nonce| !nonce.is_empty());
    match given.remove("Signature").filter(|signature| nonce && !signature.is_empty()) {
        Some(signature) => Ok((signature, made)),
        None => Err("it has no signature, or no nonce".to_owned()),
    }
}

/// The hosts of the Security Token Service, such as `sts.eu-central-1.aliyuncs.com`.
fn is_sts(host: &str) -> bool {
    let front = match host.strip_suffix(".aliyuncs.com") {
        Some("sts") => return true,
        Some(front) => front.strip_prefix("sts.").or(front.strip_prefix("sts-vpc.")),
        None => None,
    };
    // Names that a customer can choose, as those of buckets, stand before other words.
    let region = |text: &str| {
        let mut parts = text.split('-');
        let country = parts.next().is_some_and(|c| c.len() == 2 && c.is_ascii());
        let rest: Vec<_> = parts.collect();
        let plain = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        country && !text.contains('.') && (1..=3).contains(&rest.len()) && rest.iter().all(plain)
    };
    front.is_some_and(region)
}

/// What the service answers; it has more, which says nothing about who it is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Caller {
    account_id: String,
    arn: String,
    user_id: Option<String>,
    role_id: Option<String>,
}

/// `acs:ram::ACCOUNT:KIND/NAME[/SESSION]`.
fn claims(answer: &[u8]) -> Result<SubClaims, Why> {
    let caller: Caller =
        serde_json::from_slice(answer).map_err(|error| format!("the service's answer: {error}"))?;
    let parts: Vec<_> = caller.arn.splitn(5, ':').collect();
    let ["acs", "ram" | "sts", _, owner, resource] = parts.as_slice() else {
        return Err(format!("the service's answer has no ARN but {:?}", caller.arn));
    };
    if *owner != caller.account_id || owner.is_empty() {
        return Err("the service's answer names two accounts".to_owned());
    }
    let mut claims = SubClaims::default();
    match resource.split_once('/') {
        Some(("assumed-role", rest)) => {
            let (role, session) = rest.split_once('/').ok_or("an assumed role without session")?;
            claims.set("role_name", role);
            claims.set("resource_id", session);
            if let Some(id) = caller.role_id {
                claims.set("role_id", id);
            }
        }
        named => {
            if let Some(("user", name)) = named {
                claims.set("user_name", name);
            }
            if let Some(id) = caller.user_id {
                claims.set("user_id", id);
            }
        }
    }
    claims.set("account_id", caller.account_id);
    claims.set("arn", caller.arn);
    Ok(claims)
}
