//! RabbitMQ servers, by the HTTP interface of their management plugin.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text};
use serde_json::{Map, Value};

use crate::http::{HttpGiven, HttpServer};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const URI: Field<Text> = Field::text(
    "rabbitmq-server-uri",
    "Where the management plugin answers, such as https://rabbit.example:15671.",
);
const USER: Field<Text> =
    Field::text("rabbitmq-server-user", "The user that makes and removes others there.");
const PASSWORD: Field<Text> =
    Field::text("rabbitmq-server-password", "That user's password.").secret();

static KIND: Kind = Kind {
    name: "rabbitmq",
    what: "a RabbitMQ server",
    create: &[
        Spelling::current("target-create-rabbitmq", "TargetCreateRabbitMq", "TargetCreateOutput"),
        Spelling::older(
            "create-rabbitmq-target",
            "CreateRabbitMQTarget",
            "CreateRabbitMQTargetOutput",
        ),
    ],
    update: &[
        Spelling::current("target-update-rabbitmq", "TargetUpdateRabbitMq", "TargetUpdateOutput"),
        Spelling::older(
            "update-rabbitmq-target",
            "UpdateRabbitMQTarget",
            "UpdateRabbitMQTargetOutput",
        ),
    ],
    fields: &Group { title: "RabbitMQ", fields: &[URI.spec(), USER.spec(), PASSWORD.spec()] },
    whereabouts: &["rabbitmq-server-uri"],
    types: &["rabbitmq"],
};

/// A RabbitMQ server with whoever signs in there.
pub struct Rabbit {
    /// Where it is.
    pub server: HttpServer,
    /// Whom it is signed in to as.
    pub user: String,
    /// With which password.
    pub password: SecretString,
}

impl Rabbit {
    /// The server that these settings of a target name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn of(settings: &Settings) -> Result<Self, Fault> {
        Self::by(settings, &URI, &USER, &PASSWORD)
    }

    /// The server that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(
        settings: &Settings,
        uri: &Field<Text>,
        user: &Field<Text>,
        password: &Field<Text>,
    ) -> Result<Self, Fault> {
        let url = Named::of(settings, uri);
        Ok(Self {
            server: HttpServer::new(HttpGiven { url, authority: None, identity: None })?,
            user: settings.need(user)?.to_owned(),
            password: settings.secret(password)?,
        })
    }
}

/// The member.
pub(super) struct RabbitMq;

impl Target for RabbitMq {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("rabbitmq")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        Rabbit::of(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("rabbitmq_server_password", "rabbitmq-server-password"),
            ("rabbitmq_server_uri", "rabbitmq-server-uri"),
            ("rabbitmq_server_user", "rabbitmq-server-user"),
        ];
        ("rabbit_mq_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Rabbit { server, user, password } = Rabbit::of(settings)?;
            let http = server.open(way)?;
            let call = http.call("GET", &["api", "whoami"])?.basic(&user, &password);
            let reply = call.send().await?.done("signing in", &[password.expose()])?;
            // Whatever else answers with success is no RabbitMQ.
            reply.json().map(drop)
        })
    }
}
