//! PingFederate, by its administrative API.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text, bad_setting, wipe};
use serde_json::{Map, Value};

use crate::http::{HttpGiven, HttpServer, web_url};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const URL: Field<Text> = Field::text("ping-url", "Where it is, such as https://ping.example.");
const USER: Field<Text> = Field::text("privileged-user", "Who administers clients there.");
const PASSWORD: Field<Text> = Field::text("password", "Their password.").secret();
const PORT: Field<Text> =
    Field::text("administrative-port", "The port of its administrative API.").default(ADMIN_PORT);
const TOKENS_PORT: Field<Text> =
    Field::text("authorization-port", "The port where clients ask for tokens, for readers.")
        .default("9031");

static KIND: Kind = Kind {
    name: "ping",
    what: "a PingFederate",
    create: &[
        Spelling::current("target-create-ping", "TargetCreatePing", "TargetCreateOutput"),
        Spelling::older("create-ping-target", "CreatePingTarget", "CreatePingTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-ping", "TargetUpdatePing", "TargetUpdateOutput"),
        Spelling::older("update-ping-target", "UpdatePingTarget", "object"),
    ],
    fields: &Group {
        title: "PingFederate",
        fields: &[URL.spec(), USER.spec(), PASSWORD.spec(), PORT.spec(), TOKENS_PORT.spec()],
    },
    whereabouts: &["ping-url", "administrative-port", "privileged-user"],
    types: &["ping"],
};

const ADMIN_PORT: &str = "9999";
/// Where the API begins.
const API: [&str; 2] = ["pf-admin-api", "v1"];
/// What each call must have, which no browser is made to send.
pub const NO_BROWSER: (&str, &str) = ("X-XSRF-Header", "PingFederate");

/// The fields by which settings name a PingFederate and who administers it.
pub struct PingFields {
    /// Where it is.
    pub url: Field<Text>,
    /// The port of its administrative API.
    pub port: Field<Text>,
    /// Who.
    pub user: Field<Text>,
    /// With which password.
    pub password: Field<Text>,
}

const FIELDS: PingFields = PingFields { url: URL, port: PORT, user: USER, password: PASSWORD };

/// A PingFederate, and who administers it.
pub struct Ping {
    /// Its administrative API.
    pub server: HttpServer,
    /// Who.
    pub user: String,
    /// With which password.
    pub password: SecretString,
}

impl Ping {
    /// The one that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(settings: &Settings, fields: &PingFields) -> Result<Self, Fault> {
        let mut url = web_url(fields.url.name(), settings.need(&fields.url)?)?;
        let port = settings.text(&fields.port).unwrap_or(ADMIN_PORT).parse::<u16>();
        let bad = || bad_setting(fields.port.name(), "it must be 1 to 65535");
        let port = port.ok().filter(|port| *port > 0).ok_or_else(bad)?;
        url.set_port(Some(port)).map_err(|()| Fault::internal("no place"))?;
        let mut path = url.path_segments_mut().map_err(|()| Fault::internal("no base"))?;
        path.pop_if_empty().extend(API);
        drop(path);
        let url = Named::of(settings, &fields.url).with(Some(url.as_str()));
        let server = HttpServer::new(HttpGiven { url, authority: None, identity: None })?;
        let user = settings.need(&fields.user)?.to_owned();
        Ok(Self { server, user, password: settings.secret(&fields.password)? })
    }
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn ping(settings: &Settings) -> Result<Ping, Fault> {
    Ping::by(settings, &FIELDS)
}

/// The member.
pub(super) struct PingTarget;

impl Target for PingTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("ping")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        ping(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("administrative_port", "administrative-port"),
            ("authorization_port", "authorization-port"),
            ("ping_url", "ping-url"),
            ("privileged_user", "privileged-user"),
            ("user_password", "password"),
        ];
        ("ping_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Ping { server, user, password } = ping(settings)?;
            let http = server.open(way)?;
            let (name, value) = NO_BROWSER;
            let call = http.call("GET", &["version"])?.basic(&user, &password).header(name, value);
            call.send().await?.done("signing in", &[password.expose()])?.json().map(wipe)
        })
    }
}
