//! A server that one signs in to: where it is, as whom, and how the way there is encrypted.

use std::net::IpAddr;
use std::sync::Arc;

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_egress::{
    ClientIdentity, DialError, DialStep, Target as Place, authority, tls_config,
};
use keysherd_wire::{Field, Settings, Text, bad_setting};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Way;
use keysherd_egress::heard::{Bound, Heard};

/// Code of the fault that says: the server does not take this user with this password.
pub const WRONG_CREDENTIALS: &str = "WrongCredentials";

/// Code of the fault that says: the server took user and password, and lets this user do nothing.
pub const NOT_ADMITTED: &str = "NotAdmitted";

/// A setting with its field's name, so that errors can say which one it is.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    field: &'static str,
    text: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// The setting of `field`.
    pub fn of(settings: &'a Settings, field: &Field<Text>) -> Self {
        Self { field: field.name(), text: settings.text(field) }
    }

    /// A setting that nobody gives, under the name it has where it can be given.
    pub fn none(field: &'static str) -> Self {
        Self { field, text: None }
    }

    /// The same, or `default` when it was not given.
    #[must_use]
    pub fn or(self, default: &'static str) -> Self {
        Self { text: self.text.or(Some(default)), ..self }
    }

    /// The field's name.
    pub(crate) fn field(&self) -> &'static str {
        self.field
    }

    /// The setting.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.text
    }

    /// The same with another text.
    #[must_use]
    pub fn with<'b>(&self, text: Option<&'b str>) -> Named<'b> {
        Named { field: self.field, text }
    }

    /// The setting, which must be there.
    pub(crate) fn need(&self) -> Result<&'a str, Fault> {
        let missing = || Fault::bad_request(format!("missing required field '{}'", self.field));
        self.text.ok_or_else(missing)
    }
}

/// What settings say about a server.
pub struct Given<'a> {
    /// Name or address.
    pub host: Named<'a>,
    /// Port.
    pub port: Named<'a>,
    /// Whom to sign in as.
    pub user: Named<'a>,
    /// With which password.
    pub password: Named<'a>,
    /// Which database of the server.
    pub database: Option<&'a str>,
    /// Whether the connection is encrypted; `None`: unless the server is on this machine.
    pub encrypted: Option<bool>,
    /// The authorities that vouch for the server.
    pub authority: Named<'a>,
    /// The name in its certificate, when it is not its host's.
    pub name: Option<&'a str>,
    /// What the gateway shows when the server asks for a certificate.
    pub identity: Option<ClientIdentity>,
}

/// A server.
pub struct Server {
    place: Place,
    user: (&'static str, Option<String>),
    password: (&'static str, Option<SecretString>),
    database: Option<String>,
    tls: Option<Tls>,
}

/// How connections are encrypted.
struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// Authorities that were given, in PEM.
    authority: Option<String>,
    /// Whether a certificate is shown when the server asks for one.
    identified: bool,
}

/// Longest name of a user or a database, in bytes.
const NAME_BYTES_MAX: usize = 256;

impl Server {
    /// The server that the settings name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn new(given: Given<'_>) -> Result<Self, Fault> {
        let host = given.host.need()?.trim_matches(['[', ']']);
        let wanted = "it must be a number from 1 to 65535";
        let port = given.port.need()?.parse::<u16>().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| bad_setting(given.port.field, wanted))?;
        let whole =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let place = Place::parse(&whole).ok_or_else(|| {
            bad_setting(given.host.field, "it must be a name or an address, such as db.example")
        })?;
        if !given.user.text.is_none_or(is_name) {
            return Err(bad_setting(given.user.field, "it is no name of a user"));
        }
        if !given.database.is_none_or(is_name) {
            return Err(Fault::bad_request("the name of the database cannot be one"));
        }
        let encrypted = given.encrypted.unwrap_or_else(|| {
            given.authority.text.is_some() || given.identity.is_some() || !is_here(place.host())
        });
        let tls = match encrypted {
            false => None,
            true => {
                let field = given.authority.field;
                let ca = given.authority.text.map(|text| authority(field, text)).transpose()?;
                let config = tls_config(field, ca.as_deref(), given.identity.as_ref())?;
                let name = given.name.unwrap_or(place.host()).to_owned();
                let name = ServerName::try_from(name).map_err(|_| {
                    bad_setting(given.host.field, "it cannot be the name in a certificate")
                })?;
                Some(Tls { config, name, authority: ca, identified: given.identity.is_some() })
            }
        };
        Ok(Self {
            place,
            user: (given.user.field, given.user.text.map(str::to_owned)),
            password: (given.password.field, given.password.text.map(|t| Secret::new(t.into()))),
            database: given.database.map(str::to_owned),
            tls,
        })
    }

    /// The same with this database, unless it has one.
    #[must_use]
    pub fn or_database(mut self, database: Option<&str>) -> Self {
        self.database = self.database.or_else(|| database.map(str::to_owned));
        self
    }

    /// The same, to sign in to as somebody else.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for what is no name of a user.
    pub fn signed_in_as(mut self, user: &str, password: &SecretString) -> Result<Self, Fault> {
        if !is_name(user) {
            return Err(bad_setting(self.user.0, "it is no name of a user"));
        }
        self.user.1 = Some(user.to_owned());
        Ok(self.with_password(password))
    }

    /// The same with another password.
    #[must_use]
    pub(crate) fn with_password(mut self, password: &SecretString) -> Self {
        self.password.1 = Some(Secret::new(password.expose().clone()));
        self
    }

    /// The same without a database: not everybody may use the one that is named.
    #[must_use]
    pub fn without_database(mut self) -> Self {
        self.database = None;
        self
    }

    /// Host and port.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whom it is signed in to as.
    pub fn user(&self) -> Option<&str> {
        self.user.1.as_deref()
    }

    /// With which password.
    pub fn password(&self) -> Option<&SecretString> {
        self.password.1.as_ref()
    }

    /// Which database.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// User and password, which must be there.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn credentials(&self) -> Result<(&str, &SecretString), Fault> {
        let missing = |field: &str| Fault::bad_request(format!("missing required field '{field}'"));
        let user = self.user().ok_or_else(|| missing(self.user.0))?;
        Ok((user, self.password().ok_or_else(|| missing(self.password.0))?))
    }

    /// What whoever set this up should know about the way there.
    pub fn warning(&self) -> Option<String> {
        self.is_overheard().then(|| {
            format!(
                "connections to {} are not encrypted, so its network reads the credentials that \
                 are made; set ssl",
                self.place
            )
        })
    }

    /// Whether somebody on the way may listen and answer.
    pub(crate) fn is_overheard(&self) -> bool {
        self.tls.is_none() && !is_here(self.place.host())
    }

    /// Whether connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects over TCP, through the operator's proxy only where the connection is encrypted.
    pub(crate) async fn tcp(&self, way: &Way) -> Result<TcpStream, Fault> {
        self.admit(way)?;
        let dialed = match self.tls {
            Some(_) => way.egress.connect(&self.place, way.timeout).await,
            None => way.egress.connect_directly(&self.place, way.timeout).await,
        };
        dialed.map_err(|error| self.unreached(&error))
    }

    /// The authorities in PEM and the name to expect, for servers that are shown no certificates;
    /// without authorities, those of this machine. None: connections are not encrypted.
    ///
    /// # Errors
    /// [`Fault::bad_request`] where one is to be shown.
    pub fn tls_given(&self) -> Result<Option<(Option<&str>, String)>, Fault> {
        let Some(tls) = &self.tls else { return Ok(None) };
        if tls.identified {
            return Err(bad_setting(
                "enable-mtls",
                "servers of this type are not shown client certificates by this version",
            ));
        }
        Ok(Some((tls.authority.as_deref(), tls.name.to_str().into_owned())))
    }

    fn admit(&self, way: &Way) -> Result<(), Fault> {
        if !way.egress.admits(self.place.host()) {
            return Err(Fault::bad_request(format!(
                "{} is an address of this machine or of its link, which this gateway's operator \
                 does not let targets have (see --allow-local-targets)",
                self.place
            )));
        }
        Ok(())
    }

    fn unreached(&self, error: &DialError) -> Fault {
        let next = match error.step {
            DialStep::Name => "check the host",
            DialStep::Tcp => "check host, port and the firewalls on the way from this gateway",
            DialStep::Proxy => "check the proxy of this gateway",
        };
        Fault::unavailable(format!("{} cannot be reached: {error}; {next}", self.place))
    }

    /// Encrypts a connection whose server has agreed to that.
    pub(crate) async fn encrypt(&self, tcp: TcpStream) -> Result<Stream, Fault> {
        match self.encryption() {
            Some(encryption) => encryption.around(tcp).await,
            None => Ok(Box::new(Heard::new(tcp, Bound::default()))),
        }
    }

    /// How connections are encrypted, where they are.
    pub(crate) fn encryption(&self) -> Option<Encryption> {
        let tls = self.tls.as_ref()?;
        let (config, name) = (Arc::clone(&tls.config), tls.name.clone());
        Some(Encryption { config, name, place: self.place.clone() })
    }

    /// That it did not answer in time.
    pub(crate) fn late(&self) -> Fault {
        Fault::unavailable(format!("{} does not answer in time; try again later", self.place))
    }
}

/// How connections to a server are encrypted.
pub(crate) struct Encryption {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    place: Place,
}

impl Encryption {
    /// Encrypts a connection whose server has agreed to that.
    pub(crate) async fn around(self, tcp: TcpStream) -> Result<Stream, Fault> {
        let connector = TlsConnector::from(self.config);
        let stream = connector.connect(self.name, tcp).await.map_err(|error| {
            Fault::forbidden(format!(
                "TLS with {} fails: {error}; check ssl-certificate and the name in its certificate",
                self.place
            ))
        })?;
        Ok(Box::new(Heard::new(stream, Bound::default())))
    }
}

/// Whether a text can be the name of a user or a database.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Server").field(&self.place).finish()
    }
}

/// Bytes to and from a server, encrypted or not.
pub(crate) type Stream = Box<dyn Bytes>;

/// What a protocol speaks over.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// Whether `host` is this machine, whatever a network says.
pub(crate) fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}
