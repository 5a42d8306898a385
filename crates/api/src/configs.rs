//! What gateways are configured with and control does not know: clusters and directories they sign
//! for, and others' secrets. Of one gateway, or of all gateways of a cluster together.

use keysherd_base::{AccessId, AccountId, Fault, ItemPath, SecretString};
use keysherd_plane::BoxFuture;
use tokio::sync::watch;

/// One configuration. Its body has secrets.
#[derive(Debug)]
pub struct Config {
    /// Whose it is.
    pub account: AccountId,
    /// What it is of, such as `k8s`.
    pub kind: &'static str,
    /// Its name among those of its kind; empty where there is only one.
    pub name: String,
    /// The auth method it signs for.
    pub access_id: AccessId,
    /// JSON, in the form of its kind.
    pub body: SecretString,
}

/// Which configuration, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigName {
    /// Whose it is.
    pub account: AccountId,
    /// Its name among those of its kind.
    pub name: String,
    /// The auth method it signs for.
    pub access_id: AccessId,
    /// Whether all gateways of the cluster have it; otherwise this one only.
    pub shared: bool,
}

/// Keeps configurations.
pub trait Configs: Send + Sync {
    /// The body of the configuration of `kind` called `name` that signs for `access_id`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn of_method(
        &self,
        kind: &str,
        name: &str,
        access_id: &AccessId,
    ) -> Result<Option<SecretString>, Fault>;

    /// The same by the account it belongs to, with the method it signs for.
    ///
    /// # Errors
    /// When it cannot be read.
    fn get(
        &self,
        account: AccountId,
        kind: &str,
        name: &str,
    ) -> Result<Option<(AccessId, SecretString)>, Fault>;

    /// Keeps `config`, durably on return. It takes the place of the one called `replaces`, which
    /// must be there; without that, its own name must be free.
    ///
    /// # Errors
    /// [`Fault::conflict`] when the name is taken, [`Fault::not_found`] when there is nothing to
    /// replace, [`Fault::bad_request`] when it is too long or there are too many.
    fn put<'a>(
        &'a self,
        config: Config,
        replaces: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// Keeps `config` as [`Self::put`] does, in place of the one of its name, which it was made
    /// from: that must still be what [`Self::get`] gave, which is `read`. `None`: there was none.
    ///
    /// # Errors
    /// As [`Self::put`]; [`Fault::conflict`] when somebody else changed it in between.
    fn put_changed<'a>(
        &'a self,
        config: Config,
        read: Option<&'a (AccessId, SecretString)>,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// Whether what is kept for `account` from now on is for all gateways of a cluster.
    ///
    /// # Errors
    /// When that is not known yet.
    fn is_shared(&self, account: AccountId) -> Result<bool, Fault>;

    /// The body of the cluster's configuration of `kind` that has no name; `None` when there is
    /// none, or the gateway is in no cluster. Waits a moment for what a gateway that has only just
    /// started does not know yet.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when it is not known by then.
    fn of_cluster<'a>(
        &'a self,
        kind: &'a str,
    ) -> BoxFuture<'a, Result<Option<SecretString>, Fault>>;

    /// Seals the configuration of the account's cluster anew, under another key if one is named,
    /// which all later ones have as well; gives its version.
    ///
    /// # Errors
    /// [`Fault::conflict`] when the gateway is in no cluster of the account, or somebody changes
    /// the configuration at the same time; those of the key.
    fn reseal(
        &self,
        account: AccountId,
        key: Option<ItemPath>,
    ) -> BoxFuture<'_, Result<u32, Fault>>;

    /// The version of the cluster's configuration that is in force; 0: none.
    fn version(&self) -> u32;

    /// The configurations of `kind` that are in force now.
    fn of_kind(&self, kind: &str) -> Vec<ConfigName>;

    /// Wakes whenever something else may be in force, whoever changed it. An error means that
    /// nothing changes any more.
    fn news(&self) -> watch::Receiver<()>;

    /// Forgets one, durably on return; whether it was there.
    ///
    /// # Errors
    /// When its file cannot be removed.
    fn remove<'a>(
        &'a self,
        account: AccountId,
        kind: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<bool, Fault>>;
}

/// What is said where something is a cluster's, and the gateway is in none.
pub fn in_no_cluster() -> Fault {
    Fault::conflict(
        "this gateway is in no cluster of the account; start it with --gateway-access-id, or ask \
         one that is",
    )
}

/// A gateway without any, which keeps none.
#[derive(Debug)]
pub struct NoConfigs;

impl Configs for NoConfigs {
    fn of_method(&self, _: &str, _: &str, _: &AccessId) -> Result<Option<SecretString>, Fault> {
        Ok(None)
    }

    fn get(
        &self,
        _: AccountId,
        _: &str,
        _: &str,
    ) -> Result<Option<(AccessId, SecretString)>, Fault> {
        Ok(None)
    }

    fn put<'a>(&'a self, _: Config, _: Option<&'a str>) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { Err(Fault::forbidden("this gateway keeps no configuration")) })
    }

    fn put_changed<'a>(
        &'a self,
        config: Config,
        _: Option<&'a (AccessId, SecretString)>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        self.put(config, None)
    }

    fn is_shared(&self, _: AccountId) -> Result<bool, Fault> {
        Ok(false)
    }

    fn of_cluster<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SecretString>, Fault>> {
        Box::pin(async { Ok(None) })
    }

    fn reseal(&self, _: AccountId, _: Option<ItemPath>) -> BoxFuture<'_, Result<u32, Fault>> {
        Box::pin(async { Err(in_no_cluster()) })
    }

    fn version(&self) -> u32 {
        0
    }

    fn of_kind(&self, _: &str) -> Vec<ConfigName> {
        Vec::new()
    }

    fn news(&self) -> watch::Receiver<()> {
        watch::Sender::new(()).subscribe()
    }

    fn remove<'a>(
        &'a self,
        _: AccountId,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async { Ok(false) })
    }
}
