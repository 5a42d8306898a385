//! Tokens of JFrog Artifactory. The tests have a stand-in for the service.

use keysherd_base::Fault;
use keysherd_targets::artifactory::{Artifactory, artifactory};
use keysherd_wire::{Field, Group, Text};
use serde_json::json;

use crate::driver::{Account, Ending, Service, SignIn, Step, conflict, segments, token};
use crate::fields::{CUSTOM_USERNAME_TEMPLATE, KEY_NAME, REMOTE_NONE, USER_TTL, need_type};
use crate::{Kind, Settings, Spelling};

const ADMIN: Field<Text> =
    Field::text("artifactory-admin-name", "Who makes tokens there, without a target.");
const ADMIN_PASSWORD: Field<Text> =
    Field::text("artifactory-admin-pwd", "Their password or API key.").secret();
const BASE_URL: Field<Text> = Field::text(
    "base-url",
    "Where it is, without a target, such as https://jfrog.example/artifactory.",
);
const SCOPE: Field<Text> =
    Field::text("artifactory-token-scope", "What tokens may, such as member-of-groups:readers.");
const AUDIENCE: Field<Text> =
    Field::text("artifactory-token-audience", "Which services tokens are for, such as jfrt@*.");

static KIND: Kind = Kind {
    name: "artifactory",
    what: "an Artifactory",
    targets: &["artifactory"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-artifactory",
            "DynamicSecretCreateArtifactory",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-artifactory",
            "GatewayCreateProducerArtifactory",
            "GatewayCreateProducerArtifactoryOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-artifactory",
            "DynamicSecretUpdateArtifactory",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-artifactory",
            "GatewayUpdateProducerArtifactory",
            "GatewayUpdateProducerArtifactoryOutput",
        )
        .success(201),
    ],
    // Of users, which tokens are in the name of.
    name_bytes_max: 58,
    fields: &Group {
        title: "Artifactory",
        fields: &[
            SCOPE.spec(),
            AUDIENCE.spec(),
            USER_TTL.spec(),
            BASE_URL.spec(),
            ADMIN.spec(),
            ADMIN_PASSWORD.spec(),
            CUSTOM_USERNAME_TEMPLATE.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["base-url"],
    details: &[
        ("artifactory_base_url", "base-url"),
        ("artifactory_admin_username", "artifactory-admin-name"),
        ("artifactory_token_scope", "artifactory-token-scope"),
        ("artifactory_token_audience", "artifactory-token-audience"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) static MEMBER: Service = Service {
    kind: &KIND,
    account: |settings, target, _| {
        let account = match target {
            Some(target) => {
                need_type(&KIND, target)?;
                artifactory(target.settings)?
            }
            None => Artifactory::by(settings, &BASE_URL, &ADMIN, &ADMIN_PASSWORD)?,
        };
        let Artifactory { server, user, password: secret } = account;
        Ok(Account { server, user, secret, lender: None, signer: None })
    },
    check: checked,
    sign_in: SignIn::Basic,
    find: None,
    make: Step::new("POST", |_| segments(&TOKENS)).form(|facts| {
        Ok(json!({
            "grant_type": "client_credentials",
            "username": facts.name,
            "scope": facts.settings.need(&SCOPE)?,
            "audience": facts.settings.need(&AUDIENCE)?,
            "expires_in": facts.seconds.to_string(),
        }))
    }),
    exists: conflict,
    then: &[],
    gives: |facts, answer| token(facts, answer, "/access_token"),
    ending: Ending::Listed {
        list: Step::new("GET", |_| segments(&TOKENS)),
        entries: "/tokens",
        known_by: |entry, name| {
            // The subject ends with the user, after the service that made it.
            let subject = entry.get("subject")?.as_str()?;
            let of = subject.rsplit_once("/users/").map(|(_, user)| user);
            (of == Some(name)).then(|| entry.get("token_id")?.as_str().map(str::to_owned))?
        },
        remove: Step::new("POST", |_| segments(&[&TOKENS[..], &["revoke"]].concat()))
            .form(|facts| Ok(json!({"token_id": facts.id}))),
    },
};

/// Where tokens are.
const TOKENS: [&str; 3] = ["api", "security", "token"];

fn checked(settings: &Settings) -> Result<Vec<String>, Fault> {
    settings.need(&AUDIENCE)?;
    let scope = settings.need(&SCOPE)?;
    let wide = ["applied-permissions/admin", "jfrt@*:admin", "*"];
    let wide = wide.iter().any(|wide| scope.split_whitespace().any(|one| one.ends_with(wide)));
    let warning = "the scope allows to administer Artifactory; name what is needed";
    Ok(wide.then(|| warning.to_owned()).into_iter().collect())
}
