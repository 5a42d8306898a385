//! JFrog Artifactory.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text, bad_setting};
use serde_json::{Map, Value};

use crate::http::{HttpGiven, HttpServer};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const BASE_URL: Field<Text> =
    Field::text("base-url", "Where it is, such as https://jfrog.example/artifactory.");
const ADMIN: Field<Text> = Field::text("artifactory-admin-name", "Who makes tokens there.");
const ADMIN_PASSWORD: Field<Text> =
    Field::text("artifactory-admin-pwd", "Their password or API key.").secret();

static KIND: Kind = Kind {
    name: "artifactory",
    what: "an Artifactory",
    create: &[
        Spelling::current(
            "target-create-artifactory",
            "TargetCreateArtifactory",
            "TargetCreateOutput",
        ),
        Spelling::older(
            "create-artifactory-target",
            "CreateArtifactoryTarget",
            "CreateArtifactoryTargetOutput",
        ),
    ],
    update: &[
        Spelling::current(
            "target-update-artifactory",
            "TargetUpdateArtifactory",
            "TargetUpdateOutput",
        ),
        Spelling::older(
            "update-artifactory-target",
            "UpdateArtifactoryTarget",
            "UpdateArtifactoryTargetOutput",
        ),
    ],
    fields: &Group {
        title: "Artifactory",
        fields: &[BASE_URL.spec(), ADMIN.spec(), ADMIN_PASSWORD.spec()],
    },
    whereabouts: &["base-url"],
    types: &["artifactory"],
};

/// An Artifactory with whoever signs in there.
pub struct Artifactory {
    /// Where it is.
    pub server: HttpServer,
    /// Whom it is signed in to as.
    pub user: String,
    /// With which password.
    pub password: SecretString,
}

impl Artifactory {
    /// The one that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(
        settings: &Settings,
        url: &Field<Text>,
        user: &Field<Text>,
        password: &Field<Text>,
    ) -> Result<Self, Fault> {
        let given = HttpGiven { url: Named::of(settings, url), authority: None, identity: None };
        let server = HttpServer::new(given)?;
        if !server.url().path().trim_end_matches('/').ends_with("artifactory") {
            return Err(bad_setting(url.name(), "it must end with /artifactory"));
        }
        let user = settings.need(user)?.to_owned();
        Ok(Self { server, user, password: settings.secret(password)? })
    }
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn artifactory(settings: &Settings) -> Result<Artifactory, Fault> {
    Artifactory::by(settings, &BASE_URL, &ADMIN, &ADMIN_PASSWORD)
}

/// The member.
pub(super) struct ArtifactoryTarget;

impl Target for ArtifactoryTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("artifactory")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        artifactory(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("artifactory_admin_apikey", "artifactory-admin-pwd"),
            ("artifactory_admin_username", "artifactory-admin-name"),
            ("artifactory_base_url", "base-url"),
        ];
        ("artifactory_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Artifactory { server, user, password } = artifactory(settings)?;
            let http = server.open(way)?;
            let call = http.call("GET", &["api", "security", "token"])?.basic(&user, &password);
            let reply = call.send().await?.done("signing in", &[password.expose()])?;
            reply.json().map(keysherd_wire::wipe)
        })
    }
}
