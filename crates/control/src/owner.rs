//! The account's one owner: giving the account to somebody else, and the seal.
//!
//! There is always exactly one owner, named by the account and not by roles, so no change of roles
//! makes or unmakes one. The owner's method cannot be deleted; it can stop being the owner's only
//! by [`transfer`], which takes the password and, where there is one, the second factor.
//!
//! A sealed owner is let in and may look after the account, but reaches nothing that is kept in
//! it: the rules of a sealed owner have roles and auth methods only, and since nobody gives what
//! they do not hold, no way around the seal can be made from within. See [`crate::directory`].

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::auth_method::{MethodDetail, SecondFactor};
use keysherd_plane::second_factor::{OwnerSeal, OwnerTransfer, PURPOSE_TRANSFER};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Tx, accounts, auth_methods};

use crate::audit::audit_draft;
use crate::auth::prove_password;
use crate::control::Control;
use crate::guard::Tried;
use crate::second_factor::{self, NotShown, second_factor};
use crate::session::Principal;

/// Makes somebody else the owner.
///
/// # Errors
/// [`Fault::forbidden`] for administrators who are not the owner; [`Fault::unauthorized`] for
/// everybody else, and for a wrong password or code; [`Fault::not_found`] or
/// [`Fault::bad_request`] for a next owner who is none or has no
/// password.
pub(crate) async fn transfer(
    control: &Control,
    caller: &Caller,
    message: OwnerTransfer,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![
        Param::public("name", message.path.to_string()),
        Param::redacted("current-password"),
        Param::redacted("otp"),
    ];
    let draft = audit_draft(caller, &principal, action::TRANSFER_OWNERSHIP, "", params);
    let plan = prove_transfer(control, caller, &principal, &message).await.map(|()| {
        let (account, owner) = (principal.account, principal.method.id);
        move |tx: &Tx| {
            let next = auth_methods::by_path(tx, account, &message.path)?.ok_or_else(|| {
                Fault::not_found(format!("auth method {} does not exist", message.path))
            })?;
            if !matches!(next.detail, MethodDetail::Email { .. }) || next.id == owner {
                return Err(Fault::bad_request(format!(
                    "{} cannot be the next owner; name another auth method of a person, with \
                     e-mail and password",
                    message.path
                )));
            }
            let mut account = current(tx, account, owner)?;
            account.owner_method = next.id;
            account.owner_sealed = None;
            accounts::update(tx, &account).map(|_| Done)
        }
    });
    control.change(draft, plan).await
}

async fn prove_transfer(
    control: &Control,
    caller: &Caller,
    who: &Principal,
    message: &OwnerTransfer,
) -> Result<(), Fault> {
    demand_owner(who)?;
    prove_password(control, caller, PURPOSE_TRANSFER, &who.method, &message.proof).await?;
    prove_factor(control, caller, who, message.otp.as_deref()).await
}

/// Seals the owner, or opens the seal.
///
/// # Errors
/// [`Fault::forbidden`] for all but the owner, and for an owner without a second factor, whose
/// seal nobody could open; [`Fault::unauthorized`] for a wrong code.
pub(crate) async fn seal(
    control: &Control,
    caller: &Caller,
    message: OwnerSeal,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let action = if message.sealed { action::SEAL_OWNER } else { action::UNSEAL_OWNER };
    let draft = audit_draft(caller, &principal, action, "", vec![Param::redacted("otp")]);
    let now = control.now();
    let proven = prove_seal(control, caller, &principal, &message.otp).await;
    let plan = proven.map(|()| {
        let (account, owner) = (principal.account, principal.method.id);
        move |tx: &Tx| {
            let mut account = current(tx, account, owner)?;
            account.owner_sealed = message.sealed.then_some(now);
            accounts::update(tx, &account).map(|_| Done)
        }
    });
    control.change(draft, plan).await
}

async fn prove_seal(
    control: &Control,
    caller: &Caller,
    who: &Principal,
    otp: &str,
) -> Result<(), Fault> {
    demand_owner(who)?;
    if second_factor(&who.method) == SecondFactor::None {
        return Err(Fault::forbidden(
            "the owner has no second factor, so nobody could open the seal; set one up first with \
             mfa-enroll and mfa-confirm",
        ));
    }
    prove_factor(control, caller, who, Some(otp)).await
}

/// Demands the bearer's second factor, if there is one. Wrong ones count as wrong logins.
async fn prove_factor(
    control: &Control,
    caller: &Caller,
    who: &Principal,
    otp: Option<&str>,
) -> Result<(), Fault> {
    let now = control.now();
    let Some(email) = who.method.detail.email() else { return Ok(()) };
    let attempt = control.guard.admit(Tried::Person(email), caller.client.address, false, now);
    let attempt = attempt.map_err(|refused| refused.fault())?;
    match second_factor::check(control, &who.method, otp, now) {
        Ok(None) => Ok(()),
        Ok(Some(spent)) => control.spend(&who.method, spent).await,
        Err(NotShown::Wanted(fault)) => Err(fault),
        Err(NotShown::Wrong) => {
            if let Some(row) = attempt.wrong(now).row {
                control.keep_wrong(row, None, None, now).await?;
            }
            Err(Fault::unauthorized("the one-time code is wrong; send the one your app shows now"))
        }
    }
}

fn demand_owner(who: &Principal) -> Result<(), Fault> {
    who.require_admin()?;
    if who.owner {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "only the account's owner may do this, and access id {} is not the owner",
        who.access_id()
    )))
}

/// The account, if it still is this owner's.
fn current(
    tx: &Tx,
    account: keysherd_base::AccountId,
    owner: i64,
) -> Result<keysherd_domain::account::Account, Fault> {
    let account = accounts::get(tx, account)?;
    let account = account.filter(|account| account.owner_method == owner);
    account.ok_or_else(|| Fault::conflict("the account got another owner meanwhile"))
}

/// What a sealed owner is told beside what is not granted.
pub(crate) fn seal_hint(sealed: Option<Timestamp>) -> String {
    sealed
        .map(|at| format!(" (the owner is sealed since {at}; owner-unseal opens the seal)"))
        .unwrap_or_default()
}
