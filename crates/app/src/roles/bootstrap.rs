//! The first start: account, owner, admin role, access key, and the file that tells about them.

use std::sync::Arc;

use keysherd_api::{Services, passwords};
use keysherd_base::{AccessId, AccountId, RngHandle, SecretBytes, SecretString, Uid};
use keysherd_crypto::access_key::AccessKey;
use keysherd_gateway::OriginalKey as KeyToMake;
use keysherd_plane::Caller;
use keysherd_plane::setup::{SetupBegin, SetupBeginReply, SetupComplete, SetupLook, SetupToken};
use serde::{Deserialize, Serialize};

use super::files::DataDir;
use super::gateway::GatewayRole;
use crate::exit::Exit;

/// File with what a newcomer needs, in the data directory.
pub(crate) const BOOTSTRAP: &str = "bootstrap.json";
/// The same before the account exists.
const PENDING: &str = "bootstrap.json.pending";
/// File with the owner's password, in the data directory.
pub(crate) const OWNER_PASSWORD: &str = "owner-password";
/// The owner's address unless the first start names another.
const OWNER_EMAIL: &str = "owner@keysherd.local";

/// What `bootstrap.json` says.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Bootstrap {
    /// Where the server listens.
    pub(crate) url: String,
    /// The certificate authority that signed the server's certificate.
    pub(crate) ca_file: String,
    /// The account.
    pub(crate) account_id: String,
    /// The first administrator.
    pub(crate) access_id: String,
    /// The first administrator's key.
    pub(crate) access_key: String,
    /// The owner's address.
    pub(crate) owner_email: String,
    /// Where the owner's password lies.
    pub(crate) owner_password_file: String,
}

/// What an account is made with.
pub(crate) struct Setup<'a> {
    /// The gateway that has the original key made.
    pub(crate) role: &'a GatewayRole,
    /// The right to make an account.
    pub(crate) token: SetupToken,
    /// The owner's address; a made-up one unless given.
    pub(crate) owner_email: Option<&'a str>,
    /// Where clients find the gateway.
    pub(crate) url: String,
    /// The certificate of the authority that they must trust.
    pub(crate) ca_file: String,
}

/// Makes an account and writes its bootstrap file into `dir`.
///
/// The credentials are durable before the account is: a start that is cut off in between leaves
/// them in the pending file, where [`finish`] finds them.
pub(crate) async fn create_account(setup: Setup<'_>, dir: &DataDir) -> Result<Bootstrap, Exit> {
    let Setup { role, token, owner_email, url, ca_file } = setup;
    let Services { plane, rng, .. } = &*role.services;
    let made = make_original_key(role, &token).await?;
    // 32 random bytes as text; as strong as the access key, and typed about as gladly.
    let password = random_key(rng)?.text();
    dir.write(OWNER_PASSWORD, password.expose().as_bytes())?;
    let owner_password = passwords::new_password(&**rng, password).await?;
    let key = random_key(rng)?;
    let admin_access_id =
        AccessId::random(&**rng).map_err(|error| Exit::Damaged(error.to_string()))?;
    let owner_email = owner_email.unwrap_or(OWNER_EMAIL).to_owned();
    let bootstrap = Bootstrap {
        url,
        ca_file,
        account_id: made.account.to_string(),
        access_id: admin_access_id.to_string(),
        access_key: key.text().expose().clone(),
        owner_email: owner_email.clone(),
        owner_password_file: dir.join(OWNER_PASSWORD).display().to_string(),
    };
    dir.write(PENDING, &encoded(&bootstrap)?)?;
    let complete = SetupComplete {
        token,
        account: made.account.0,
        owner_email,
        owner_password,
        admin_public_key: key.signing_key().public().0,
        admin_access_id,
        key_id: made.key_id,
        manifest: made.manifest,
        managers: made.managers,
        threshold: made.threshold,
        customer_fragment: None,
    };
    let completed = plane.ask(server_call(rng)?, complete).await;
    completed.map_err(|fault| Exit::of_another_role(&fault))?;
    dir.rename(PENDING, BOOTSTRAP)?;
    Ok(bootstrap)
}

/// Makes good what an earlier start could not finish: credentials whose account exists become the
/// bootstrap file, others are forgotten.
pub(crate) async fn finish(services: &Services, dir: &DataDir) -> Result<(), Exit> {
    let Some(pending) = read_file(dir, PENDING)? else { return Ok(()) };
    let exists = match AccountId::parse(&pending.account_id) {
        Ok(AccountId(account)) => {
            let caller = server_call(&services.rng)?;
            let looked = services.plane.ask(caller, SetupLook { account }).await;
            looked.map_err(|fault| Exit::of_another_role(&fault))?.exists
        }
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

/// The bootstrap file's content with the owner's password in it instead of its file, as JSON.
pub(crate) fn shown(bootstrap: &Bootstrap, dir: &DataDir) -> Result<SecretString, Exit> {
    #[derive(Serialize)]
    struct Shown<'a> {
        url: &'a str,
        ca_file: &'a str,
        account_id: &'a str,
        access_id: &'a str,
        access_key: &'a str,
        owner_email: &'a str,
        owner_password: &'a str,
    }
    let Bootstrap { url, ca_file, account_id, access_id, access_key, owner_email, .. } = bootstrap;
    let password = SecretBytes::new(dir.read(OWNER_PASSWORD)?.unwrap_or_default());
    let owner_password = std::str::from_utf8(password.expose()).unwrap_or_default().trim_end();
    let text = serde_json::to_string_pretty(&Shown {
        url,
        ca_file,
        account_id,
        access_id,
        access_key,
        owner_email,
        owner_password,
    });
    let text = text.map_err(|error| Exit::Damaged(error.to_string()))?;
    Ok(SecretString::new(text + "\n"))
}

/// Removes the credentials that [`create_account`] wrote, because somebody else has them now.
pub(crate) fn remove(dir: &DataDir) -> Result<(), Exit> {
    dir.remove(BOOTSTRAP)?;
    dir.remove(OWNER_PASSWORD)
}

/// Refuses a directory that holds the credentials of another account.
pub(crate) fn require_room(dir: &DataDir) -> Result<(), Exit> {
    for name in [BOOTSTRAP, OWNER_PASSWORD] {
        if dir.read(name)?.is_some() {
            let file = dir.join(name);
            return Err(Exit::Files(format!("{} exists; choose another --out", file.display())));
        }
    }
    Ok(())
}

/// Writes the bootstrap file.
pub(crate) fn write(dir: &DataDir, bootstrap: &Bootstrap) -> Result<(), Exit> {
    dir.write(BOOTSTRAP, &encoded(bootstrap)?)
}

/// Reads the bootstrap file of an earlier start; `None` when it was removed, as it should be once
/// the access key is kept elsewhere.
pub(crate) fn read(dir: &DataDir) -> Result<Option<Bootstrap>, Exit> {
    read_file(dir, BOOTSTRAP)
}

fn read_file(dir: &DataDir, name: &str) -> Result<Option<Bootstrap>, Exit> {
    let Some(text) = dir.read(name)? else { return Ok(None) };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| Exit::Damaged(format!("{}: {error}", dir.join(name).display())))
}

/// An original key, and the account that it is for.
struct MadeKey {
    account: AccountId,
    key_id: Uid,
    manifest: Arc<[u8]>,
    managers: u8,
    threshold: u8,
}

async fn make_original_key(role: &GatewayRole, token: &SetupToken) -> Result<MadeKey, Exit> {
    let Services { plane, rng, .. } = &*role.services;
    let random = || Uid::random(&**rng).map_err(|error| Exit::Damaged(error.to_string()));
    let (account, key_id) = (AccountId(random()?), random()?);
    let self_test_salt: [u8; 32] = rng.array().map_err(|error| Exit::Damaged(error.to_string()))?;
    let begin = SetupBegin { token: token.clone(), account: account.0, key_id, self_test_salt };
    let refused = |fault| Exit::of_another_role(&fault);
    let begun = plane.ask(server_call(rng)?, begin).await;
    let SetupBeginReply { group, permit } = begun.map_err(refused)?;
    let managers = u8::try_from(role.gateway.manager_count()).unwrap_or(u8::MAX);
    let to_make = KeyToMake { account, key_id, group, managers, permit, self_test_salt };
    let made = role.gateway.make_original_key(to_make).await;
    let (manifest, threshold) = made.map_err(refused)?;
    Ok(MadeKey { account, key_id, manifest, managers, threshold })
}

fn server_call(rng: &RngHandle) -> Result<Caller, Exit> {
    let request = Uid::random(&**rng).map_err(|error| Exit::Damaged(error.to_string()))?;
    Ok(Caller::of_the_server(request))
}

fn random_key(rng: &RngHandle) -> Result<AccessKey, Exit> {
    AccessKey::generate(&**rng).map_err(|error| Exit::Damaged(error.to_string()))
}
