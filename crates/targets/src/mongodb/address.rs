//! Where a MongoDB is: hosts with options, or an address of the form
//! `mongodb://user:password@host:port,host:port/database?options`.

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_egress::ClientIdentity;
use keysherd_wire::bad_setting;

use crate::Server;
use crate::server::{self, Named};

#[cfg(test)]
mod tests;

/// Most hosts of one replica set, and the longest address in bytes.
const HOSTS_MAX: usize = 8;
const ADDRESS_BYTES_MAX: usize = 4_096;
/// The usual port.
const PORT: &str = "27017";
/// The database that users are in when nobody says which.
const DATABASE: &str = "admin";
/// Characters that names of databases do not have.
const NOT_IN_NAMES: &str = "/\\. \"$*<>:|?";

/// What settings say.
pub struct Given<'a> {
    /// Hosts with their ports, with commas between.
    pub hosts: Named<'a>,
    /// The port of hosts that are given without one.
    pub port: Option<&'a str>,
    /// Whom to sign in as.
    pub user: Named<'a>,
    /// With which password.
    pub password: Named<'a>,
    /// The database that users are in.
    pub database: Named<'a>,
    /// Options as addresses have them.
    pub options: Named<'a>,
    /// Whether connections are encrypted; `None`: the options say it.
    pub encrypted: Option<bool>,
    /// The authorities that vouch for the servers.
    pub authority: Named<'a>,
    /// The name in their certificate, when it is not their host's.
    pub name: Option<&'a str>,
    /// What the gateway shows when a server asks for a certificate.
    pub identity: Option<&'a ClientIdentity>,
}

/// A MongoDB: its hosts, and where its users are.
#[derive(Debug)]
pub struct Site {
    servers: Vec<Server>,
    /// The database that whoever signs in is in.
    source: String,
    /// The database that users are made in.
    database: String,
}

/// What options say.
#[derive(Default)]
struct Options {
    encrypted: Option<bool>,
    source: Option<String>,
}

impl Site {
    /// The one that the settings name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn new(given: &Given<'_>) -> Result<Self, Fault> {
        let field = given.hosts.field();
        let options = options(given.options.field(), given.options.text().unwrap_or_default())?;
        let mut servers = Vec::new();
        for host in given.hosts.need()?.split(',') {
            if servers.len() == HOSTS_MAX {
                return Err(bad_setting(field, "it has more than 8 hosts"));
            }
            let (host, port) = host_and_port(host.trim());
            servers.push(Server::new(server::Given {
                host: given.hosts.with(Some(host)),
                port: given.hosts.with(port.or(given.port).or(Some(PORT))),
                user: given.user,
                password: given.password,
                database: None,
                encrypted: given.encrypted.or(options.encrypted),
                authority: given.authority,
                name: given.name,
                identity: given.identity.map(|identity| ClientIdentity {
                    certificate: identity.certificate.clone(),
                    key: Secret::new(identity.key.expose().clone()),
                }),
            })?);
        }
        let field = given.database.field();
        let database = database(field, given.database.text().unwrap_or(DATABASE))?;
        let source = match &options.source {
            Some(source) => self::database(given.options.field(), source)?,
            None => database.clone(),
        };
        Ok(Self { servers, source, database })
    }

    /// The one at an address; `database` stands beside it.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field, and repeats nothing of the address.
    pub fn at(address: Named<'_>, database: Named<'_>) -> Result<Self, Fault> {
        let field = address.field();
        let bad = |why: &str| bad_setting(field, why);
        let text = address.need()?;
        if text.starts_with("mongodb+srv://") {
            return Err(bad(
                "names of services (mongodb+srv) lead to hosts that nobody here has checked; name \
                 the hosts themselves: mongodb://host:port,host:port",
            ));
        }
        let rest = text.strip_prefix("mongodb://").filter(|_| text.len() <= ADDRESS_BYTES_MAX);
        let rest = rest.ok_or_else(|| bad("it must be an address such as mongodb://host:port"))?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (rest, own) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, hosts) = match rest.rsplit_once('@') {
            Some((who, hosts)) => (Some(who), hosts),
            None => (None, rest),
        };
        let (user, password) = match who.map(|who| who.split_once(':').unwrap_or((who, ""))) {
            Some((user, password)) => (decoded(user), decoded(password)),
            None => (None, None),
        };
        let part = |text: Option<&SecretString>| text.is_some_and(|text| !text.expose().is_empty());
        if !part(user.as_ref()) || !part(password.as_ref()) {
            return Err(bad("it has no user and password, percent-encoded, before its hosts"));
        }
        let shown = |text: &'_ Option<SecretString>| text.as_ref().map(|t| t.expose().clone());
        let (user, password) = (shown(&user), password);
        let database = match database.text() {
            None if !own.is_empty() => address.with(Some(own)),
            _ => database.with(database.text()),
        };
        Self::new(&Given {
            hosts: address.with(Some(hosts)),
            port: None,
            user: address.with(user.as_deref()),
            password: address.with(password.as_ref().map(|text| text.expose().as_str())),
            database,
            options: address.with(Some(options)),
            encrypted: None,
            authority: Named::none(field),
            name: None,
            identity: None,
        })
    }

    /// The same, to sign in to as somebody else, who is in the database that users are made in.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for what is no name of a user.
    pub fn signed_in_as(self, user: &str, password: &SecretString) -> Result<Self, Fault> {
        let Self { servers, database, .. } = self;
        let servers = servers.into_iter().map(|server| server.signed_in_as(user, password));
        let servers = servers.collect::<Result<_, _>>()?;
        Ok(Self { servers, source: database.clone(), database })
    }

    /// Its hosts; one at least.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The database that users are made in.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The database that whoever signs in is in.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// User and password, which must be there.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn credentials(&self) -> Result<(&str, &SecretString), Fault> {
        let first = self.servers.first();
        first.ok_or_else(|| Fault::internal("a site without servers"))?.credentials()
    }

    /// Its hosts, for people.
    pub fn place(&self) -> String {
        let places: Vec<_> = self.servers.iter().map(|server| server.place().to_string()).collect();
        places.join(",")
    }

    /// What whoever set this up should know about the way there.
    pub fn warning(&self) -> Option<String> {
        self.servers.iter().find_map(Server::warning)
    }
}

/// A host, and its port if it has one.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn database(field: &str, text: &str) -> Result<String, Fault> {
    let fits = (1..=63).contains(&text.len())
        && !text.chars().any(|c| c.is_control() || NOT_IN_NAMES.contains(c));
    let bad = || bad_setting(field, "the name of the database cannot be one");
    fits.then(|| text.to_owned()).ok_or_else(bad)
}

/// Reads options. Those that would weaken who is believed are refused; those about pools and
/// retries mean nothing here.
fn options(field: &str, text: &str) -> Result<Options, Fault> {
    let bad = |why: &str| bad_setting(field, why);
    let mut options = Options::default();
    for pair in text.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(|| bad("an option is not percent-encoded"))?;
        let value = value.expose().as_str();
        match name.to_ascii_lowercase().as_str() {
            "tls" | "ssl" => {
                let says = value.parse().map_err(|_| bad("tls must be true or false"))?;
                if options.encrypted.is_some_and(|other| other != says) {
                    return Err(bad("tls and ssl do not say the same"));
                }
                options.encrypted = Some(says);
            }
            "authsource" => options.source = Some(value.to_owned()),
            "authmechanism" if value != "SCRAM-SHA-256" => {
                return Err(bad("this version signs in by SCRAM-SHA-256 only"));
            }
            "tlsinsecure" | "tlsallowinvalidcertificates" | "tlsallowinvalidhostnames"
                if value != "false" =>
            {
                return Err(bad("certificates and their names are always checked"));
            }
            "tlscafile" | "tlscertificatekeyfile" | "tlscertificatekeyfilepassword" => {
                return Err(bad(
                    "files are not read; give certificates to a target, as ssl-certificate, \
                     client-certificate and client-private-key",
                ));
            }
            _ => {}
        }
    }
    Ok(options)
}

/// A text without its percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Option<SecretString> {
    let mut bytes = Secret::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        };
        bytes.expose_mut().push(byte);
    }
    let text = std::str::from_utf8(bytes.expose()).ok()?;
    Some(SecretString::new(text.to_owned()))
}
