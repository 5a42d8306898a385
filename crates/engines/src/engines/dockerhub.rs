//! Access tokens of Docker Hub. The tests have a stand-in for the service.

use keysherd_base::Fault;
use keysherd_targets::dockerhub::{Dockerhub, LOGIN, dockerhub};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::json;

use crate::driver::{Account, Ending, Facts, Service, SignIn, Step, conflict, segments, token};
use crate::fields::{KEY_NAME, REMOTE_NONE, USER_TTL, need_type};
use crate::{Kind, Settings, Spelling};

const USER: Field<Text> =
    Field::text("dockerhub-username", "Whose tokens are made, without a target.");
const PASSWORD: Field<Text> =
    Field::text("dockerhub-password", "Their password, or a token that may make others.").secret();
const SCOPES: Field<Text> = Field::text(
    "dockerhub-token-scopes",
    "What tokens may, with commas between: repo:admin, repo:write, repo:read, repo:public_read.",
)
.default("repo:read");

static KIND: Kind = Kind {
    name: "dockerhub",
    what: "an account of Docker Hub",
    targets: &["dockerhub"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-dockerhub",
            "DynamicSecretCreateDockerhub",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-dockerhub",
            "GatewayCreateProducerDockerhub",
            "GatewayCreateProducerDockerhubOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-dockerhub",
            "DynamicSecretUpdateDockerhub",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-dockerhub",
            "GatewayUpdateProducerDockerhub",
            "GatewayUpdateProducerDockerhubOutput",
        )
        .success(201),
    ],
    // Of labels of tokens.
    name_bytes_max: 100,
    fields: &Group {
        title: "Docker Hub",
        fields: &[SCOPES.spec(), USER_TTL.spec(), USER.spec(), PASSWORD.spec()],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["dockerhub-username"],
    details: &[("user_name", "dockerhub-username")],
    json_details: &[],
    wrapped: true,
};

/// What tokens may.
const KNOWN_SCOPES: [&str; 4] = ["repo:admin", "repo:write", "repo:read", "repo:public_read"];

/// The member.
pub(super) static MEMBER: Service = Service {
    kind: &KIND,
    account: |settings, target, way| {
        let account = match target {
            Some(target) => {
                need_type(&KIND, target)?;
                dockerhub(target.settings, way)?
            }
            None => Dockerhub::by(settings, &USER, &PASSWORD, way)?,
        };
        let Dockerhub { server, user, password: secret } = account;
        Ok(Account { server, user, secret, lender: None, signer: None })
    },
    check: |settings| {
        let wide = scopes(settings)?.contains(&"repo:admin");
        let warning = "the scope repo:admin allows everything; name what is needed";
        Ok(wide.then(|| warning.to_owned()).into_iter().collect())
    },
    sign_in: SignIn::Login { path: LOGIN, token: "token" },
    find: None,
    make: Step::new("POST", tokens)
        .json(|facts| Ok(json!({"token_label": facts.name, "scopes": scopes(facts.settings)?}))),
    exists: conflict,
    then: &[],
    gives: |facts, answer| token(facts, answer, "/token"),
    ending: Ending::Listed {
        list: Step::new("GET", tokens).pages("page_size", "page"),
        entries: "/results",
        known_by: |entry, name| {
            let is = entry.get("token_label")?.as_str()? == name;
            is.then(|| entry.get("uuid")?.as_str().map(str::to_owned))?
        },
        remove: Step::new("DELETE", |facts| segments(&["v2", "access-tokens", facts.id])),
    },
};

fn tokens(_: &Facts<'_>) -> Result<Vec<String>, Fault> {
    segments(&["v2", "access-tokens"])
}

fn scopes(settings: &Settings) -> Result<Vec<&str>, Fault> {
    let text = settings.text(&SCOPES).unwrap_or("repo:read");
    let scopes: Vec<_> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    let fits = !scopes.is_empty() && scopes.iter().all(|scope| KNOWN_SCOPES.contains(scope));
    let want = format!("it must be of {}", KNOWN_SCOPES.join(", "));
    fits.then_some(scopes).ok_or_else(|| bad_setting(SCOPES.name(), &want))
}
