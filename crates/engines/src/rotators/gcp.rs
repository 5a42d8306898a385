//! Keys of service accounts of Google Cloud. The tests have a stand-in for the service.
//!
//! Google makes keys, and shows each of them once; an account has ten at most. A new one comes
//! beside the old one, and the old one is removed when Google lends tokens for the new one, or
//! later, if it stays for a while. Keys have no labels, and nobody learns whether one was ever
//! used: one whose making nobody heard of stays, and nobody has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use keysherd_crypto::rsa::RsaPair;
use keysherd_targets::Lender as _;
use keysherd_targets::gcp::key as target_key;
use keysherd_targets::google::{CLOUD, GoogleKey};
use keysherd_wire::{Args, Field, Group, Text, bad_setting, wipe};
use serde_json::json;

use crate::fields::{
    PASSWORD_LENGTH, REMOTE_NONE, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS, need_one_of,
};
use crate::google::{Google, is_key_id};
use crate::password::Policy;
use crate::rotator::database::taken;
use crate::rotator::services::{AtService, ServiceRotator, comes_in};
use crate::rotator::{Actor, Credential, RotatorKind, RotatorType, Stage};
use crate::{Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

const KEY: Field<Text> =
    Field::text("gcp-key", "The account's key as it is now: JSON, or that in base64.").secret();
const ACCOUNT: Field<Text> =
    Field::text("gcp-service-account-email", "The account; the one of gcp-key otherwise.");
const KEY_NAME: Field<Text> =
    Field::text("gcp-service-account-key-id", "The key's id; the one of gcp-key otherwise.");

static KIND: RotatorKind = RotatorKind {
    name: "gcp",
    what: "Google Cloud",
    targets: &["gcp"],
    types: &[
        RotatorType {
            name: "service-account-rotator",
            shown: "service-account-rotator",
            of_target: false,
        },
        RotatorType { name: "target", shown: "target-rotator", of_target: true },
    ],
    create: &[Spelling::current(
        "rotated-secret-create-gcp",
        "RotatedSecretCreateGcp",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-gcp",
        "RotatedSecretUpdateGcp",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "Google Cloud",
        fields: &[
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &Group {
        title: "Key of a service account",
        fields: &[KEY.spec(), ACCOUNT.spec(), KEY_NAME.spec()],
    },
    target_settings: &[("gcp-key", ENCODED)],
    remote: &REMOTE_NONE,
};

/// The members of a credential.
const ENCODED: &str = "service_account_key_base64";
const EMAIL: &str = "service_account_email";
const ID: &str = "service_account_key_id";

/// What keys are.
const ALGORITHM: &str = "KEY_ALG_RSA_2048";
/// Keys of one account.
const KEYS_MAX: usize = 10;

/// The member.
pub(super) static MEMBER: ServiceRotator<AccountKeys> = ServiceRotator(AccountKeys);

pub(super) struct AccountKeys;

impl AtService for AccountKeys {
    const WHO: &'static str = "Google";
    const IS_GRACEFUL: bool = true;

    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        target_key(target.settings).map(|_| Vec::new())
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        let text = SecretString::new(given.need(&KEY)?);
        let first = of_json(KEY.name(), &GoogleKey::json(KEY.name(), text.expose())?)?;
        fits(given, &first)?;
        Ok(first)
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        if given.secret(&KEY)?.is_some() {
            return self.first(given);
        }
        fits(given, old)?;
        Ok(Credential::of_members(old.members()))
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        target_key(target.settings)?;
        let given = Field::text(KEY.name(), "").secret();
        let text = GoogleKey::json(KEY.name(), target.settings.need(&given)?)?;
        of_json(KEY.name(), &text)
    }

    /// The same key of the same account.
    fn is_keepers(&self, target: &TargetUse<'_>, given: &Credential) -> bool {
        let Ok(own) = self.of_target(target) else { return false };
        let is_same = |name: &str| {
            let texts = (own.text(name), given.text(name));
            matches!(texts, (Ok(own), Ok(given)) if own.eq_ignore_ascii_case(given))
        };
        is_same(EMAIL) && is_same(ID)
    }

    /// One of the same account that Google does not know.
    fn candidate(&self, _: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        let pair = RsaPair::generate().map_err(Fault::internal)?;
        let nobodys = json!({
            "type": "service_account",
            "client_email": old.text(EMAIL)?,
            "private_key_id": old.text(ID)?,
            "private_key": pair.private_pem.expose(),
        });
        let text = SecretString::new(nobodys.to_string());
        wipe(nobodys);
        of_json(KEY.name(), &text)
    }

    /// Has Google make a key of the account of `old`.
    async fn made(&self, stage: &Stage<'_>, old: &Credential) -> Result<Option<Credential>, Fault> {
        let account = old.text(EMAIL)?;
        let google = asked_for(stage, old).await?;
        if google.keys(account).await?.len() >= KEYS_MAX {
            return Err(Fault::conflict(format!(
                "the account has {KEYS_MAX} keys, and Google makes no more; remove those there \
                 that nobody needs"
            )));
        }
        let (id, encoded) = google.make_key(account, ALGORITHM).await?;
        let text = encoded.as_str().unwrap_or_default();
        let made = GoogleKey::json("", text).and_then(|json| of_json("", &json));
        wipe(encoded);
        let made = made.ok().filter(|made| {
            made.text(EMAIL).is_ok_and(|email| email == account)
                && made.text(ID).is_ok_and(|it| it == id)
        });
        made.map(Some).ok_or_else(|| {
            Fault::unavailable("Google answers without a key of the account; try again")
        })
    }

    /// Waits until Google takes a key that it has made.
    async fn added(
        &self,
        stage: &Stage<'_>,
        old: &Credential,
        new: &Credential,
    ) -> Result<(), Fault> {
        if comes_in(&MEMBER, stage, new).await? {
            return Ok(());
        }
        // What was removed does not come back; what is only not known everywhere yet is there.
        let keys = asked_for(stage, old).await?.keys(new.text(EMAIL)?).await?;
        let id = new.text(ID)?;
        match keys.iter().any(|there| there == id) {
            true => Err(Fault::unavailable("Google does not know the new key everywhere yet")),
            false => Err(Fault::bad_request(
                "Google does not have that key any more, and cannot make it again",
            )),
        }
    }

    /// Removes a key.
    async fn removed(
        &self,
        stage: &Stage<'_>,
        current: &Credential,
        old: &Credential,
    ) -> Result<(), Fault> {
        let id = old.text(ID)?;
        if id == current.text(ID)? {
            return Ok(());
        }
        asked_for(stage, current).await?.remove_key(old.text(EMAIL)?, id).await
    }

    /// Whether Google lends tokens for a key.
    async fn is_taken(&self, stage: &Stage<'_>, key: &Credential) -> Result<bool, Fault> {
        let account = key_of(key)?.lender(CLOUD, None, Some(stage.way))?;
        taken(account.lend(stage.way).await)
    }
}

/// The credential that this JSON is, which was given in this field.
fn of_json(field: &str, text: &SecretString) -> Result<Credential, Fault> {
    let key = GoogleKey::read(field, text)?;
    let id = key.id.as_deref().filter(|id| is_key_id(id));
    let id = id.ok_or_else(|| bad_setting(field, "its private_key_id is no id of a key"))?;
    let encoded = SecretString::new(STANDARD.encode(text.expose()));
    Ok(Credential::of_texts(&[(ENCODED, encoded.expose()), (EMAIL, &key.account), (ID, id)]))
}

/// Refuses what is said of a key that is another one.
fn fits(given: &Args, key: &Credential) -> Result<(), Fault> {
    for (field, name) in [(&ACCOUNT, EMAIL), (&KEY_NAME, ID)] {
        if given.get(field)?.is_some_and(|said| Some(said.as_str()) != key.text(name).ok()) {
            return Err(bad_setting(field.name(), "it is not that of the key in gcp-key"));
        }
    }
    Ok(())
}

fn key_of(credential: &Credential) -> Result<GoogleKey, Fault> {
    GoogleKey::read(KEY.name(), &GoogleKey::json(KEY.name(), credential.text(ENCODED)?)?)
}

/// Google, asked as who changes this key.
async fn asked_for<'a>(stage: &Stage<'a>, key: &Credential) -> Result<Google<'a>, Fault> {
    let key = match stage.actor {
        Actor::Owner => key_of(key)?,
        Actor::Target => target_key(stage.target.settings)?,
    };
    Google::open(key, CLOUD, None, stage.way).await
}
