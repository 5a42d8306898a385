//! Tokens of installations of GitHub Apps. The tests have a stand-in for the service.
//!
//! GitHub lets them live for an hour, and has no names for them; whoever has one can end it.

use keysherd_base::Fault;
use keysherd_targets::github::{Github, github};
use keysherd_wire::{Field, Group, Int, List, Text, bad_setting};
use serde_json::{Map, Value};

use crate::driver::{
    Account, Ending, Facts, Find, Service, SignIn, Step, conflict, segments, text,
};
use crate::fields::{KEY_NONE, REMOTE_NONE, need_type};
use crate::{Kind, Settings, Spelling};

#[cfg(test)]
mod tests;

const APP: Field<Int> = Field::int("github-app-id", "The App's number, without a target.");
const KEY: Field<Text> = Field::text(
    "github-app-private-key",
    "Its private key (RSA), PEM or that in base64, without a target.",
)
.secret();
const URL: Field<Text> = Field::text("github-base-url", "Where its API is, without a target.")
    .default("https://api.github.com/");
const INSTALLATION: Field<Int> = Field::int("installation-id", "The installation's number.");
const ORGANIZATION: Field<Text> = Field::text(
    "installation-organization",
    "The organization that the App is installed in, instead of the installation's number.",
);
const REPOSITORY: Field<Text> = Field::text(
    "installation-repository",
    "A repository that the App is installed in, as owner/name, instead of the number.",
);
const PERMISSIONS: Field<List> = Field::list(
    "token-permissions",
    "What tokens may, such as contents=read; none: all that the App may.",
);
const REPOSITORIES: Field<List> = Field::list(
    "token-repositories",
    "The names of the repositories that tokens are for; none: all of the installation.",
);
const TTL: Field<Text> = Field::text(
    "token-ttl",
    "How long tokens live, such as 30s or 15m; GitHub ends them after an hour.",
)
.default("60m");

/// Longest life of a token, in seconds.
const SECONDS_MAX: i64 = 3_600;
/// Most repositories that GitHub takes, and most permissions that are sent to it.
const REPOSITORIES_MAX: usize = 500;
const PERMISSIONS_MAX: usize = 100;

static KIND: Kind = Kind {
    name: "github",
    what: "GitHub",
    targets: &["github"],
    create: &[
        Spelling::current(
            "dynamic-secret-create-github",
            "DynamicSecretCreateGithub",
            "DynamicSecretCreateOutput",
        ),
        Spelling::older(
            "gateway-create-producer-github",
            "GatewayCreateProducerGithub",
            "GatewayCreateProducerGithubOutput",
        )
        .success(201),
    ],
    update: &[
        Spelling::current(
            "dynamic-secret-update-github",
            "DynamicSecretUpdateGithub",
            "DynamicSecretUpdateOutput",
        ),
        Spelling::older(
            "gateway-update-producer-github",
            "GatewayUpdateProducerGithub",
            "GatewayUpdateProducerGithubOutput",
        )
        .success(201),
    ],
    name_bytes_max: 100,
    fields: &Group {
        title: "GitHub",
        fields: &[
            INSTALLATION.spec(),
            ORGANIZATION.spec(),
            REPOSITORY.spec(),
            REPOSITORIES.spec(),
            PERMISSIONS.spec(),
            TTL.spec(),
            URL.spec(),
            APP.spec(),
            KEY.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: TTL,
    ttl_default: "60m",
    key: KEY_NONE,
    whereabouts: &["github-base-url", "github-app-id"],
    details: &[
        ("github_app_id", "github-app-id"),
        ("github_base_url", "github-base-url"),
        ("github_installation_id", "installation-id"),
        ("github_organization_name", "installation-organization"),
        ("github_repository_path", "installation-repository"),
        ("github_installation_token_repositories", "token-repositories"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) static MEMBER: Service = Service {
    kind: &KIND,
    account: |settings, target, _| {
        let app = || match target {
            Some(target) => {
                need_type(&KIND, target)?;
                github(target.settings)
            }
            None => Github::by(settings, &URL, &APP, &KEY),
        };
        let Github { server, key: secret, .. } = app()?;
        Ok(Account {
            server,
            user: String::new(),
            secret,
            lender: Some(Box::new(app()?)),
            signer: None,
        })
    },
    check: |settings| {
        place(settings)?;
        repositories(settings)?;
        if KIND.ttl_seconds(settings)? > SECONDS_MAX {
            return Err(bad_setting(TTL.name(), "GitHub lets tokens live for 60m at most"));
        }
        let wide = permissions(settings)?.is_empty();
        let warning = "tokens may all that the App may; name what is needed in token-permissions";
        Ok(wide.then(|| warning.to_owned()).into_iter().collect())
    },
    sign_in: SignIn::Lent,
    find: Some(Find {
        given: |settings| Ok(settings.int(&INSTALLATION).map(|id| id.to_string())),
        step: Step::new("GET", |facts| {
            let mut path = place(facts.settings)?;
            path.push("installation".to_owned());
            Ok(path)
        }),
        pointer: "/id",
    }),
    make: Step::new("POST", |facts| {
        segments(&["app", "installations", facts.place, "access_tokens"])
    })
    .json(wish),
    exists: conflict,
    then: &[],
    gives: |_, answer| {
        let token = text(answer, "/token")?;
        Some(Map::from_iter([("token".to_owned(), token.into())]))
    },
    ending: Ending::Itself(Step::new("DELETE", |_| segments(&["installation", "token"]))),
};

/// Where the App is installed.
fn place(settings: &Settings) -> Result<Vec<String>, Fault> {
    if let Some(id) = settings.int(&INSTALLATION) {
        let bad = || bad_setting(INSTALLATION.name(), "it is no number of an installation");
        return (id > 0).then(Vec::new).ok_or_else(bad);
    }
    if let Some(organization) = settings.text(&ORGANIZATION) {
        let bad = || bad_setting(ORGANIZATION.name(), "it is no name of an organization");
        return is_name(organization).then(|| segments(&["orgs", organization])).ok_or_else(bad)?;
    }
    let field = REPOSITORY.name();
    let Some(path) = settings.text(&REPOSITORY) else {
        return Err(Fault::bad_request(
            "missing required field 'installation-id': say which installation of the App by its \
             number, installation-organization or installation-repository",
        ));
    };
    match path.split_once('/') {
        Some((owner, name)) if is_name(owner) && is_name(name) => segments(&["repos", owner, name]),
        _ => Err(bad_setting(field, "it must be owner/name")),
    }
}

/// Whether GitHub could have something of this name.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !matches!(text, "" | "." | "..") && text.len() <= 100 && text.bytes().all(plain)
}

fn repositories(settings: &Settings) -> Result<Vec<String>, Fault> {
    let all = settings.list(&REPOSITORIES);
    let fits = all.len() <= REPOSITORIES_MAX && all.iter().all(|name| is_name(name));
    let bad = || bad_setting(REPOSITORIES.name(), "each must be a name without its owner");
    fits.then_some(all).ok_or_else(bad)
}

/// The permissions by name: of texts `name=access` and of JSON objects.
fn permissions(settings: &Settings) -> Result<Map<String, Value>, Fault> {
    let bad = || bad_setting(PERMISSIONS.name(), "each must be such as contents=read");
    let mut all = Map::new();
    for given in settings.list(&PERMISSIONS) {
        if given.trim_start().starts_with('{') {
            let more: Map<String, Value> = serde_json::from_str(&given).map_err(|_| bad())?;
            all.extend(more);
        } else {
            let (name, access) = given.split_once('=').ok_or_else(bad)?;
            all.insert(name.trim().to_owned(), access.trim().into());
        }
    }
    let word = |text: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
        !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
    };
    let fits = all.iter().all(|(name, access)| word(name) && access.as_str().is_some_and(word));
    (fits && all.len() <= PERMISSIONS_MAX).then_some(all).ok_or_else(bad)
}

/// The token that is wanted.
fn wish(facts: &Facts<'_>) -> Result<Value, Fault> {
    let mut wish = Map::new();
    let permissions = permissions(facts.settings)?;
    if !permissions.is_empty() {
        wish.insert("permissions".to_owned(), permissions.into());
    }
    let repositories = repositories(facts.settings)?;
    if !repositories.is_empty() {
        wish.insert("repositories".to_owned(), repositories.into());
    }
    Ok(Value::Object(wish))
}
