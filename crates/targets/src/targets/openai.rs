//! OpenAI, with an API key.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text, bad_setting, wipe};
use serde_json::{Map, Value};

use crate::http::{HttpGiven, HttpServer};
use crate::lender::is_token;
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const KEY: Field<Text> =
    Field::text("api-key", "An API key; one of an administrator makes others.").secret();
const KEY_ID: Field<Text> = Field::text("api-key-id", "The id of that key, for readers.");
const URL: Field<Text> = Field::text("openai-url", "Where the API is.").default(OPENAI);
const ORGANIZATION: Field<Text> =
    Field::text("organization-id", "The organization, where the key's user is in several.");
const MODEL: Field<Text> = Field::text("model", "Accepted, without effect.").inert();
const CODEX_MODE: Field<Text> =
    Field::text("codex-oauth-mode", "Accepted, without effect.").inert();
const CODEX_ACCOUNT: Field<Text> =
    Field::text("codex-oauth-account-id", "Accepted, without effect.").inert();
const CODEX_ACCESS: Field<Text> =
    Field::text("codex-oauth-access-token", "Accepted, and not kept.").secret().inert();
const CODEX_REFRESH: Field<Text> =
    Field::text("codex-oauth-refresh-token", "Accepted, and not kept.").secret().inert();

static KIND: Kind = Kind {
    name: "openai",
    what: "an organization at OpenAI",
    create: &[Spelling::current(
        "target-create-openai",
        "TargetCreateOpenAI",
        "TargetCreateOutput",
    )],
    update: &[Spelling::current(
        "target-update-openai",
        "TargetUpdateOpenAI",
        "TargetUpdateOutput",
    )],
    fields: &Group {
        title: "OpenAI",
        fields: &[
            KEY.spec(),
            KEY_ID.spec(),
            URL.spec(),
            ORGANIZATION.spec(),
            MODEL.spec(),
            CODEX_MODE.spec(),
            CODEX_ACCOUNT.spec(),
            CODEX_ACCESS.spec(),
            CODEX_REFRESH.spec(),
        ],
    },
    whereabouts: &["openai-url"],
    types: &["openai"],
};

/// The service that most use.
const OPENAI: &str = "https://api.openai.com/v1";
/// The header that says which organization.
const ORGANIZATION_HEADER: &str = "OpenAI-Organization";

/// An organization with a key.
pub struct OpenAi {
    /// Where the API is.
    pub server: HttpServer,
    /// The key.
    pub key: SecretString,
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn openai(settings: &Settings) -> Result<OpenAi, Fault> {
    let key = settings.secret(&KEY)?;
    if !is_token(key.expose()) {
        return Err(bad_setting(KEY.name(), "it is no key"));
    }
    if !settings.text(&ORGANIZATION).is_none_or(is_token) {
        return Err(bad_setting(ORGANIZATION.name(), "it is no id of an organization"));
    }
    let url = Named::of(settings, &URL).or(OPENAI);
    let server = HttpServer::new(HttpGiven { url, authority: None, identity: None })?;
    Ok(OpenAi { server, key })
}

/// The member.
pub(super) struct OpenAiTarget;

impl Target for OpenAiTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("openai")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        openai(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("api_key", "api-key"),
            ("api_key_id", "api-key-id"),
            ("openai_url", "openai-url"),
            ("organization_id", "organization-id"),
        ];
        ("openai_target_details", content(&KIND, settings, &names))
    }

    /// Asks what keys of administrators may ask, and then what all others may.
    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let OpenAi { server, key } = openai(settings)?;
            let http = server.open(way)?;
            let ask = async |path: &[&str], query: &[(&str, &str)]| {
                let call = http.ask("GET", path, query)?.bearer(&key);
                match settings.text(&ORGANIZATION) {
                    Some(id) => call.header(ORGANIZATION_HEADER, id),
                    None => call,
                }
                .send()
                .await
            };
            let reply = ask(&["organization", "projects"], &[("limit", "1")]).await?;
            let reply = match reply.status() {
                401 | 403 => ask(&["models"], &[]).await?,
                _ => reply,
            };
            reply.done("signing in", &[key.expose()])?.json().map(wipe)
        })
    }
}
