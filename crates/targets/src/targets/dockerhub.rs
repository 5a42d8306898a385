//! Docker Hub.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text, wipe};
use serde_json::{Map, Value, json};

use crate::http::{HttpGiven, HttpServer};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const USER: Field<Text> = Field::text("dockerhub-username", "Whose tokens are made.");
const PASSWORD: Field<Text> =
    Field::text("dockerhub-password", "Their password, or a token that may make others.").secret();

static KIND: Kind = Kind {
    name: "dockerhub",
    what: "an account of Docker Hub",
    create: &[
        Spelling::current("target-create-dockerhub", "TargetCreateDockerhub", "TargetCreateOutput"),
        Spelling::older(
            "create-dockerhub-target",
            "CreateDockerhubTarget",
            "CreateDockerhubTargetOutput",
        ),
    ],
    update: &[
        Spelling::current("target-update-dockerhub", "TargetUpdateDockerhub", "TargetUpdateOutput"),
        Spelling::older(
            "update-dockerhub-target",
            "UpdateDockerhubTarget",
            "UpdateDockerhubTargetOutput",
        ),
    ],
    fields: &Group { title: "Docker Hub", fields: &[USER.spec(), PASSWORD.spec()] },
    // It is always at the same place; another user has another password.
    whereabouts: &["dockerhub-username"],
    types: &["dockerhub"],
};

/// Where Docker Hub is.
const HUB: &str = "https://hub.docker.com";
/// Where one signs in.
pub const LOGIN: &[&str] = &["v2", "users", "login"];

/// An account of Docker Hub.
pub struct Dockerhub {
    /// Where it is.
    pub server: HttpServer,
    /// Whose it is.
    pub user: String,
    /// With which password.
    pub password: SecretString,
}

impl Dockerhub {
    /// The one that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(
        settings: &Settings,
        user: &Field<Text>,
        password: &Field<Text>,
        way: Option<&Way>,
    ) -> Result<Self, Fault> {
        let other = way.and_then(|way| way.endpoints.dockerhub.as_deref());
        let url = Named::none("dockerhub-username").with(Some(other.unwrap_or(HUB)));
        let server = HttpServer::new(HttpGiven { url, authority: None, identity: None })?;
        let user = settings.need(user)?.to_owned();
        Ok(Self { server, user, password: settings.secret(password)? })
    }
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn dockerhub(settings: &Settings, way: Option<&Way>) -> Result<Dockerhub, Fault> {
    Dockerhub::by(settings, &USER, &PASSWORD, way)
}

/// The member.
pub(super) struct DockerhubTarget;

impl Target for DockerhubTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("dockerhub")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        dockerhub(settings, None).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [("password", "dockerhub-password"), ("user_name", "dockerhub-username")];
        ("dockerhub_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Dockerhub { server, user, password } = dockerhub(settings, Some(way))?;
            let http = server.open(way)?;
            let body = json!({"username": user, "password": password.expose()});
            let reply = http.call("POST", LOGIN)?.json(body).send().await?;
            reply.done("signing in", &[password.expose()])?.json().map(wipe)
        })
    }
}
