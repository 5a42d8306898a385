//! Orders to the managers that only the owner can give, signed into a file for anybody to carry.

use std::path::PathBuf;

use keysherd_base::{Clock as _, SystemClock, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::labels;
use keysherd_fragments::order::{FreezeScope, OrderAction, OwnerOrder};

use super::home::OwnerHome;
use super::key::OwnerSecrets;
use super::sign::{Consent, agree};
use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::process::write_stdout;

/// What `keysherd owner order` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// What to do.
    pub(super) action: OrderAction,
    /// Days for which managers take the order.
    pub(super) valid_days: i64,
    /// Where the signed order goes.
    pub(super) out: PathBuf,
}

/// Signs an order.
pub(super) fn sign(
    home: &OwnerHome,
    secrets: &OwnerSecrets,
    consent: &Consent,
    order: &Order,
) -> Result<(), Exit> {
    let bundle = home.bundle()?.ok_or_else(|| {
        Exit::Configuration("there is no signed bundle yet, so no manager would obey".to_owned())
    })?;
    if let Some(name) = group_of(&order.action)
        && bundle.bundle().group(name).is_none()
    {
        return Err(Exit::Configuration(format!("the bundle has no group '{name}'")));
    }
    let now = SystemClock.now();
    let statement = OwnerOrder {
        deployment: bundle.bundle().deployment,
        order_id: Uid::random(&*SystemRng::handle())
            .map_err(|error| Exit::Damaged(error.to_string()))?,
        issued_at: now,
        expires_at: now.plus_seconds(order.valid_days.saturating_mul(86_400)),
        action: order.action.clone(),
    };
    let delay = bundle.bundle().destroy_delay_seconds;
    write_stdout(&format!(
        "order {}: {}\n  managers take it until {}\n",
        statement.order_id,
        in_words(&order.action, delay),
        statement.expires_at
    ));
    if consent.dry_run {
        write_stdout("dry run: nothing was signed or written\n");
        return Ok(());
    }
    agree(consent, "Sign this order?")?;
    let signed = home.key(secrets)?.seal(labels::SIGN_ORDER, statement.to_bytes())?;
    write_out(&order.out, &signed.to_bytes())?;
    write_stdout(&format!(
        "signed: {}\nnext: give that file to every manager, through a gateway or control\n",
        order.out.display()
    ));
    Ok(())
}

fn write_out(path: &std::path::Path, bytes: &[u8]) -> Result<(), Exit> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Exit::Files(format!("{}: {error}", path.display()));
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn group_of(action: &OrderAction) -> Option<&str> {
    match action {
        OrderAction::Freeze { scope: FreezeScope::Group(name) }
        | OrderAction::Unfreeze { scope: FreezeScope::Group(name) } => Some(name),
        _ => None,
    }
}

fn in_words(action: &OrderAction, delay_seconds: u32) -> String {
    let scope_in_words = |scope: &FreezeScope| match scope {
        FreezeScope::Group(name) => format!("all keys of group {name}"),
        FreezeScope::Key { account, id } => format!("key {id} of {account}"),
    };
    match action {
        OrderAction::DestroyVersion { key } => format!(
            "DESTROY version {} of key {} of {}: {delay_seconds} seconds after a manager takes it, \
             its fragments are erased, and what is encrypted under it can never be read again",
            key.version, key.id, key.account
        ),
        OrderAction::CancelDestroy { key } => {
            format!("do not destroy version {} of key {} of {}", key.version, key.id, key.account)
        }
        OrderAction::Freeze { scope } => {
            format!("freeze {}: nothing is read or written under them", scope_in_words(scope))
        }
        OrderAction::Unfreeze { scope } => format!("unfreeze {}", scope_in_words(scope)),
    }
}

/// The default name of an order's file.
pub(super) fn default_out(dir: &DataDir, verb: &str) -> PathBuf {
    let at = SystemClock.now().seconds();
    dir.join(&format!("{verb}-{at}.order"))
}
