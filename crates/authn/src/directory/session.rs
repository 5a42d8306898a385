//! A session with a directory: over TLS, and with what it says looked at before it is driven on.

use keysherd_base::Fault;
use keysherd_egress::Egress;
use keysherd_egress::ldap::{HERE, Relay, ask_for_tls};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use rustls::pki_types::ServerName;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::{Directory, unreachable};
use crate::outward::ANSWER_PATIENCE;

/// A session. It ends with this value.
pub(super) struct Session {
    pub(super) ldap: Ldap,
    driver: JoinHandle<()>,
    _relay: Relay,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A session in which nobody has signed in yet. Directories are in one's own network: no proxy is
/// asked for them.
///
/// # Errors
/// [`Fault::unavailable`] when the directory cannot be spoken with.
pub(super) async fn open(directory: &Directory, egress: &Egress) -> Result<Session, Fault> {
    let (place, asks) = directory.place().ok_or_else(|| unreachable(&"its address is none"))?;
    let tls = TlsConnector::from(directory.tls()?);
    let name = ServerName::try_from(place.host().to_owned());
    let name = name.map_err(|error| unreachable(&error))?;
    let opening = async {
        let dialed = egress.connect_directly(&place, ANSWER_PATIENCE).await;
        let mut tcp = dialed.map_err(|error| unreachable(&error))?;
        if asks {
            ask_for_tls(&mut tcp).await.map_err(|error| unreachable(&error))?;
        }
        let stream = tls.connect(name, tcp).await.map_err(|error| unreachable(&error))?;
        let (stream, relay) = Relay::new(stream).map_err(Fault::internal)?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
        let connecting = LdapConnAsync::with_settings(settings, HERE).await;
        let (connection, ldap) = connecting.map_err(|error| unreachable(&error))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to a directory ended");
            }
        });
        Ok(Session { ldap, driver, _relay: relay })
    };
    tokio::time::timeout(ANSWER_PATIENCE, opening).await.map_err(|_| super::too_slow())?
}

#[cfg(test)]
mod tests;
