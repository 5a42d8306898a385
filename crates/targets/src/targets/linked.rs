//! Linked targets: hosts that are reached by one parent's credentials, or that only belong
//! together. Who may choose the hosts of a parent gets its credentials sent there, so that takes
//! the right to read the parent.

use keysherd_base::Fault;
use keysherd_wire::{Args, Field, FieldSpec, Group, Text, bad_setting, wipe};
use serde_json::{Map, Value};

use crate::{BoxFuture, Kind, Settings, Spelling, Target, Way};

const HOSTS: Field<Text> = Field::text(
    "hosts",
    "Its hosts, with commas between them: each a name or an address, :port if it is not the usual \
     one, and ;description if there is one.",
);
const TYPE: Field<Text> =
    Field::text("type", "What the hosts are, ssh or windows; with a parent as the parent is.");
const ADD_HOSTS: Field<Text> = Field::text("add-hosts", "Hosts that come, written as hosts are.");
const RM_HOSTS: Field<Text> = Field::text("rm-hosts", "Hosts that go, with commas between them.");

/// Most hosts of one target: all of them are worked on in one go.
pub const HOSTS_MAX: usize = 64;
/// Longest description of a host, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 256;
/// What hosts can be, each with the port that is theirs unless they say another one.
const TYPES: [(&str, &str); 2] = [("ssh", "22"), ("windows", "5986")];

static KIND: Kind = Kind {
    name: "linked",
    what: "hosts that share the credentials of another target",
    create: &[
        Spelling::current("target-create-linked", "TargetCreateLinked", "TargetCreateOutput"),
        Spelling::older("create-linked-target", "CreateLinkedTarget", "CreateLinkedTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-linked", "TargetUpdateLinked", "TargetUpdateOutput"),
        Spelling::older("update-linked-target", "UpdateLinkedTarget", "object"),
    ],
    fields: &Group { title: "Hosts", fields: &[HOSTS.spec(), TYPE.spec()] },
    whereabouts: &["hosts"],
    types: &["linked"],
};

static UPDATE_FIELDS: [FieldSpec; 2] = [ADD_HOSTS.spec(), RM_HOSTS.spec()];

/// The member.
pub(super) struct LinkedTarget;

/// A host of a linked target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: String,
    description: String,
}

impl Host {
    fn read(text: &str, usual_port: &str) -> Result<Self, Fault> {
        let (place, description) = text.split_once(';').unwrap_or((text, ""));
        let (place, description) = (place.trim(), description.trim());
        let (name, port) = match place.rsplit_once(':') {
            // An address of IPv6 has brackets where it has a port.
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port),
            _ => (place, usual_port),
        };
        let name = name.trim_matches(['[', ']']).to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        let bad = |why: &str| bad_setting(HOSTS.name(), &format!("host {place:?}: {why}"));
        if name.is_empty() || name.len() > 253 || !name.bytes().all(plain) {
            return Err(bad("it must be a name or an address, and :port if there is one"));
        }
        let number = port.parse::<u16>().ok().filter(|port| *port > 0);
        let port = number.ok_or_else(|| bad("its port must be 1 to 65535"))?.to_string();
        if description.len() > DESCRIPTION_BYTES_MAX || description.contains(char::is_control) {
            return Err(bad("its description must be one line of at most 256 bytes"));
        }
        Ok(Self { name, port, description: description.to_owned() })
    }

    /// What it is called where credentials are told apart by it: with its port.
    pub fn place(&self) -> String {
        match self.name.contains(':') {
            true => format!("[{}]:{}", self.name, self.port),
            false => format!("{}:{}", self.name, self.port),
        }
    }

    fn written(&self) -> String {
        match self.description.as_str() {
            "" => self.place(),
            description => format!("{};{description}", self.place()),
        }
    }
}

/// The hosts of a linked target with these settings.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn hosts(settings: &Settings) -> Result<Vec<Host>, Fault> {
    let port = usual_port(settings)?;
    let found = read(settings.need(&HOSTS)?, port)?;
    match found.is_empty() {
        true => Err(bad_setting(HOSTS.name(), "there must be one at least")),
        false => Ok(found),
    }
}

/// What the hosts of a linked target with these settings are.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn hosts_type(settings: &Settings) -> Result<&'static str, Fault> {
    settings.choice(&TYPE, &TYPES.map(|(name, _)| name), TYPES[0].0)
}

/// The settings of a target that is this host alone, with the credentials of `parent` where there
/// is one.
///
/// # Errors
/// [`Fault::internal`], which is a defect.
pub fn alone(host: &Host, kind: &str, parent: Option<&Settings>) -> Result<Settings, Fault> {
    let mut value = parent.map_or_else(|| Value::Object(Map::new()), Settings::to_value);
    let place = if kind == "windows" { "hostname" } else { "host" };
    if let Value::Object(members) = &mut value {
        members.insert(place.to_owned(), host.name.clone().into());
        members.insert("port".to_owned(), host.port.clone().into());
    }
    let settings = Settings::from_value(&value);
    wipe(value);
    settings
}

/// What a target that is one place is called as a host, and a copy of its settings.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn itself(kind: &str, settings: &Settings) -> Result<(String, Settings), Fault> {
    let value = settings.to_value();
    let port = TYPES.iter().find(|(name, _)| *name == kind).map_or("22", |(_, port)| *port);
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, given) = (text(if kind == "windows" { "hostname" } else { "host" }), text("port"));
    let port = if given.is_empty() { port } else { given.as_str() };
    let place = Host::read(&name, port).map(|host| host.place());
    let copy = Settings::from_value(&value);
    wipe(value);
    Ok((place?, copy?))
}

fn usual_port(settings: &Settings) -> Result<&'static str, Fault> {
    let kind = hosts_type(settings)?;
    Ok(TYPES.iter().find(|(name, _)| *name == kind).map_or("22", |(_, port)| *port))
}

fn read(text: &str, usual_port: &str) -> Result<Vec<Host>, Fault> {
    let mut found: Vec<Host> = Vec::new();
    for one in text.split(',').filter(|one| !one.trim().is_empty()) {
        let host = Host::read(one, usual_port)?;
        if found.iter().any(|known| known.place() == host.place()) {
            let why = format!("host {} is there twice", host.place());
            return Err(bad_setting(HOSTS.name(), &why));
        }
        found.push(host);
    }
    if found.len() > HOSTS_MAX {
        let why = format!("there are {} hosts; {HOSTS_MAX} is the most", found.len());
        return Err(bad_setting(HOSTS.name(), &why));
    }
    Ok(found)
}

/// The hosts after some came and some went.
fn changed(mut hosts: Vec<Host>, given: &Args, usual_port: &str) -> Result<Vec<Host>, Fault> {
    for host in read(&given.get(&ADD_HOSTS)?.unwrap_or_default(), usual_port)? {
        hosts.retain(|known| known.place() != host.place());
        hosts.push(host);
    }
    for host in read(&given.get(&RM_HOSTS)?.unwrap_or_default(), usual_port)? {
        let before = hosts.len();
        hosts.retain(|known| known.place() != host.place());
        if hosts.len() == before {
            let why = format!("{} is none of its hosts", host.place());
            return Err(bad_setting(RM_HOSTS.name(), &why));
        }
        if hosts.is_empty() {
            return Err(bad_setting(RM_HOSTS.name(), "one host must stay; delete the target"));
        }
    }
    Ok(hosts)
}

impl Target for LinkedTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("linked")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        hosts(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let mut shown = Map::new();
        if let Ok(hosts) = hosts(settings) {
            let each = hosts.iter().map(|host| (host.place(), host.description.clone().into()));
            shown.insert(HOSTS.name().to_owned(), Value::Object(each.collect()));
        }
        ("linked_target_details", shown)
    }

    /// Whether each host is there. Nobody signs in.
    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let kind = hosts_type(settings)?;
            let member = super::by_name(kind)
                .ok_or_else(|| Fault::internal(format!("there are no targets of type {kind}")))?;
            for host in hosts(settings)? {
                member.probe(&alone(&host, kind, None)?, way).await?;
            }
            Ok(())
        })
    }

    fn parents(&self) -> &'static [&'static str] {
        &["ssh", "windows"]
    }

    fn update_fields(&self) -> &'static [FieldSpec] {
        &UPDATE_FIELDS
    }

    fn merged(&self, given: &Args, old: Settings) -> Result<Settings, Fault> {
        let merged = Settings::merged(KIND.fields, given, old, &[])?;
        let port = usual_port(&merged)?;
        let hosts = read(merged.text(&HOSTS).unwrap_or_default(), port)?;
        let hosts = changed(hosts, given, port)?;
        // As they are told apart: what somebody only writes differently is the same host.
        let written: Vec<_> = hosts.iter().map(Host::written).collect();
        let mut args = Args::new();
        args.put(HOSTS.name(), written.join(",").into());
        Settings::merged(KIND.fields, &args, merged, &[])
    }
}

/// The argument that says what the hosts are.
pub fn of_type(kind: &str) -> (&'static str, Value) {
    (TYPE.name(), kind.into())
}

#[cfg(test)]
mod tests;
