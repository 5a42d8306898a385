//! Access tokens of projects and groups in GitLab. The tests have a stand-in for the service.

use keysherd_base::Fault;
use keysherd_targets::gitlab::{Gitlab, HEADER, gitlab};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Value, json};

use crate::driver::{Account, Ending, Facts, Service, SignIn, Step, conflict, token};
use crate::fields::{KEY_NONE, REMOTE_NONE, need_type};
use crate::{Kind, Settings, Spelling};

const URL: Field<Text> =
    Field::text("gitlab-url", "Where it is, without a target.").default("https://gitlab.com/");
const TOKEN: Field<Text> =
    Field::text("gitlab-access-token", "A token that may make others, without a target.").secret();
const AUTHORITY: Field<Text> = Field::text(
    "gitlab-certificate",
    "Certificates of the authorities that vouch for it, PEM or that in base64.",
);
const ACCESS_TYPE: Field<Text> =
    Field::text("gitlab-access-type", "Whose tokens are made: a project's or a group's.")
        .choices(&ACCESS_TYPES);
const PROJECT: Field<Text> = Field::text(
    "installation-organization",
    "The project by its path, such as group/project, or its number.",
);
const GROUP: Field<Text> = Field::text("group-name", "The group by its path or its number.");
const SCOPES: Field<Text> = Field::text(
    "gitlab-token-scopes",
    "What tokens may, with commas between, such as read_api,read_repository.",
);
const ROLE: Field<Text> = Field::text(
    "gitlab-role",
    "Which role tokens have: GuestPermissions, ReporterPermissions, DeveloperPermissions, \
     MaintainerPermissions or OwnerPermissions.",
)
.default("GuestPermissions");
const TTL: Field<Text> =
    Field::text("ttl", "How long tokens live, such as 30s, 15m or 4h.").default("60m");

const ACCESS_TYPES: [&str; 2] = ["project", "group"];
/// Roles by their names, with the levels that GitLab knows them by.
const ROLES: [(&str, i64); 5] = [
    ("GuestPermissions", 10),
    ("ReporterPermissions", 20),
    ("DeveloperPermissions", 30),
    ("MaintainerPermissions", 40),
    ("OwnerPermissions", 50),
];

static KIND: Kind = Kind {
    name: "gitlab",
    what: "a GitLab",
    targets: &["gitlab"],
    create: &[Spelling::current(
        "dynamic-secret-create-gitlab",
        "DynamicSecretCreateGitlab",
        "DynamicSecretCreateOutput",
    )],
    update: &[Spelling::current(
        "dynamic-secret-update-gitlab",
        "DynamicSecretUpdateGitlab",
        "DynamicSecretUpdateOutput",
    )],
    name_bytes_max: 100,
    fields: &Group {
        title: "GitLab",
        fields: &[
            ACCESS_TYPE.spec(),
            PROJECT.spec(),
            GROUP.spec(),
            SCOPES.spec(),
            ROLE.spec(),
            TTL.spec(),
            URL.spec(),
            TOKEN.spec(),
            AUTHORITY.spec(),
        ],
    },
    remote: &REMOTE_NONE,
    ttl: TTL,
    ttl_default: "60m",
    key: KEY_NONE,
    // Tokens are looked for where they were made.
    whereabouts: &[
        "gitlab-url",
        "gitlab-certificate",
        "gitlab-access-type",
        "installation-organization",
        "group-name",
    ],
    details: &[
        ("gitlab_access_type", "gitlab-access-type"),
        ("gitlab_project_name", "installation-organization"),
        ("gitlab_group_name", "group-name"),
        ("gitlab_role", "gitlab-role"),
        ("gitlab_url", "gitlab-url"),
        ("gitlab_certificate", "gitlab-certificate"),
    ],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) static MEMBER: Service = Service {
    kind: &KIND,
    account: |settings, target, _| {
        let Gitlab { server, token: secret } = match target {
            Some(target) => {
                need_type(&KIND, target)?;
                gitlab(target.settings)?
            }
            None => Gitlab::by(settings, &URL, &TOKEN, &AUTHORITY)?,
        };
        Ok(Account { server, user: String::new(), secret, lender: None, signer: None })
    },
    check: checked,
    sign_in: SignIn::Header(HEADER),
    find: None,
    make: Step::new("POST", tokens).json(wish),
    exists: conflict,
    then: &[],
    gives: |facts, answer| token(facts, answer, "/token"),
    ending: Ending::Listed {
        list: Step::new("GET", tokens).pages("per_page", "page"),
        entries: "",
        known_by: |entry, name| {
            // Tokens that were revoked stay in the list.
            let revoked = entry.get("revoked") == Some(&true.into());
            let is = entry.get("name")?.as_str()? == name && !revoked;
            is.then(|| entry.get("id")?.as_i64().map(|id| id.to_string()))?
        },
        remove: Step::new("DELETE", |facts| {
            let mut path = tokens(facts)?;
            path.push(facts.id.to_owned());
            Ok(path)
        }),
    },
};

/// Where tokens of the project or the group are.
fn tokens(facts: &Facts<'_>) -> Result<Vec<String>, Fault> {
    let (kind, whose) = place(facts.settings)?;
    Ok(["api", "v4", kind, whose, "access_tokens"].map(str::to_owned).to_vec())
}

fn place(settings: &Settings) -> Result<(&'static str, &str), Fault> {
    settings.need(&ACCESS_TYPE)?;
    let (kind, field) = match settings.choice(&ACCESS_TYPE, &ACCESS_TYPES, "")? {
        "group" => ("groups", &GROUP),
        _ => ("projects", &PROJECT),
    };
    let whose = settings.need(field)?.trim_matches('/');
    let fits = !whose.is_empty() && whose.len() <= 512 && !whose.chars().any(char::is_control);
    let dots = whose.split('/').any(|part| matches!(part, "" | "." | ".."));
    let bad = || bad_setting(field.name(), "it is no path, such as group/project");
    (fits && !dots).then_some((kind, whose)).ok_or_else(bad)
}

/// The token that is wanted. GitLab counts in days; the lease removes it in time.
fn wish(facts: &Facts<'_>) -> Result<Value, Fault> {
    let ends = facts.now.plus_seconds(facts.seconds.saturating_add(24 * 3_600)).rfc3339();
    Ok(json!({
        "name": facts.name,
        "scopes": scopes(facts.settings)?,
        "access_level": level(facts.settings)?,
        "expires_at": ends.get(..10),
    }))
}

fn scopes(settings: &Settings) -> Result<Vec<&str>, Fault> {
    let text = settings.need(&SCOPES)?;
    let scopes: Vec<_> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    let plain = |scope: &&str| scope.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let bad = || bad_setting(SCOPES.name(), "each must be a word such as read_api");
    (!scopes.is_empty() && scopes.iter().all(plain)).then_some(scopes).ok_or_else(bad)
}

fn level(settings: &Settings) -> Result<i64, Fault> {
    let role = settings.choice(&ROLE, &ROLES.map(|(name, _)| name), ROLES[0].0)?;
    Ok(ROLES.iter().find(|(name, _)| *name == role).map_or(ROLES[0].1, |(_, level)| *level))
}

fn checked(settings: &Settings) -> Result<Vec<String>, Fault> {
    place(settings)?;
    let wide = scopes(settings)?.contains(&"api") || level(settings)? >= 40;
    let warning = "tokens may change everything in the project or the group; name what is needed";
    Ok(wide.then(|| warning.to_owned()).into_iter().collect())
}
