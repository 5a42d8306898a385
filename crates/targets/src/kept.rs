//! Targets that are mostly kept for others: what they are called and which settings they have. They
//! are tried out as far as their service has a simple way.

use keysherd_base::{Fault, SecretString};
use keysherd_egress::Target as Place;
use keysherd_wire::{Field, Text, bad_setting, wipe};
use serde_json::{Map, Value};

use crate::http::{HttpGiven, HttpServer};
use crate::member::content;
use crate::winrm::WindowsMachine;
use crate::{BoxFuture, Kind, Named, Settings, Target, Way};

/// A target that is kept.
pub(crate) struct Kept {
    pub(crate) kind: &'static Kind,
    /// The member of `TargetTypeDetailsInput` that shows it.
    pub(crate) details: &'static str,
    /// Its content, with the settings.
    pub(crate) shown: &'static [(&'static str, &'static str)],
    /// What of it is true or false, which the settings have as a text.
    pub(crate) flags: &'static [(&'static str, Field<Text>)],
    pub(crate) check: fn(&Settings) -> Result<(), Fault>,
    pub(crate) probe: Probe,
}

/// How it is tried out.
pub(crate) enum Probe {
    /// Whether somebody is there; nobody signs in.
    Reach(fn(&Settings) -> Result<Place, Fault>),
    /// Whether a server lets whoever signs in see this.
    See(&'static [&'static str], fn(&Settings) -> Result<Door, Fault>),
    /// Whether a machine lets whoever signs in have a shell.
    Shell(fn(&Settings) -> Result<WindowsMachine, Fault>),
}

/// A server, and what one signs in to it with.
pub(crate) struct Door {
    pub(crate) server: HttpServer,
    pub(crate) key: DoorKey,
}

/// What one signs in with.
pub(crate) enum DoorKey {
    /// Name and password (RFC 7617).
    Password(String, SecretString),
    /// A header.
    Header(&'static str, SecretString),
}

impl Target for Kept {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok(self.kind.name)
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        (self.check)(settings)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let mut shown = content(self.kind, settings, self.shown);
        for (name, field) in self.flags {
            if let Some(text) = settings.text(field) {
                shown.insert((*name).to_owned(), text.eq_ignore_ascii_case("true").into());
            }
        }
        (self.details, shown)
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            match &self.probe {
                Probe::Reach(place) => reach(&place(settings)?, way).await,
                Probe::See(path, door) => see(path, &door(settings)?, way).await,
                Probe::Shell(machine) => {
                    machine(settings)?.open(way).await?.close().await;
                    Ok(())
                }
            }
        })
    }
}

/// Whether somebody is there.
async fn reach(place: &Place, way: &Way) -> Result<(), Fault> {
    if !way.egress.admits(place.host()) {
        return Err(Fault::bad_request(format!(
            "{place} is an address of this machine or of its link, which this gateway's operator \
             does not let targets have (see --allow-local-targets)"
        )));
    }
    let reached = way.egress.connect(place, way.timeout).await;
    reached.map(drop).map_err(|error| {
        Fault::unavailable(format!("{place} cannot be reached: {error}; check host and port"))
    })
}

async fn see(path: &[&str], door: &Door, way: &Way) -> Result<(), Fault> {
    let http = door.server.open(way)?;
    let call = http.call("GET", path)?;
    let (call, secret) = match &door.key {
        DoorKey::Password(user, password) => (call.basic(user, password), password),
        DoorKey::Header(name, secret) => (call.header(name, secret.expose()), secret),
    };
    call.send().await?.done("signing in", &[secret.expose()])?.json().map(wipe)
}

/// The server that a setting names.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn server(settings: &Settings, field: &Field<Text>) -> Result<HttpServer, Fault> {
    let url = Named::of(settings, field);
    HttpServer::new(HttpGiven { url, authority: None, identity: None })
}

/// The host and port that settings name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn place(
    settings: &Settings,
    host: &Field<Text>,
    port: &Field<Text>,
    usual: u16,
) -> Result<Place, Fault> {
    let name = settings.need(host)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if name.is_empty() || name.len() > 253 || !name.bytes().all(plain) {
        return Err(bad_setting(host.name(), "it is no name or address of a host"));
    }
    let number = settings.text(port).map_or(Ok(usual), str::parse);
    let bad = || bad_setting(port.name(), "it must be 1 to 65535");
    let number = number.ok().filter(|number| *number > 0).ok_or_else(bad)?;
    Ok(Place::new(name, number))
}

/// Demands all of these settings.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn need_all(settings: &Settings, fields: &[&Field<Text>]) -> Result<(), Fault> {
    fields.iter().try_for_each(|field| settings.need(field).map(drop))
}

#[cfg(test)]
mod tests;
