//! Access keys of users of AWS accounts.
//!
//! Only AWS makes access keys, and a user has two at most. A new one comes beside the old one, and
//! the old one is removed when AWS takes the new one, or later, if it stays for a while. A key that
//! was made and never stored, because its answer got lost, is a second one that nobody has ever
//! used: it is removed before the next one is made. A second key that is used is left alone.

use std::time::Duration;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::aws::{Aws, Refusal, Session, value, values};
use keysherd_targets::{aws_account, by_name as target_by_name};
use keysherd_wire::{Args, Field, Group, Text};
use tokio::time::sleep;

use crate::fields::{
    PASSWORD_LENGTH, REMOTE_STAYING_AWS, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS, need_one_of,
};
use crate::password::Policy;
use crate::rotator::services::{AtService, ServiceRotator};
use crate::rotator::{Actor, Credential, RotatorKind, RotatorType, Stage};
use crate::{Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

const KEY_ID: Field<Text> = Field::text("api-id", "The id of the access key as it is now.");
const KEY: Field<Text> = Field::text("api-key", "That access key as it is now.").secret();
const REGION: Field<Text> =
    Field::text("aws-region", "The region whose services are asked.").default("us-east-2");

static KIND: RotatorKind = RotatorKind {
    name: "aws",
    what: "an AWS account",
    targets: &["aws"],
    types: &[
        RotatorType { name: "api-key", shown: "api-key-rotator", of_target: false },
        RotatorType { name: "target", shown: "target-rotator", of_target: true },
    ],
    create: &[Spelling::current(
        "rotated-secret-create-aws",
        "RotatedSecretCreateAws",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-aws",
        "RotatedSecretUpdateAws",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "AWS",
        fields: &[
            REGION.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &Group { title: "Access key", fields: &[KEY_ID.spec(), KEY.spec()] },
    target_settings: &[("access-key-id", "username"), ("access-key", "password")],
    remote: &REMOTE_STAYING_AWS,
};

/// What AWS says of what is not there.
const GONE: &str = "NoSuchEntity";
/// What it says of a key that it does not know, or that is another one.
const NOT_TAKEN: &[&str] =
    &["InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"];
/// Keys of one user.
const KEYS_MAX: usize = 2;
/// How long is waited until a new key is tried again: it takes AWS seconds to know it everywhere.
const PAUSE: Duration = Duration::from_millis(500);

/// The member.
pub(super) static MEMBER: ServiceRotator<AwsKeys> = ServiceRotator(AwsKeys);

pub(super) struct AwsKeys;

impl AtService for AwsKeys {
    const WHO: &'static str = "AWS";
    const IS_GRACEFUL: bool = true;

    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        aws_account(target.settings)?;
        let nobody = Credential::of_user("x", &SecretString::new("x".to_owned()));
        account_of(settings, &nobody).map(|_| Vec::new())
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        let (id, key) = (given.need(&KEY_ID)?, SecretString::new(given.need(&KEY)?));
        Ok(Credential::of_user(&id, &key))
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        let (id, key) = (given.get(&KEY_ID)?, given.secret(&KEY)?);
        let id = id.as_deref().map_or_else(|| old.username(), Ok)?;
        Ok(Credential::of_user(id, &key.map_or_else(|| old.password(), Ok)?))
    }

    fn of_target(&self, target: &TargetUse<'_>) -> Result<Credential, Fault> {
        let (id, key) = aws_account(target.settings)?.into_key();
        Ok(Credential::of_user(&id, &key))
    }

    /// One that AWS has not made.
    fn candidate(&self, stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
        let drawn = Policy::of(&Settings::default())?.draw(stage.way.rng.as_ref())?;
        Ok(Credential::of_user(old.username()?, &drawn))
    }

    /// Has AWS make a key for whom `old` belongs to.
    async fn made(&self, stage: &Stage<'_>, old: &Credential) -> Result<Option<Credential>, Fault> {
        let user = user_of(stage, old).await?;
        let named = ("UserName", user.as_str());
        let account = account_for(stage, old)?;
        let session = account.open(stage.way).await?;
        let keys = keys_of(&session, named).await?;
        if keys.len() >= KEYS_MAX {
            for other in keys.iter().filter(|id| old.username().ok() != Some(id.as_str())) {
                discard(&session, named, other).await?;
            }
        }
        let answer = session.identity("CreateAccessKey", &[named], "making an access key").await?;
        let part = |name: &str| {
            let found = value(answer.expose(), name).filter(|text| !text.is_empty());
            found.ok_or_else(|| Fault::unavailable("AWS answers without an access key; try again"))
        };
        let secret = SecretString::new(part("SecretAccessKey")?);
        Ok(Some(Credential::of_user(&part("AccessKeyId")?, &secret)))
    }

    /// Waits until AWS takes a key that it has made.
    async fn added(
        &self,
        stage: &Stage<'_>,
        old: &Credential,
        new: &Credential,
    ) -> Result<(), Fault> {
        let account = account_of(stage.settings, new)?;
        let session = account.open(stage.way).await?;
        if is_taken(&session).await? {
            return Ok(());
        }
        // What was removed does not come back; what is only not known everywhere yet is there.
        let user = user_of(stage, old).await?;
        let asking = account_for(stage, old)?;
        let asking = asking.open(stage.way).await?;
        let keys = keys_of(&asking, ("UserName", &user)).await?;
        if !keys.iter().any(|id| new.username().ok() == Some(id.as_str())) {
            return Err(no_more());
        }
        while !is_taken(&session).await? {
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Removes a key.
    async fn removed(
        &self,
        stage: &Stage<'_>,
        current: &Credential,
        old: &Credential,
    ) -> Result<(), Fault> {
        let id = old.username()?;
        if id == current.username()? {
            return Ok(());
        }
        let user = user_of(stage, current).await?;
        let account = account_for(stage, current)?;
        let session = account.open(stage.way).await?;
        let parameters = [("UserName", user.as_str()), ("AccessKeyId", id)];
        let what = "removing the old access key";
        session.identity("DeleteAccessKey", &parameters, what).await.map(drop).or_else(gone)
    }

    async fn is_taken(&self, stage: &Stage<'_>, key: &Credential) -> Result<bool, Fault> {
        let account = account_of(stage.settings, key)?;
        is_taken(&account.open(stage.way).await?).await
    }
}

/// The account, to be asked with this key.
fn account_of(settings: &Settings, key: &Credential) -> Result<Aws, Fault> {
    let member = target_by_name("aws").ok_or_else(|| Fault::internal("no target is AWS"))?;
    let mut args = Args::new();
    args.put("access-key-id", key.username()?.into());
    args.put("access-key", key.password()?.expose().as_str().into());
    if let Some(region) = settings.text(&REGION) {
        args.put("region", region.into());
    }
    aws_account(&member.merged(&args, Settings::default())?)
}

/// The account, to be asked as who changes the key.
fn account_for(stage: &Stage<'_>, key: &Credential) -> Result<Aws, Fault> {
    match stage.actor {
        Actor::Owner => account_of(stage.settings, key),
        Actor::Target => aws_account(stage.target.settings),
    }
}

/// Whether AWS takes the key of a session. Everybody may ask that.
async fn is_taken(session: &Session<'_>) -> Result<bool, Fault> {
    match session.lent("GetCallerIdentity", &[], "signing in").await {
        Ok(_) => Ok(true),
        Err(refusal) if NOT_TAKEN.contains(&refusal.code.as_str()) => Ok(false),
        Err(refusal) => Err(refusal.fault),
    }
}

/// Whose key it is.
async fn user_of(stage: &Stage<'_>, key: &Credential) -> Result<String, Fault> {
    let account = account_of(stage.settings, key)?;
    let session = account.open(stage.way).await?;
    let answer = session.lent("GetCallerIdentity", &[], "asking whose key it is").await?;
    let arn = value(answer.expose(), "Arn").unwrap_or_default();
    let user = arn.split_once(":user/").and_then(|(_, path)| path.rsplit('/').next());
    let user = user.filter(|name| !name.is_empty()).map(str::to_owned);
    user.ok_or_else(|| Fault::bad_request("the access key is not a user's, so it cannot rotate"))
}

/// Removes a second key that nobody has ever used.
async fn discard(session: &Session<'_>, user: (&str, &str), id: &str) -> Result<(), Fault> {
    let parameters = [("AccessKeyId", id)];
    let what = "looking at the user's other access key";
    let used = session.identity("GetAccessKeyLastUsed", &parameters, what).await?;
    if value(used.expose(), "LastUsedDate").is_some_and(|date| !date.is_empty()) {
        return Err(Fault::conflict(
            "the user has a second access key that was used, and no room for another one; remove \
             it at AWS when nobody needs it",
        ));
    }
    let parameters = [user, ("AccessKeyId", id)];
    let done = session.identity("DeleteAccessKey", &parameters, "removing an unused key").await;
    done.map(drop).or_else(gone)
}

fn gone(refusal: Refusal) -> Result<(), Fault> {
    match refusal.code.as_str() {
        GONE => Ok(()),
        _ => Err(refusal.fault),
    }
}

/// The ids of a user's keys.
async fn keys_of(session: &Session<'_>, user: (&str, &str)) -> Result<Vec<String>, Fault> {
    let what = "looking at the user's access keys";
    let keys = session.identity("ListAccessKeys", &[user], what).await?;
    Ok(values(keys.expose(), "AccessKeyId"))
}

fn no_more() -> Fault {
    Fault::bad_request("AWS does not have that access key any more, and cannot make it again")
}
