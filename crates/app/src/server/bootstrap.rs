//! The first start: account, owner, admin role, access key, and the file that tells about them.

use keysherd_api::passwords;
use keysherd_base::{AccessId, AccountId, Uid};
use keysherd_control::{NewAccount, OriginalKey};
use keysherd_crypto::access_key::AccessKey;
use keysherd_gateway::OriginalKey as KeyToMake;
use serde::{Deserialize, Serialize};

use super::files::DataDir;
use super::roles::{MANAGERS, Roles};
use super::trust;
use crate::exit::Exit;

/// File with what a newcomer needs, in the data directory.
pub(super) const BOOTSTRAP: &str = "bootstrap.json";
/// The same before the account exists.
const PENDING: &str = "bootstrap.json.pending";
/// File with the owner's password, in the data directory.
pub(super) const OWNER_PASSWORD: &str = "owner-password";
/// The owner's address unless the first start names another.
const OWNER_EMAIL: &str = "owner@keysherd.local";

/// What `bootstrap.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bootstrap {
    /// Where the server listens.
    pub(super) url: String,
    /// The certificate authority that signed the server's certificate.
    pub(super) ca_file: String,
    /// The account.
    pub(super) account_id: String,
    /// The first administrator.
    pub(super) access_id: String,
    /// The first administrator's key.
    pub(super) access_key: String,
    /// The owner's address.
    pub(super) owner_email: String,
    /// Where the owner's password lies.
    pub(super) owner_password_file: String,
}

/// Makes an account and writes its bootstrap file into `dir`.
///
/// The credentials are durable before the account is: a start that is cut off in between leaves
/// them in the pending file, where [`finish`] finds them.
pub(super) async fn create_account(
    roles: &Roles,
    dir: &DataDir,
    owner_email: Option<&str>,
    url: String,
    ca_file: String,
) -> Result<Bootstrap, Exit> {
    let (account, original_key) = make_original_key(roles).await?;
    // 32 random bytes as text; as strong as the access key, and typed about as gladly.
    let password = random_key(roles)?.text();
    dir.write(OWNER_PASSWORD, password.expose().as_bytes())?;
    let owner_password = passwords::new_password(&*roles.rng, password).await?;
    let key = random_key(roles)?;
    let admin_access_id =
        AccessId::random(&*roles.rng).map_err(|error| Exit::Damaged(error.to_string()))?;
    let owner_email = owner_email.unwrap_or(OWNER_EMAIL).to_owned();
    let bootstrap = Bootstrap {
        url,
        ca_file,
        account_id: account.to_string(),
        access_id: admin_access_id.to_string(),
        access_key: key.text().expose().clone(),
        owner_email: owner_email.clone(),
        owner_password_file: dir.join(OWNER_PASSWORD).display().to_string(),
    };
    dir.write(PENDING, &encoded(&bootstrap)?)?;
    roles
        .control
        .create_account(NewAccount {
            account,
            owner_email,
            owner_password,
            admin_public_key: key.signing_key().public().0,
            admin_access_id,
            original_key,
        })
        .await?;
    dir.rename(PENDING, BOOTSTRAP)?;
    Ok(bootstrap)
}

/// Makes good what an earlier start could not finish: credentials whose account exists become the
/// bootstrap file, others are forgotten.
pub(super) fn finish(roles: &Roles, dir: &DataDir) -> Result<(), Exit> {
    let Some(pending) = read_file(dir, PENDING)? else { return Ok(()) };
    let exists = match AccountId::parse(&pending.account_id) {
        Ok(account) => roles.control.has_account(account)?,
        Err(_) => false,
    };
    if exists { dir.rename(PENDING, BOOTSTRAP) } else { dir.remove(PENDING) }
}

fn encoded(bootstrap: &Bootstrap) -> Result<Vec<u8>, Exit> {
    let mut text =
        serde_json::to_vec_pretty(bootstrap).map_err(|error| Exit::Damaged(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// Writes the bootstrap file.
pub(super) fn write(dir: &DataDir, bootstrap: &Bootstrap) -> Result<(), Exit> {
    dir.write(BOOTSTRAP, &encoded(bootstrap)?)
}

/// Reads the bootstrap file of an earlier start; `None` when it was removed, as it should be once
/// the access key is kept elsewhere.
pub(super) fn read(dir: &DataDir) -> Result<Option<Bootstrap>, Exit> {
    read_file(dir, BOOTSTRAP)
}

fn read_file(dir: &DataDir, name: &str) -> Result<Option<Bootstrap>, Exit> {
    let Some(text) = dir.read(name)? else { return Ok(None) };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| Exit::Damaged(format!("{}: {error}", dir.join(name).display())))
}

async fn make_original_key(roles: &Roles) -> Result<(AccountId, OriginalKey), Exit> {
    let random = || Uid::random(&*roles.rng).map_err(|error| Exit::Damaged(error.to_string()));
    let (account, key_id) = (AccountId(random()?), random()?);
    let salt: [u8; 32] = roles.rng.array().map_err(|error| Exit::Damaged(error.to_string()))?;
    let permit =
        roles.control.permit_original_key(account, key_id, salt, &roles.gateway_identity)?;
    let to_make = KeyToMake {
        account,
        key_id,
        group: trust::GROUP.to_owned(),
        managers: MANAGERS,
        permit,
        self_test_salt: salt,
    };
    let (manifest, threshold) = roles.gateway.make_original_key(to_make).await?;
    let key = OriginalKey {
        key_id,
        group: trust::GROUP.to_owned(),
        manifest,
        managers: MANAGERS,
        threshold,
        customer_fragment: None,
    };
    Ok((account, key))
}

fn random_key(roles: &Roles) -> Result<AccessKey, Exit> {
    AccessKey::generate(&*roles.rng).map_err(|error| Exit::Damaged(error.to_string()))
}
