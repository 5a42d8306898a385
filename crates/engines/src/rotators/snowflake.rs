//! Keys of users of Snowflake. The tests have a stand-in for its SQL interface.
//!
//! A user has two places for public keys. A new one goes to the other place than the old one's, and
//! the old one is taken out when the new one signs in. A key of somebody else in that other place
//! is left alone. Passwords are not rotated: the SQL interface takes none, so nobody could try them
//! out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::rsa::{RsaPair, public_der};
use keysherd_targets::snowflake::Account;
use keysherd_targets::{by_name as target_by_name, snowflake_account};
use keysherd_wire::{Args, Field, Group, Text, bad_setting, wipe};
use serde_json::Value;

use crate::fields::{
    PASSWORD_LENGTH, REMOTE_NONE, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS, need_one_of,
};
use crate::password::Policy;
use crate::rotator::database::{ROTATED_PASSWORD, ROTATED_USERNAME, taken};
use crate::rotator::services::{AtService, ServiceRotator, comes_in};
use crate::rotator::{Actor, Credential, RotatorKind, RotatorType, Stage};
use crate::{Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

const KEY: Field<Text> =
    Field::text("private-key", "That user's RSA private key as it is now, in PEM.").secret();
const FILE: Field<Text> = Field::text("private-key-file-name", "Accepted, without effect.").inert();
const STATEMENT: Field<Text> =
    Field::text("rotation-statement", "A statement of one's own; must be left out.");
/// The target's setting.
const TARGET_KEY: Field<Text> = Field::text("snowflake-api-private-key", "").secret();
const TARGET_USER: Field<Text> = Field::text("user-name", "");

static KIND: RotatorKind = RotatorKind {
    name: "snowflake",
    what: "Snowflake",
    targets: &["snowflake"],
    types: &[
        RotatorType { name: "key", shown: "key-rotator", of_target: false },
        RotatorType { name: "target", shown: "target-rotator", of_target: true },
    ],
    create: &[Spelling::current(
        "rotated-secret-create-snowflake",
        "RotatedSecretCreateSnowflake",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-snowflake",
        "RotatedSecretUpdateSnowflake",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "Snowflake",
        fields: &[
            STATEMENT.spec(),
            FILE.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &Group {
        title: "Credentials",
        fields: &[ROTATED_USERNAME.spec(), ROTATED_PASSWORD.spec(), KEY.spec()],
    },
    target_settings: &[("snowflake-api-private-key", PRIVATE)],
    remote: &REMOTE_NONE,
};

/// The members of a credential.
const USERNAME: &str = "username";
const PRIVATE: &str = "private_key";
/// A user's places for keys, each with the property that shows its key's fingerprint.
const PLACES: [(&str, &str); 2] =
    [("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_FP"), ("RSA_PUBLIC_KEY_2", "RSA_PUBLIC_KEY_2_FP")];

/// The member.
pub(super) static MEMBER: ServiceRotator<SnowflakeKeys> = ServiceRotator(SnowflakeKeys);

pub(super) struct SnowflakeKeys;

impl AtService for SnowflakeKeys {
    const WHO: &'static str = "Snowflake";
    const IS_GRACEFUL: bool = false;

    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        if settings.text(&STATEMENT).is_some() {
            return Err(bad_setting(STATEMENT.name(), "keys are changed by statements of ours"));
        }
        Ok(snowflake_account(target.settings, None)?.warning().into_iter().collect())
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        let user = given.need(&ROTATED_USERNAME)?;
        no_password(given)?;
        of_key(KEY.name(), &user, &SecretString::new(given.need(&KEY)?))
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        no_password(given)?;
        let (user, key) = (given.get(&ROTATED_USERNAME)?, given.secret(&KEY)?);
        let user = user.as_deref().map_or_else(|| old.username(), Ok)?;
        of_key(KEY.name(), user, &key.map_or_else(|| private(old), Ok)?)
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let key = SecretString::new(target.settings.need(&TARGET_KEY)?.to_owned());
        of_key(TARGET_KEY.name(), target.settings.need(&TARGET_USER)?, &key)
    }

    /// Names are in capitals where tokens and statements have them.
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        // The target's user may sign in otherwise than with a key.
        let own = target.settings.text(&TARGET_USER).map(str::to_uppercase);
        own.is_some_and(|own| given.username().is_ok_and(|given| given.to_uppercase() == own))
    }

    fn candidate(&self, _: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        let pair = RsaPair::generate().map_err(Fault::internal)?;
        of_key(KEY.name(), old.username()?, &pair.private_pem)
    }

    /// Has the user take a new key beside the old one, and tries it out.
    async fn added(
        &self,
        stage: &Stage<'_>,
        old: &Credential,
        new: &Credential,
    ) -> Result<(), Fault> {
        let account = account_for(stage, old)?;
        let there = prints(&account, stage, old).await.map_err(crate::member::not_reached)?;
        let (public, print) = public(new)?;
        if !there.contains(&print) {
            let place = there.iter().position(String::is_empty);
            let taken = || {
                Fault::conflict(
                    "the user has another public key beside the one that rotates, and no room \
                     for a third; remove it at Snowflake when nobody needs it",
                )
            };
            let (property, _) =
                PLACES[place.ok_or_else(taken).map_err(crate::member::not_reached)?];
            let user = quoted(new)?;
            let statement = format!("ALTER USER {user} SET {property} = '{public}'");
            account.run(&statement, "setting the key", &[], stage.way).await?;
        }
        match comes_in(&MEMBER, stage, new).await? {
            true => Ok(()),
            false => Err(Fault::unavailable("Snowflake does not take the new key yet")),
        }
    }

    /// Takes the old key out where it still is.
    async fn removed(
        &self,
        stage: &Stage<'_>,
        current: &Credential,
        old: &Credential,
    ) -> Result<(), Fault> {
        let ((_, print), (_, now)) = (public(old)?, public(current)?);
        if print == now {
            return Ok(());
        }
        let account = account_for(stage, current)?;
        let there = prints(&account, stage, old).await?;
        let user = quoted(old)?;
        for ((property, _), shown) in PLACES.iter().zip(there) {
            if shown == print {
                let statement = format!("ALTER USER {user} UNSET {property}");
                account.run(&statement, "removing the old key", &[], stage.way).await?;
            }
        }
        Ok(())
    }

    async fn is_taken(&self, stage: &Stage<'_>, key: &Credential) -> Result<bool, Fault> {
        taken(signed_in_as(stage, key)?.probe(stage.way).await)
    }
}

fn no_password(given: &Args) -> Result<(), Fault> {
    match given.secret(&ROTATED_PASSWORD)? {
        None => Ok(()),
        Some(_) => Err(bad_setting(
            ROTATED_PASSWORD.name(),
            "passwords of Snowflake are not rotated; give private-key",
        )),
    }
}

fn private(credential: &Credential) -> Result<SecretString, Fault> {
    Ok(SecretString::new(credential.text(PRIVATE)?.to_owned()))
}

fn of_key(field: &str, user: &str, key: &SecretString) -> Result<Credential, Fault> {
    let fits = (1..=255).contains(&user.len()) && !user.chars().any(char::is_control);
    if !fits {
        return Err(bad_setting(ROTATED_USERNAME.name(), "it is no name of a user"));
    }
    let bad = || bad_setting(field, "it must be an RSA private key in PEM, not encrypted");
    public_der(key).ok_or_else(bad)?;
    Ok(Credential::of_texts(&[(USERNAME, user), (PRIVATE, key.expose())]))
}

/// A key's public half, and its fingerprint as Snowflake shows it.
fn public(credential: &Credential) -> Result<(String, String), Fault> {
    let unread = || Fault::internal("a stored key cannot be read");
    let public = public_der(&private(credential)?).ok_or_else(unread)?;
    let print = format!("SHA256:{}", STANDARD.encode(sha256(&[&public])));
    Ok((STANDARD.encode(public), print))
}

/// The account, signed in to with a key.
fn signed_in_as(stage: &Stage<'_>, credential: &Credential) -> Result<Account, Fault> {
    let member = target_by_name("db").ok_or_else(|| Fault::internal("no target is a database"))?;
    let value = stage.target.settings.to_value();
    let copy = Settings::from_value(&value);
    wipe(value);
    let mut args = Args::new();
    args.put(TARGET_USER.name(), credential.username()?.into());
    args.put(TARGET_KEY.name(), credential.text(PRIVATE)?.into());
    snowflake_account(&member.merged(&args, copy?)?, Some(stage.way))
}

/// The account, signed in to by who changes this key.
fn account_for(stage: &Stage<'_>, credential: &Credential) -> Result<Account, Fault> {
    match stage.actor {
        Actor::Owner => signed_in_as(stage, credential),
        Actor::Target => snowflake_account(stage.target.settings, Some(stage.way)),
    }
}

/// The user as statements have it: names are in capitals where tokens name them.
fn quoted(credential: &Credential) -> Result<String, Fault> {
    Ok(format!("\"{}\"", credential.username()?.to_uppercase().replace('"', "\"\"")))
}

/// The fingerprints of the keys in a user's places; empty where there is none.
async fn prints(
    account: &Account,
    stage: &Stage<'_>,
    credential: &Credential,
) -> Result<[String; 2], Fault> {
    let statement = format!("DESCRIBE USER {}", quoted(credential)?);
    let answer = account.ask(&statement, "looking at the user's keys", &[], stage.way).await?;
    let rows = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = |property: &str| {
        let row = rows.iter().find(|row| row[0].as_str() == Some(property))?;
        match &row[1] {
            Value::Null => Some(String::new()),
            Value::String(print) if print == "null" => Some(String::new()),
            Value::String(print) => Some(print.clone()),
            _ => None,
        }
    };
    // A place that is not shown is not free: what is in it would be lost.
    match PLACES.map(|(_, property)| shown(property)) {
        [Some(first), Some(second)] => Ok([first, second]),
        _ => Err(Fault::conflict(
            "Snowflake does not show the user's keys to who changes them; DESCRIBE USER has to \
             have RSA_PUBLIC_KEY_FP and RSA_PUBLIC_KEY_2_FP",
        )),
    }
}
