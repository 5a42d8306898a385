//! The control plane over its directory: keys, store, and the token for the first account.

use std::sync::Arc;

use keysherd_audit::HEAD_LABEL;
use keysherd_base::{ClockHandle, RngHandle};
use keysherd_control::{Control, ControlConfig, ControlKeys, Gateways, Web, WebSettings};
use keysherd_crypto::hash::sha256;
use keysherd_plane::setup::SetupToken;
use keysherd_store::{PostgresSettings, Store, StoreConfig};

use super::files::DataDir;
use crate::exit::Exit;

/// Directory of the store in control's own.
const STORE: &str = "store";
/// Directory of the keys in control's own.
const KEYS: &str = "keys";
/// Connections for reading when the store is on a server, where each read waits for the network.
const DATABASE_READERS: usize = 12;
/// File that lets a gateway make an account, once.
pub(crate) const SETUP_TOKEN: &str = "setup-token";

/// What a control plane works with, wherever it runs.
pub(crate) struct Places<'a> {
    /// Its directory.
    pub(crate) dir: &'a DataDir,
    /// Where its store is; `None`: in the directory.
    pub(crate) database: Option<PostgresSettings>,
    /// How identity providers are reached.
    pub(crate) web: &'a WebSettings,
}

/// A control plane and the store it works on.
pub(crate) struct ControlRole {
    /// The use cases.
    pub(crate) control: Control,
    /// Where everything is kept.
    pub(crate) store: Store,
}

/// The keys of the control plane in `dir`, made at the first start.
pub(crate) fn keys(dir: &DataDir, rng: &RngHandle) -> Result<ControlKeys, Exit> {
    let keys = dir.join(KEYS);
    // The store is opened after the keys, so only a first start has none.
    if dir.join(STORE).is_dir() {
        return Ok(ControlKeys::load_and_complete(&keys, &**rng)?);
    }
    Ok(ControlKeys::create_or_load(&keys, &**rng)?)
}

impl ControlRole {
    /// Opens the control plane for the gateways that `gateways` names.
    pub(crate) fn open(
        places: Places<'_>,
        keys: ControlKeys,
        gateways: Arc<dyn Gateways>,
        clock: ClockHandle,
        rng: RngHandle,
    ) -> Result<Self, Exit> {
        let audit_key = keys.audit.clone();
        let head_signer = move |body: &[u8]| audit_key.sign(HEAD_LABEL, body).0;
        let signer = Arc::new(head_signer);
        let Places { dir, database, web } = places;
        let mut config = StoreConfig::new(dir.join(STORE), sha256, signer, clock.clone());
        let shared = database.is_some();
        if shared {
            config.database = database;
            // Others may work on it at the same time: what control has in memory follows it.
            config.alone = false;
            config.readers = DATABASE_READERS;
        }
        let store = Store::open(config)?;
        let control = Control::open(ControlConfig {
            store: store.clone(),
            clock,
            rng,
            keys,
            gateways,
            setup_token: Some(dir.join(SETUP_TOKEN)),
            web: Web::new(web)?,
            shared,
        })?;
        Ok(Self { control, store })
    }
}

/// Writes a fresh setup token into `dir`; one that was there is good for nothing any more.
pub(crate) fn write_setup_token(dir: &DataDir, rng: &RngHandle) -> Result<SetupToken, Exit> {
    let bytes: [u8; 32] = rng.array().map_err(|error| Exit::Damaged(error.to_string()))?;
    let token = hex::encode(bytes);
    dir.write(SETUP_TOKEN, format!("{token}\n").as_bytes())?;
    Ok(SetupToken(token.into()))
}

/// Does what is due: deletions whose time has come, and records of logins refused again and again.
pub(crate) async fn purge(control: &Control, clock: &ClockHandle) {
    if let Err(fault) = control.purge_due(clock.now()).await {
        tracing::warn!(%fault, "deletions that are due did not take place");
    }
    if let Err(fault) = control.tend_uid_tokens(clock.now()).await {
        tracing::warn!(%fault, "events of universal-identity tokens were not raised");
    }
    if let Err(fault) = control.record_refused_logins(clock.now()).await {
        tracing::warn!(%fault, "refused logins could not be recorded");
    }
}
