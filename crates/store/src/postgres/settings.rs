//! Where the server is, and as whom.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{Fault, SecretString};
use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::tls;

/// How long one host may take until a session on it is ready.
/// Those of tests share a machine with much else.
pub(super) const HOST_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 10 } else { 3 });
/// When a connection on which nothing comes any more is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The store's place on a PostgreSQL server, or on a cluster with one primary.
#[derive(Clone)]
pub struct PostgresSettings {
    /// The hosts, tried in turn until one of them is the primary.
    pub(super) hosts: Vec<Config>,
    /// `None`: not encrypted.
    pub(super) tls: Option<Arc<ClientConfig>>,
    shown: String,
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresSettings").field(&self.shown).finish()
    }
}

/// The same hosts, user and password, encrypted or not.
impl PartialEq for PostgresSettings {
    fn eq(&self, other: &Self) -> bool {
        self.hosts == other.hosts && self.tls.is_some() == other.tls.is_some()
    }
}

impl Eq for PostgresSettings {}

/// What a URL says that is not the driver's to know.
struct Url {
    /// The rest of it.
    plain: String,
    encrypted: bool,
    root_certificates: Option<String>,
}

impl PostgresSettings {
    /// Reads `postgres://user@host:5432,host2:5432/database?sslmode=verify-full&sslrootcert=FILE`.
    ///
    /// The modes are `verify-full`, which is the default and needs the CA certificates of the
    /// server in a PEM file, and `disable`, for a server on this machine. `read_file` reads the
    /// file; `password` is for the user, unless the URL has one.
    ///
    /// # Errors
    /// [`Fault::bad_request`] that names what is wrong, never with the password.
    pub fn parse(
        url: &str,
        password: Option<&SecretString>,
        read_file: impl FnOnce(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, Fault> {
        let Url { plain, encrypted, root_certificates } = Url::read(url)?;
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            // The driver's texts name the setting and not its value.
            bad(&super::errors::described(&error))
        })?;
        match (config.get_password(), password) {
            (Some(_), Some(_)) => return Err(bad("there are two passwords for it")),
            (None, Some(password)) => drop(config.password(password.expose().as_bytes())),
            (_, None) => {}
        }
        if config.get_user().is_none() || config.get_dbname().is_none() {
            return Err(bad("it must name a user and a database: postgres://USER@HOST/DATABASE"));
        }
        let tls = match (encrypted, root_certificates) {
            (true, None) if !config.get_hosts().iter().all(is_socket) => {
                return Err(bad(
                    "sslmode=verify-full needs sslrootcert=FILE, the CA certificates \
                                of the server in PEM",
                ));
            }
            (true, Some(file)) => {
                let unreadable = |error| bad(&format!("sslrootcert={file}: {error}"));
                let pem = read_file(Path::new(&file)).map_err(unreadable)?;
                Some(tls::trusting(&pem)?)
            }
            (false, _) if !config.get_hosts().iter().all(is_here) => {
                return Err(bad("sslmode=disable is for a server on this machine only"));
            }
            (true, None) | (false, _) => None,
        };
        let shown = shown(&config);
        Ok(Self { hosts: one_by_one(&config, tls.is_some())?, tls, shown })
    }

    /// Where it is, for people: no password.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl Url {
    fn read(url: &str) -> Result<Self, Fault> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad("it must begin with postgres://"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut found = Self { plain: String::new(), encrypted: true, root_certificates: None };
        let mut kept = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", "verify-full")) => found.encrypted = true,
                Some(("sslmode", "disable")) => found.encrypted = false,
                Some(("sslmode", other)) => {
                    return Err(bad(&format!(
                        "sslmode={other} does not check who answers; use verify-full, or disable \
                         for a server on this machine"
                    )));
                }
                Some(("sslrootcert", file)) => {
                    found.root_certificates = Some(file.replace("%2F", "/").replace("%2f", "/"));
                }
                Some(("password", _)) => return Err(bad("a password is not a parameter of it")),
                _ => kept.push(parameter),
            }
        }
        let end = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        found.plain = format!("{base}{end}");
        Ok(found)
    }
}

/// One configuration for each host: the driver gives a host that accepts connections and says
/// nothing all the time there is.
fn one_by_one(config: &Config, encrypted: bool) -> Result<Vec<Config>, Fault> {
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    if hosts.is_empty() || !config.get_hostaddrs().is_empty() {
        return Err(bad("it must name its hosts, without hostaddr"));
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(bad("it must name one port, or one for each host"));
    }
    let port_of = |place: usize| ports.get(place).or(ports.first()).copied().unwrap_or(5432);
    let each = hosts.iter().enumerate().map(|(place, host)| {
        let mut one = Config::new();
        match host {
            Host::Tcp(name) => one.host(name),
            Host::Unix(path) => one.host_path(path),
        };
        one.port(port_of(place));
        config.get_user().map(|user| one.user(user));
        config.get_password().map(|password| one.password(password));
        config.get_dbname().map(|name| one.dbname(name));
        config.get_options().map(|options| one.options(options));
        one.application_name(config.get_application_name().unwrap_or("keysherd"));
        // A Unix socket is not encrypted; nobody else can listen to it.
        let encrypted = encrypted && !is_socket(host);
        one.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        one.target_session_attrs(TargetSessionAttrs::ReadWrite);
        one.connect_timeout(HOST_PATIENCE);
        one.tcp_user_timeout(SILENCE_MAX);
        one.keepalives_idle(SILENCE_MAX / 2);
        one.keepalives_interval(SILENCE_MAX / 5);
        one.keepalives_retries(3);
        one
    });
    Ok(each.collect())
}

fn is_socket(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

/// Whether a host is this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) if name == "localhost" => true,
        Host::Tcp(name) => name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
    }
}

fn shown(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    let (user, name) = (config.get_user(), config.get_dbname());
    format!(
        "postgres://{}@{}/{}",
        user.unwrap_or_default(),
        hosts.join(","),
        name.unwrap_or_default()
    )
}

fn bad(why: &str) -> Fault {
    Fault::bad_request(format!("the database's URL cannot be used: {why}"))
}

#[cfg(test)]
mod tests;
