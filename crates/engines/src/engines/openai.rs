//! Service accounts of projects at OpenAI, each with its API key. The tests have a stand-in for the
//! service.

use keysherd_base::Fault;
use keysherd_targets::openai::{OpenAi, openai};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, json};

use crate::driver::{Account, Ending, Facts, Service, SignIn, Step, conflict, segments, text};
use crate::fields::{CUSTOM_USERNAME_TEMPLATE, KEY_NAME, REMOTE_NONE, USER_TTL, need_type};
use crate::{Kind, Settings, Spelling};

#[cfg(test)]
mod tests;

const PROJECT: Field<Text> =
    Field::text("project-id", "The project that service accounts are made in, such as proj_abc.");

static KIND: Kind = Kind {
    name: "openai",
    what: "an organization at OpenAI",
    targets: &["openai"],
    create: &[Spelling::current(
        "dynamic-secret-create-openai",
        "DynamicSecretCreateOpenAI",
        "DynamicSecretCreateOutput",
    )],
    update: &[Spelling::current(
        "dynamic-secret-update-openai",
        "DynamicSecretUpdateOpenAI",
        "DynamicSecretUpdateOutput",
    )],
    name_bytes_max: 64,
    fields: &Group {
        title: "OpenAI",
        fields: &[PROJECT.spec(), USER_TTL.spec(), CUSTOM_USERNAME_TEMPLATE.spec()],
    },
    remote: &REMOTE_NONE,
    ttl: USER_TTL,
    ttl_default: "60m",
    key: KEY_NAME,
    whereabouts: &["project-id"],
    details: &[("project_id", "project-id")],
    json_details: &[],
    wrapped: true,
};

/// The member.
pub(super) static MEMBER: Service = Service {
    kind: &KIND,
    account: |_, target, _| {
        let missing = || Fault::bad_request("missing required field 'target-name'");
        let target = target.ok_or_else(missing)?;
        need_type(&KIND, target)?;
        let OpenAi { server, key: secret } = openai(target.settings)?;
        Ok(Account { server, user: String::new(), secret, lender: None, signer: None })
    },
    check: |settings| accounts(settings).map(|_| Vec::new()),
    sign_in: SignIn::Bearer,
    find: None,
    make: Step::new("POST", |facts| accounts(facts.settings))
        .json(|facts| Ok(json!({"name": facts.name}))),
    exists: conflict,
    then: &[],
    gives: |facts, answer| {
        let key = text(answer, "/api_key/value")?;
        Some(Map::from_iter([
            ("api_key".to_owned(), key.into()),
            ("user".to_owned(), facts.name.into()),
        ]))
    },
    ending: Ending::Listed {
        list: Step::new("GET", |facts| accounts(facts.settings))
            .after("limit", "after", "/last_id"),
        entries: "/data",
        known_by: |entry, name| {
            let is = entry.get("name")?.as_str()? == name;
            is.then(|| entry.get("id")?.as_str().map(str::to_owned))?
        },
        remove: Step::new("DELETE", removed),
    },
};

/// Where the project's service accounts are.
fn accounts(settings: &Settings) -> Result<Vec<String>, Fault> {
    let project = settings.need(&PROJECT)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if project.is_empty() || project.len() > 100 || !project.bytes().all(plain) {
        return Err(bad_setting(PROJECT.name(), "it is no id of a project"));
    }
    segments(&["organization", "projects", project, "service_accounts"])
}

fn removed(facts: &Facts<'_>) -> Result<Vec<String>, Fault> {
    let mut path = accounts(facts.settings)?;
    path.push(facts.id.to_owned());
    Ok(path)
}
