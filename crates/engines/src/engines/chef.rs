//! Users of Chef Infra Server, in organizations. The tests have a stand-in for the service.
//!
//! Requests are signed one by one (version 1.3 of Chef's header protocol): there is nothing that
//! one signs in to.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::jwt::JwtSigner;
use keysherd_targets::Named;
use keysherd_targets::http::{HttpGiven, HttpServer};
use keysherd_wire::{Field, Flag, Group, Text, bad_setting};
use serde_json::{Map, Value, json};

use crate::driver::{
    Account, Ending, Facts, Service, SignIn, Signed, Signer, Step, conflict, segments, text,
};
use crate::fields::{
    CUSTOM_USERNAME_TEMPLATE, KEY_NAME, PASSWORD_LENGTH, REMOTE_NONE, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS, USER_TTL, need_type,
};
use crate::{Kind, Settings, Spelling};

#[cfg(test)]
mod tests;

const URL: Field<Text> =
    Field::text("chef-server-url", "Where the server is, such as https://chef.example.");
const USER: Field<Text> =
    Field::text("chef-server-username", "Who makes users there, such as pivotal.");
const KEY: Field<Text> =
    Field::text("chef-server-key", "Their private key (RSA), PEM or that in base64.").secret();
const ORGANIZATIONS: Field<Text> =
    Field::text("chef-orgs", "The organizations that users are put into, with commas between.");
const SKIP_TLS: Field<Flag> =
    Field::flag("skip-ssl", "Accepted, without effect: certificates are always checked.").inert();

static KIND: Kind = Kind {
    name: "chef",
    what: "a Chef Infra Server",
    // There is no command that makes one.
    targets: &["chef"],
    create: &[Spelling::older(
        "gateway-create-producer-chef",
        "GatewayCreateProducerChef",
        "GatewayCreateProducerChefOutput",
    )
    .success(201)],
    update: &[Spelling::older(
        "gateway-update-producer-chef",
        "GatewayUpdateProducerChef",
        "GatewayUpdateProducerChefOutput",
    )
    .success(201)],
    name_bytes_max: 100,
    fields: &Group {
        title: "Chef",
        fields: &[
            ORGANIZATIONS.spec(),
            USER_TTL.spec(),
            URL.spec(),
            USER.spec(),
            KEY.spec(),
            SKIP_TLS.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["chef-server-url", "chef-server-username"],
    details: &[
        ("chef_server_url", "chef-server-url"),
        ("chef_server_username", "chef-server-username"),
        ("chef_organizations", "chef-orgs"),
    ],
    json_details: &[],
    wrapped: true,
};

/// Most organizations.
const ORGANIZATIONS_MAX: usize = 5;
/// The version of the server's API, and of how requests are signed.
const API: &str = "1";
const SIGN: &str = "version=1.3";
/// How many characters of a signature a header has.
const HEADER_CHARS: usize = 60;

/// The member.
pub(super) static MEMBER: Service = Service {
    kind: &KIND,
    account: |settings, target, _| {
        target.map(|target| need_type(&KIND, target)).transpose()?;
        let url = Named::of(settings, &URL);
        let server = HttpServer::new(HttpGiven { url, authority: None, identity: None })?;
        let user = settings.need(&USER)?.to_owned();
        if !user.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad_setting(USER.name(), "it is no name of a user"));
        }
        let secret = SecretString::new(keysherd_targets::pem(KEY.name(), settings.need(&KEY)?)?);
        let unusable = |_| bad_setting(KEY.name(), "it is no RSA private key");
        let key = JwtSigner::from_rsa_pem(&secret).map_err(unusable)?;
        let signer = Box::new(Knife { user: user.clone(), key });
        Ok(Account { server, user, secret, lender: None, signer: Some(signer) })
    },
    check: |settings| organizations(settings).map(|_| Vec::new()),
    sign_in: SignIn::Signed,
    find: None,
    make: Step::new("POST", |_| segments(&["users"])).json(|facts| {
        let user = user(facts);
        Ok(json!({
            "username": user, "display_name": user, "first_name": user, "last_name": user,
            "email": format!("{user}@keysherd.invalid"),
            "password": facts.password, "create_key": true,
        }))
    }),
    exists: conflict,
    then: &[
        Step::new("POST", |facts| joined(facts, 0)).json(member),
        Step::new("POST", |facts| joined(facts, 1)).json(member),
        Step::new("POST", |facts| joined(facts, 2)).json(member),
        Step::new("POST", |facts| joined(facts, 3)).json(member),
        Step::new("POST", |facts| joined(facts, 4)).json(member),
    ],
    gives: |facts, answer| {
        let key = text(answer, "/chef_key/private_key")?;
        Some(Map::from_iter([
            ("user".to_owned(), user(facts).into()),
            ("password".to_owned(), facts.password.into()),
            ("private_key".to_owned(), key.into()),
        ]))
    },
    // A user who is gone is in no organization.
    ending: Ending::Named(Step::new("DELETE", |facts| segments(&["users", &user(facts)]))),
};

/// What the server calls a user: small letters, digits, `-` and `_`.
fn user(facts: &Facts<'_>) -> String {
    facts.name.to_ascii_lowercase().replace(['.', '@'], "-")
}

fn organizations(settings: &Settings) -> Result<Vec<&str>, Fault> {
    let given = settings.text(&ORGANIZATIONS).unwrap_or_default().split(',').map(str::trim);
    let all: Vec<_> = given.filter(|one| !one.is_empty()).collect();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let fits = |one: &&str| one.len() <= 255 && one.bytes().all(plain);
    if all.len() > ORGANIZATIONS_MAX || !all.iter().all(fits) {
        let want = "it must be at most 5 short names of organizations, with commas between";
        return Err(bad_setting(ORGANIZATIONS.name(), want));
    }
    Ok(all)
}

fn joined(facts: &Facts<'_>, number: usize) -> Result<Vec<String>, Fault> {
    match organizations(facts.settings)?.get(number) {
        Some(organization) => segments(&["organizations", organization, "users"]),
        None => Ok(Vec::new()),
    }
}

fn member(facts: &Facts<'_>) -> Result<Value, Fault> {
    Ok(json!({"username": user(facts)}))
}

/// Who signs requests.
struct Knife {
    user: String,
    key: JwtSigner,
}

impl Signer for Knife {
    fn sign(&self, request: &Signed<'_>, now: Timestamp) -> Result<Vec<(String, String)>, Fault> {
        let hash = STANDARD.encode(sha256(&[request.body]));
        let (user, time) = (self.user.as_str(), now.rfc3339());
        let path = request.path.trim_end_matches('/');
        let signed = format!(
            "Method:{}\nPath:{path}\nX-Ops-Content-Hash:{hash}\nX-Ops-Sign:{SIGN}\n\
             X-Ops-Timestamp:{time}\nX-Ops-UserId:{user}\nX-Ops-Server-API-Version:{API}",
            request.method
        );
        let failed = |_| Fault::internal("the key signs nothing");
        let signature = self.key.signature(signed.as_bytes()).map_err(failed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(Fault::internal)?;
        let signature = STANDARD.encode(signature);
        let mut headers: Vec<_> = [
            ("X-Ops-Sign", format!("algorithm=sha256;{SIGN}")),
            ("X-Ops-Userid", user.to_owned()),
            ("X-Ops-Timestamp", time),
            ("X-Ops-Content-Hash", hash),
            ("X-Ops-Server-API-Version", API.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut rest = signature.as_str();
        for number in 1.. {
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at(rest.len().min(HEADER_CHARS));
            headers.push((format!("X-Ops-Authorization-{number}"), part.to_owned()));
            rest = after;
        }
        Ok(headers)
    }
}
