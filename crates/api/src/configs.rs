//! The configuration that only this gateway has: of clusters and directories it signs for.

use keysherd_base::{AccessId, AccountId, Fault, SecretString};

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
    fn put(&self, config: Config, replaces: Option<&str>) -> Result<(), Fault>;

    /// Of each configuration of `kind`: whose it is, its name, and the method it signs for.
    fn of_kind(&self, kind: &str) -> Vec<(AccountId, String, AccessId)>;

    /// Forgets one, durably on return; whether it was there.
    ///
    /// # Errors
    /// When its file cannot be removed.
    fn remove(&self, account: AccountId, kind: &str, name: &str) -> Result<bool, Fault>;
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

    fn put(&self, _: Config, _: Option<&str>) -> Result<(), Fault> {
        Err(Fault::forbidden("this gateway keeps no configuration"))
    }

    fn of_kind(&self, _: &str) -> Vec<(AccountId, String, AccessId)> {
        Vec::new()
    }

    fn remove(&self, _: AccountId, _: &str, _: &str) -> Result<bool, Fault> {
        Ok(false)
    }
}
