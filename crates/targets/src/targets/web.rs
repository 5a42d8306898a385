//! Web targets: an address, for webhooks that make credentials.

use keysherd_base::Fault;
use keysherd_wire::{Field, Group, Text, bad_setting};
use reqwest::Url;
use serde_json::{Map, Value};

use crate::http::{HttpGiven, HttpServer, web_url};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const URL: Field<Text> = Field::text("url", "Where it is, such as https://hooks.example.");

static KIND: Kind = Kind {
    name: "web",
    what: "a web server",
    create: &[
        Spelling::current("target-create-web", "TargetCreateWeb", "TargetCreateOutput"),
        Spelling::older("create-web-target", "CreateWebTarget", "CreateWebTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-web", "TargetUpdateWeb", "TargetUpdateOutput"),
        Spelling::older("update-web-target", "UpdateWebTarget", "UpdateWebTargetOutput"),
        Spelling::older(
            "update-web-target-details",
            "UpdateWebTargetDetails",
            "UpdateTargetOutput",
        ),
    ],
    fields: &Group { title: "Web server", fields: &[URL.spec()] },
    whereabouts: &["url"],
    types: &["web"],
};

/// The member.
pub(super) struct Web;

impl Target for Web {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("web")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        address(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        ("web_target_details", content(&KIND, settings, &[("url", "url")]))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let url = address(settings)?;
            let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
            let place = keysherd_egress::Target::new(host, port.unwrap_or_default());
            if !way.egress.admits(host) {
                return Err(bad_setting(
                    "url",
                    "this gateway's operator does not let targets have it (see \
                     --allow-local-targets)",
                ));
            }
            // Whether somebody is there; what a hook does with a request is not for a trial.
            let reached = way.egress.connect(&place, way.timeout).await;
            reached.map(drop).map_err(|error| {
                Fault::unavailable(format!("{place} cannot be reached: {error}; check the url"))
            })
        })
    }
}

/// The webhook at a web target: at its address, or at `path` where that is a server's alone.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn webhook(settings: &Settings, path: &str) -> Result<HttpServer, Fault> {
    let mut url = address(settings)?;
    if url.path() == "/" {
        url.set_path(path);
    }
    let url = Named::of(settings, &URL).with(Some(url.as_str()));
    HttpServer::new(HttpGiven { url, authority: None, identity: None })
}

fn address(settings: &Settings) -> Result<Url, Fault> {
    web_url(URL.name(), settings.need(&URL)?)
}
