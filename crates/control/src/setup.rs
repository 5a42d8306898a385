//! Accounts made through a gateway: what a setup token allows, once.
//!
//! The token is the content of a file beside the store. Reading the file each time keeps one rule
//! for all cases: as long as the file is there, one account can be made; then it is removed.

use std::fs;
use std::io;
use std::path::Path;

use keysherd_base::{AccountId, Fault, SecretBytes};
use keysherd_crypto::hash::sha256;
use keysherd_plane::Done;
use keysherd_plane::setup::{
    SetupBegin, SetupBeginReply, SetupComplete, SetupLook, SetupLookReply, SetupToken,
};

use crate::bootstrap::{NewAccount, OriginalKey};
use crate::control::Control;
use crate::gateways::GatewayIdentity;

/// Fewest characters of a token: 128 bits in hexadecimal.
const TOKEN_BYTES_MIN: usize = 32;
/// Longest token file.
const TOKEN_BYTES_MAX: u64 = 1_024;

/// Whether an account exists.
///
/// # Errors
/// Only when the store is broken.
pub(crate) fn look(control: &Control, message: SetupLook) -> Result<SetupLookReply, Fault> {
    let exists = control.has_account(AccountId(message.account))?;
    Ok(SetupLookReply { exists })
}

/// Permits to make an account's original key.
///
/// # Errors
/// [`Fault::unauthorized`] for a wrong token, or when there is none; [`Fault::conflict`] when the
/// account exists.
pub(crate) fn begin(
    control: &Control,
    gateway: &GatewayIdentity,
    message: SetupBegin,
) -> Result<SetupBeginReply, Fault> {
    let SetupBegin { token, account, key_id, self_test_salt } = message;
    admit(control, &token)?;
    let account = AccountId(account);
    if control.has_account(account)? {
        return Err(Fault::conflict(format!("account {account} exists already")));
    }
    let group = control.group_of(gateway)?;
    let permit = control.permit_original_key(account, key_id, self_test_salt, gateway)?;
    Ok(SetupBeginReply { group, permit })
}

/// Makes the account and removes the token.
///
/// # Errors
/// As [`begin`], and as [`Control::create_account`].
pub(crate) async fn complete(
    control: &Control,
    gateway: &GatewayIdentity,
    message: SetupComplete,
) -> Result<Done, Fault> {
    admit(control, &message.token)?;
    let original_key = OriginalKey {
        key_id: message.key_id,
        group: control.group_of(gateway)?,
        manifest: message.manifest,
        managers: message.managers,
        threshold: message.threshold,
        customer_fragment: message.customer_fragment,
    };
    let new = NewAccount {
        account: AccountId(message.account),
        owner_email: message.owner_email,
        owner_password: message.owner_password,
        admin_public_key: message.admin_public_key,
        admin_access_id: message.admin_access_id,
        original_key,
    };
    // Taken before the account is made: two gateways that ask at the same time get one account.
    let file = control.setup_token.as_deref().ok_or_else(no_setup)?;
    let claimed = file.with_extension("used");
    fs::rename(file, &claimed).map_err(|error| cannot(file, &error))?;
    match control.create_account(new).await {
        Ok(_) => {
            fs::remove_file(&claimed).map_err(|error| cannot(&claimed, &error))?;
            Ok(Done)
        }
        Err(fault) => {
            fs::rename(&claimed, file).map_err(|error| cannot(file, &error))?;
            Err(fault)
        }
    }
}

/// Demands the token that the file holds.
fn admit(control: &Control, token: &SetupToken) -> Result<(), Fault> {
    let file = control.setup_token.as_deref().ok_or_else(no_setup)?;
    let expected = match read(file) {
        Ok(bytes) => SecretBytes::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(no_setup()),
        Err(error) => return Err(cannot(file, &error)),
    };
    let expected = expected.expose().trim_ascii();
    // Hashes are compared, so that the time taken says nothing of the token.
    let same = sha256(&[expected]) == sha256(&[token.0.trim().as_bytes()]);
    if same && expected.len() >= TOKEN_BYTES_MIN {
        return Ok(());
    }
    Err(Fault::unauthorized(
        "the setup token is not the one in control's data directory; copy the file again",
    ))
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > TOKEN_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too long"));
    }
    fs::read(file)
}

fn no_setup() -> Fault {
    Fault::unauthorized(
        "no account can be set up: control holds no setup token; run keysherd control setup-token \
         on its machine",
    )
}

fn cannot(file: &Path, error: &io::Error) -> Fault {
    Fault::internal(format!("{}: {error}", file.display()))
}
