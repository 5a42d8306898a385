//! GitLab.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text, bad_setting, wipe};
use serde_json::{Map, Value};

use crate::http::{HttpGiven, HttpServer};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const URL: Field<Text> = Field::text("gitlab-url", "Where it is.").default(GITLAB);
const TOKEN: Field<Text> =
    Field::text("gitlab-access-token", "A token that may make others.").secret();
const AUTHORITY: Field<Text> = Field::text(
    "gitlab-certificate",
    "Certificates of the authorities that vouch for it, PEM or that in base64.",
);

static KIND: Kind = Kind {
    name: "gitlab",
    what: "a GitLab",
    create: &[
        Spelling::current("target-create-gitlab", "TargetCreateGitlab", "TargetCreateOutput"),
        Spelling::older("create-gitlab-target", "CreateGitlabTarget", "CreateGitlabTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-gitlab", "TargetUpdateGitlab", "TargetUpdateOutput"),
        Spelling::older("update-gitlab-target", "UpdateGitlabTarget", "UpdateGitlabTargetOutput"),
    ],
    fields: &Group { title: "GitLab", fields: &[URL.spec(), TOKEN.spec(), AUTHORITY.spec()] },
    whereabouts: &["gitlab-url", "gitlab-certificate"],
    types: &["gitlab"],
};

/// The service that most use.
const GITLAB: &str = "https://gitlab.com/";
/// The header that its tokens are in.
pub const HEADER: &str = "PRIVATE-TOKEN";

/// A GitLab with a token of it.
pub struct Gitlab {
    /// Where it is.
    pub server: HttpServer,
    /// The token.
    pub token: SecretString,
}

impl Gitlab {
    /// The one that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(
        settings: &Settings,
        url: &Field<Text>,
        token: &Field<Text>,
        authority: &Field<Text>,
    ) -> Result<Self, Fault> {
        let text = settings.need(token)?;
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad_setting(token.name(), "it is no token"));
        }
        let url = Named::of(settings, url).or(GITLAB);
        let authority = Some(Named::of(settings, authority));
        let server = HttpServer::new(HttpGiven { url, authority, identity: None })?;
        Ok(Self { server, token: SecretString::new(text.to_owned()) })
    }
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn gitlab(settings: &Settings) -> Result<Gitlab, Fault> {
    Gitlab::by(settings, &URL, &TOKEN, &AUTHORITY)
}

/// The member.
pub(super) struct GitlabTarget;

impl Target for GitlabTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("gitlab")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        gitlab(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("gitlab_access_token", "gitlab-access-token"),
            ("gitlab_certificate", "gitlab-certificate"),
            ("gitlab_url", "gitlab-url"),
        ];
        ("gitlab_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Gitlab { server, token } = gitlab(settings)?;
            let http = server.open(way)?;
            let call = http.call("GET", &["api", "v4", "user"])?.header(HEADER, token.expose());
            call.send().await?.done("signing in", &[token.expose()])?.json().map(wipe)
        })
    }
}
