//! Connecting: names to addresses, TCP, and the proxy where there is one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::egress::{Egress, Reach};
use crate::tunnel;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Host and port of somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// A host (a name or an address) and a port.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.trim_matches(['[', ']']).to_owned(), port }
    }

    /// Reads `host:port` or `[address]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_or(text, 0).ok()
    }

    /// The same, with a port for those who give none; 0: it must be given.
    pub(crate) fn parse_or(text: &str, port: u16) -> Result<Self, ()> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, given)) if !host.contains(':') || host.ends_with(']') => {
                (host, given.parse().map_err(|_| ())?)
            }
            _ => (text, port),
        };
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|bare| bare.contains(':')).ok_or(())?,
            None => host,
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        if port == 0 || bare.is_empty() || bare.len() > 253 || !bare.bytes().all(fits) {
            return Err(());
        }
        if bare.contains(':') && bare.parse::<IpAddr>().is_err() {
            return Err(());
        }
        Ok(Self { host: bare.to_owned(), port })
    }

    /// The name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Where connecting stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialStep {
    /// The name has no address.
    Name,
    /// Nobody answers at the address.
    Tcp,
    /// The proxy, or the way to it.
    Proxy,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialError {
    /// Where it stopped.
    pub step: DialStep,
    /// Why, in words.
    pub why: String,
}

impl DialError {
    fn new(step: DialStep, why: impl Into<String>) -> Self {
        Self { step, why: why.into() }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for DialError {}

impl Egress {
    /// Connects to `target` within `limit`, through the proxy where one is to be asked.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn connect(&self, target: &Target, limit: Duration) -> Result<TcpStream, DialError> {
        let Some(proxy) = self.proxy_for(target.host(), target.port()) else {
            return self.connect_directly(target, limit).await;
        };
        let at_proxy = |why: &dyn fmt::Display| {
            DialError::new(DialStep::Proxy, format!("the proxy {}: {why}", proxy.place()))
        };
        let asking = async {
            let addresses = lookup(proxy.place(), limit).await.map_err(|error| at_proxy(&error))?;
            let mut stream = first_of(addresses, limit).await.map_err(|error| at_proxy(&error))?;
            tunnel::open(&mut stream, proxy, target).await.map_err(|why| at_proxy(&why))?;
            Ok(stream)
        };
        let late = |_| at_proxy(&"it does not answer in time");
        timeout(limit, asking).await.map_err(late)?
    }

    /// Connects to `target` itself within `limit`.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn connect_directly(
        &self,
        target: &Target,
        limit: Duration,
    ) -> Result<TcpStream, DialError> {
        first_of(self.addresses(target, limit).await?, limit).await
    }

    /// The addresses of `target`, as far as it may be sent to.
    ///
    /// # Errors
    /// [`DialError`] when there are none.
    pub async fn addresses(
        &self,
        target: &Target,
        limit: Duration,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let mut found = lookup(target, limit).await?;
        found.retain(|address| self.reach().covers(address.ip()));
        found.truncate(ADDRESSES_MAX);
        if found.is_empty() {
            // The same whether there is no address or a private one: names of networks that one
            // is inside of are not told either.
            let why = match self.reach() {
                Reach::Public => "the name has no public address (see --allow-private-receivers)",
                Reach::Elsewhere => {
                    "the name has no address of another machine (see --allow-local-targets)"
                }
                Reach::Everywhere => "the name has no address",
            };
            return Err(DialError::new(DialStep::Name, why));
        }
        Ok(found)
    }
}

async fn lookup(target: &Target, limit: Duration) -> Result<Vec<SocketAddr>, DialError> {
    let failed = |why: String| DialError::new(DialStep::Name, why);
    let found = timeout(limit, lookup_host((target.host(), target.port()))).await;
    let found = found.map_err(|_| failed("the name is not resolved in time".to_owned()))?;
    Ok(found.map_err(|error| failed(error.to_string()))?.collect())
}

/// A connection to the first that answers.
async fn first_of(addresses: Vec<SocketAddr>, limit: Duration) -> Result<TcpStream, DialError> {
    let share = limit / u32::try_from(addresses.len().clamp(1, ADDRESSES_MAX)).unwrap_or(1);
    let mut last = "the name has no address".to_owned();
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Messages are written whole; waiting for more to send would only delay them.
                let ready = stream.set_nodelay(true);
                return match ready {
                    Ok(()) => Ok(stream),
                    Err(error) => Err(DialError::new(DialStep::Tcp, error.to_string())),
                };
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "no connection in time".to_owned(),
        }
    }
    Err(DialError::new(DialStep::Tcp, last))
}
