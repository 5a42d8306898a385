//! Second factors of people: one-time codes of an app, and recovery codes for when it is lost.
//!
//! A seed lies in the store under control's own key ([`keysherd_crypto::vault`]), bound to its
//! method. A code is good once: its time step is used up in the store before the login succeeds.
//! Wrong codes are wrong logins; see [`crate::guard`].

use keysherd_audit::action;
use keysherd_base::{Fault, SecretBytes, Timestamp};
use keysherd_crypto::totp;
use keysherd_crypto::vault::VaultKey;
use keysherd_domain::auth_method::{AuthMethod, MethodDetail, SecondFactor};
use keysherd_plane::second_factor::{
    CODE_NOT_SET_UP, CODE_WANTED, FactorConfirm, FactorConfirmReply, FactorEnroll,
    FactorEnrollReply, FactorRemove, PURPOSE_SECOND_FACTOR,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::second_factors::{self, SecondFactorRow};
use keysherd_store::{Tx, auth_methods};

use crate::admission::admits;
use crate::audit::draft_of;
use crate::control::Control;
use crate::guard::Attempt;
use crate::login::{proven_person, wrong_person};

/// What seeds are sealed for.
const PURPOSE: &str = "second-factor-seed";
/// Recovery codes of one person.
const RECOVERY_CODES: usize = 10;
/// Bytes of one: 80 bits, sixteen characters.
const RECOVERY_BYTES: usize = 10;
/// Longest text that is looked at as a code.
const OTP_BYTES_MAX: usize = 64;
/// What apps show beside the person's address.
const ISSUER: &str = "Keysherd";

/// What a good code uses up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// A time step.
    Step(i64),
    /// A recovery code, by its hash.
    Recovery(String),
}

/// Why a second factor does not let in.
#[derive(Debug)]
pub(crate) enum NotShown {
    /// None was given, or there is none to give: what to do.
    Wanted(Fault),
    /// It is wrong.
    Wrong,
}

impl From<Fault> for NotShown {
    fn from(fault: Fault) -> Self {
        Self::Wanted(fault)
    }
}

/// Whether the method's second factor, if it has one, is shown by `otp`.
///
/// # Errors
/// [`NotShown`]; a store that cannot be read comes as [`NotShown::Wanted`] with its fault.
pub(crate) fn check(
    control: &Control,
    method: &AuthMethod,
    otp: Option<&str>,
    now: Timestamp,
) -> Result<Option<Spent>, NotShown> {
    if second_factor(method) == SecondFactor::None {
        return Ok(None);
    }
    let row = control.store.read(|reader| second_factors::get(reader, method.id))?;
    let Some(row) = row.filter(|row| row.confirmed) else {
        return Err(NotShown::Wanted(not_set_up()));
    };
    let Some(otp) = otp.map(str::trim).filter(|otp| !otp.is_empty()) else {
        return Err(NotShown::Wanted(wanted()));
    };
    shown(control, method, &row, otp, now)?.map(Some).ok_or(NotShown::Wrong)
}

fn shown(
    control: &Control,
    method: &AuthMethod,
    row: &SecondFactorRow,
    otp: &str,
    now: Timestamp,
) -> Result<Option<Spent>, Fault> {
    if otp.len() > OTP_BYTES_MAX {
        return Ok(None);
    }
    let seed = open(control, method, row)?;
    let step = totp::accepted_step(&seed, otp, now, row.last_step);
    let hash = recovery_hash(control, method, otp);
    let recovery = row.recovery.contains(&hash).then_some(Spent::Recovery(hash));
    Ok(step.map(Spent::Step).or(recovery))
}

impl Control {
    /// Uses up what was shown, durably.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when somebody else was first.
    pub(crate) async fn spend(&self, method: &AuthMethod, spent: Spent) -> Result<(), Fault> {
        let id = method.id;
        let used = move |tx: &Tx| match &spent {
            Spent::Step(step) => second_factors::use_step(tx, id, *step),
            Spent::Recovery(hash) => second_factors::use_recovery(tx, id, hash),
        };
        match self.store.commit(Vec::new(), used).await? {
            true => Ok(()),
            false => Err(Fault::unauthorized("this one-time code was used; wait for the next")),
        }
    }

    /// Demands the method's second factor of a login that is being tried, and uses it up; gives
    /// the attempt back.
    ///
    /// # Errors
    /// What the caller is told; counted and recorded as a login.
    pub(crate) async fn demand_factor<'g>(
        &self,
        caller: &Caller,
        attempt: Attempt<'g>,
        method: &AuthMethod,
        otp: Option<&str>,
    ) -> Result<Attempt<'g>, Fault> {
        let spent = match check(self, method, otp, self.now()) {
            Ok(None) => return Ok(attempt),
            Ok(Some(spent)) => spent,
            Err(NotShown::Wanted(fault)) => {
                return Err(self.refused_login(caller, attempt, Some(method), fault).await);
            }
            Err(NotShown::Wrong) => {
                return Err(self.wrong_login(caller, attempt, Some(method), wrong()).await);
            }
        };
        match self.spend(method, spent).await {
            Ok(()) => Ok(attempt),
            Err(fault) => Err(self.wrong_login(caller, attempt, Some(method), fault).await),
        }
    }
}

/// Makes a seed.
///
/// # Errors
/// As a login; [`Fault::conflict`] when a second factor is in force.
pub(crate) async fn enroll(
    control: &Control,
    caller: &Caller,
    message: FactorEnroll,
) -> Result<FactorEnrollReply, Fault> {
    let FactorEnroll { subject, proof } = message;
    let (method, attempt) =
        proven_person(control, caller, PURPOSE_SECOND_FACTOR, subject, &proof).await?;
    let kept = control.keep_cleared(attempt.good(control.now()));
    let draft = draft_of(caller, method.account, Some(&method), action::ENROLL_SECOND_FACTOR);
    let admitted = admitted(control, caller, &method).await;
    let plan = admitted.and_then(|()| plan_enroll(control, &method));
    let reply = control.change(draft, plan).await?;
    kept.await?;
    Ok(reply)
}

fn plan_enroll(
    control: &Control,
    method: &AuthMethod,
) -> Result<impl FnOnce(&Tx) -> Result<FactorEnrollReply, Fault> + use<>, Fault> {
    let seed = totp::new_seed(&*control.rng)?;
    let context = context(method);
    let row = SecondFactorRow {
        method: method.id,
        sealed: control.vault.seal(PURPOSE, &context, &seed, &*control.rng)?,
        confirmed: false,
        last_step: 0,
        recovery: Vec::new(),
        created: control.now(),
    };
    let email = method.detail.email().unwrap_or_default();
    let reply = FactorEnrollReply {
        secret: totp::base32(seed.expose()).expose().clone(),
        uri: totp::uri(&seed, ISSUER, email).expose().clone(),
    };
    Ok(move |tx: &Tx| {
        if second_factors::get(tx, row.method)?.is_some_and(|before| before.confirmed) {
            return Err(Fault::conflict(
                "a second factor is in force; take it away first with mfa-remove",
            ));
        }
        second_factors::put(tx, &row)?;
        Ok(reply)
    })
}

/// Puts a seed in force. Tokens that were given without it die.
///
/// # Errors
/// As a login; [`Fault::bad_request`] when there is no seed, [`Fault::conflict`] when it is in
/// force.
pub(crate) async fn confirm(
    control: &Control,
    caller: &Caller,
    message: FactorConfirm,
) -> Result<FactorConfirmReply, Fault> {
    let FactorConfirm { subject, proof, otp } = message;
    let now = control.now();
    let (method, attempt) =
        proven_person(control, caller, PURPOSE_SECOND_FACTOR, subject, &proof).await?;
    let row = control.store.read(|reader| second_factors::get(reader, method.id))?;
    let found = match row {
        None => Err(Fault::bad_request("there is no seed to confirm; begin with mfa-enroll")),
        Some(row) if row.confirmed => Err(Fault::conflict("the second factor is in force")),
        Some(row) => admitted(control, caller, &method).await.map(|()| row),
    };
    let row = match found {
        Ok(row) => row,
        Err(fault) => {
            return Err(control.refused_login(caller, attempt, Some(&method), fault).await);
        }
    };
    let seed = open(control, &method, &row)?;
    let Some(step) = totp::accepted_step(&seed, otp.trim(), now, row.last_step) else {
        return Err(control.wrong_login(caller, attempt, Some(&method), wrong()).await);
    };
    let kept = control.keep_cleared(attempt.good(now));
    let draft = draft_of(caller, method.account, Some(&method), action::CONFIRM_SECOND_FACTOR);
    let (codes, recovery) = recovery_codes(control, &method)?;
    let row = SecondFactorRow { confirmed: true, last_step: step, recovery, ..row };
    let plan = Ok(move |tx: &Tx| {
        let now_there = second_factors::get(tx, row.method)?;
        if now_there.is_none_or(|there| there.confirmed || there.sealed != row.sealed) {
            return Err(Fault::conflict("another seed was made meanwhile; confirm that one"));
        }
        second_factors::put(tx, &row)?;
        set(tx, &method, |factor| match factor {
            SecondFactor::Demanded => SecondFactor::Demanded,
            SecondFactor::None | SecondFactor::Chosen => SecondFactor::Chosen,
        })?;
        Ok(FactorConfirmReply { recovery_codes: codes })
    });
    let reply = control.change(draft, plan).await?;
    kept.await?;
    Ok(reply)
}

/// Takes a second factor away.
///
/// # Errors
/// As a login with a second factor.
pub(crate) async fn remove(
    control: &Control,
    caller: &Caller,
    message: FactorRemove,
) -> Result<Done, Fault> {
    let FactorRemove { subject, proof, otp } = message;
    let (method, attempt) =
        proven_person(control, caller, PURPOSE_SECOND_FACTOR, subject, &proof).await?;
    let attempt = control.demand_factor(caller, attempt, &method, Some(&otp)).await?;
    let kept = control.keep_cleared(attempt.good(control.now()));
    let draft = draft_of(caller, method.account, Some(&method), action::REMOVE_SECOND_FACTOR);
    let plan = admitted(control, caller, &method).await.map(|()| {
        move |tx: &Tx| {
            second_factors::remove(tx, method.id)?;
            set(tx, &method, |factor| match factor {
                SecondFactor::Demanded => SecondFactor::Demanded,
                SecondFactor::None | SecondFactor::Chosen => SecondFactor::None,
            })?;
            Ok(Done)
        }
    });
    control.change(draft, plan).await?;
    kept.await?;
    Ok(Done)
}

/// What the method's logins show beside the password.
pub(crate) fn second_factor(method: &AuthMethod) -> SecondFactor {
    match &method.detail {
        MethodDetail::Email { second_factor, .. } => *second_factor,
        MethodDetail::ApiKey { .. } | MethodDetail::Member { .. } => SecondFactor::None,
    }
}

fn set(
    tx: &Tx,
    found: &AuthMethod,
    change: impl FnOnce(SecondFactor) -> SecondFactor,
) -> Result<(), Fault> {
    let method = auth_methods::by_id(tx, found.account, found.id)?;
    let unchanged = method.filter(|method| method.generation == found.generation);
    let mut method = unchanged.ok_or_else(|| {
        Fault::conflict("the auth method was changed meanwhile; begin again with mfa-enroll")
    })?;
    if let MethodDetail::Email { second_factor, .. } = &mut method.detail {
        *second_factor = change(*second_factor);
    }
    method.generation = method.generation.saturating_add(1);
    auth_methods::update(tx, &method).map(drop)
}

/// Account and method admit this client now.
async fn admitted(control: &Control, caller: &Caller, method: &AuthMethod) -> Result<(), Fault> {
    let account = control.directory.ready(method.account).await?;
    let account = account.ok_or_else(|| Fault::internal("an auth method without its account"))?;
    admits(&account.account, method, &caller.client, control.now())
}

fn open(
    control: &Control,
    method: &AuthMethod,
    row: &SecondFactorRow,
) -> Result<SecretBytes, Fault> {
    opened(&control.vault, method, row)
}

/// The seed, opened with the vault that it was sealed under.
pub(crate) fn opened(
    vault: &VaultKey,
    method: &AuthMethod,
    row: &SecondFactorRow,
) -> Result<SecretBytes, Fault> {
    vault.open(PURPOSE, &context(method), &row.sealed).map_err(|_| {
        Fault::internal(format!(
            "the second factor of {} does not open; control's keys may not be those it was made \
             with",
            method.access_id
        ))
    })
}

/// A sealed seed opens for its own method only.
fn context(method: &AuthMethod) -> Vec<u8> {
    [method.account.0.as_bytes().as_slice(), &method.id.to_be_bytes()].concat()
}

/// Fresh recovery codes, and their hashes.
fn recovery_codes(
    control: &Control,
    method: &AuthMethod,
) -> Result<(Vec<String>, Vec<String>), Fault> {
    let (mut codes, mut hashes) = (Vec::new(), Vec::new());
    for _ in 0..RECOVERY_CODES {
        let bytes: [u8; RECOVERY_BYTES] = control.rng.array()?;
        let text = totp::base32(&bytes);
        let groups: Vec<&str> = text
            .expose()
            .as_bytes()
            .chunks(4)
            .filter_map(|g| std::str::from_utf8(g).ok())
            .collect();
        let code = groups.join("-");
        hashes.push(recovery_hash(control, method, &code));
        codes.push(code);
    }
    Ok((codes, hashes))
}

/// In whatever letters and groups it was typed.
fn recovery_hash(control: &Control, method: &AuthMethod, code: &str) -> String {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let parts: [&[u8]; 3] = [b"recovery-code\0", &context(method), plain.as_bytes()];
    hex::encode(control.decoy_key.tag(&parts))
}

fn wanted() -> Fault {
    Fault::unauthorized(
        "a one-time code is needed too; send the code of your app, or a recovery code, as otp",
    )
    .with_code(CODE_WANTED)
}

fn not_set_up() -> Fault {
    Fault::unauthorized(
        "a second factor is demanded and not set up; do so with mfa-enroll and mfa-confirm",
    )
    .with_code(CODE_NOT_SET_UP)
}

/// As for a wrong password: one text for everything that is wrong.
fn wrong() -> Fault {
    wrong_person()
}
