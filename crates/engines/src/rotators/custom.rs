//! What a webhook makes of a text: whatever has no member of its own.
//!
//! The webhook is shown the payload as it is, and answers with another one, which it takes from
//! then on; the old one, too, until it is called with the new one. So an answer that nobody heard
//! does no harm: it is asked again. Whether it takes a payload cannot be tried out.

use std::time::Duration;

use keysherd_base::{Fault, SecretString};
use keysherd_targets::http::HttpServer;
use keysherd_targets::{Way, webhook};
use keysherd_wire::{Args, Field, Flag, Group, Int, Text, bad_setting, wipe};
use serde_json::{Map, Value};

use crate::engines::custom::{misspoken, posted};
use crate::fields::{
    PASSWORD_LENGTH, REMOTE_STAYING_ANYTHING, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS, need_one_of,
};
use crate::password::Policy;
use crate::rotator::{Credential, Rotator, RotatorKind, RotatorType, Stage};
use crate::{BoxFuture, Settings, Spelling, TargetUse};

#[cfg(test)]
mod tests;

const GIVEN: Field<Text> =
    Field::text("custom-payload", "What the webhook is shown at the first rotation.").secret();
const TIMEOUT: Field<Int> =
    Field::int("timeout-sec", "Seconds that one call may take, 1 to 60.").default("40");
const POLICY: Field<Flag> =
    Field::flag("enable-password-policy", "Whether passwords are made here; must be false.")
        .default("false");

static KIND: RotatorKind = RotatorKind {
    name: "custom",
    what: "a webhook",
    targets: &["web"],
    types: &[RotatorType { name: "custom", shown: "custom-rotator", of_target: false }],
    create: &[Spelling::current(
        "rotated-secret-create-custom",
        "RotatedSecretCreateCustom",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-custom",
        "RotatedSecretUpdateCustom",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "Webhook",
        fields: &[
            TIMEOUT.spec(),
            POLICY.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &Group { title: "Payload", fields: &[GIVEN.spec()] },
    target_settings: &[],
    remote: &REMOTE_STAYING_ANYTHING,
};

/// The member of a credential, and of calls and answers.
const PAYLOAD: &str = "payload";
/// Where webhooks rotate whose target is a server's address.
const PATH: &str = "/sync/rotate";
/// Longest payload, in bytes.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Longest call, in seconds, and the usual one.
const TIMEOUT_MAX: i64 = 60;
const TIMEOUT_USUAL: i64 = 40;

/// The member.
pub(super) static MEMBER: Custom = Custom;

pub(super) struct Custom;

impl Rotator for Custom {
    fn kind(&self) -> &'static RotatorKind {
        &KIND
    }

    fn check(&self, settings: &Settings, target: &TargetUse<'_>) -> Result<Vec<String>, Fault> {
        need_one_of(KIND.targets, target)?;
        Policy::of(settings)?;
        timeout(settings)?;
        if settings.flag(&POLICY, false) {
            return Err(bad_setting(POLICY.name(), "payloads are made by the webhook"));
        }
        Ok(hook(target)?.warning().into_iter().collect())
    }

    fn first(&self, given: &Args) -> Result<Credential, Fault> {
        let payload = given.secret(&GIVEN)?.unwrap_or_else(|| SecretString::new(String::new()));
        of_payload(&payload)
    }

    fn corrected(&self, given: &Args, old: &Credential) -> Result<Credential, Fault> {
        match given.secret(&GIVEN)? {
            Some(payload) => of_payload(&payload),
            None => Ok(Credential::of_members(old.members())),
        }
    }

    fn of_target(&self, _: &TargetUse<'_>) -> Result<Credential, Fault> {
        Err(Fault::bad_request("a web target has no credentials that could be rotated"))
    }

    /// Something that no webhook made.
    fn candidate(&self, stage: &Stage<'_>, _: &Credential) -> Result<Credential, Fault> {
        let drawn = Policy::of(&Settings::default())?.draw(stage.way.rng.as_ref())?;
        of_payload(&drawn)
    }

    fn obtained<'a>(
        &'a self,
        stage: &'a Stage<'a>,
        old: &'a Credential,
    ) -> BoxFuture<'a, Result<Option<Credential>, Fault>> {
        Box::pin(async move { asked(stage, old).await.map(Some) })
    }

    fn counts_minutes(&self) -> bool {
        true
    }

    /// The webhook changed what it stands for when it was asked.
    fn change<'a>(
        &'a self,
        _: &'a Stage<'a>,
        _: &'a Credential,
        _: &'a Credential,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Nobody can say so but whoever uses it.
    fn is_tried(&self) -> bool {
        false
    }

    fn signs_in<'a>(
        &'a self,
        _: &'a Stage<'a>,
        _: &'a Credential,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

fn of_payload(payload: &SecretString) -> Result<Credential, Fault> {
    if payload.expose().len() > PAYLOAD_BYTES_MAX {
        return Err(bad_setting(GIVEN.name(), "it is over 64 KiB"));
    }
    Ok(Credential::of_texts(&[(PAYLOAD, payload.expose())]))
}

fn hook(target: &TargetUse<'_>) -> Result<HttpServer, Fault> {
    webhook(target.settings, PATH)
}

fn timeout(settings: &Settings) -> Result<Duration, Fault> {
    let seconds = settings.int(&TIMEOUT).unwrap_or(TIMEOUT_USUAL);
    let fits = (1..=TIMEOUT_MAX).contains(&seconds);
    let seconds = u64::try_from(seconds).ok().filter(|_| fits);
    let seconds = seconds.ok_or_else(|| bad_setting(TIMEOUT.name(), "it must be 1 to 60"))?;
    Ok(Duration::from_secs(seconds))
}

async fn asked(stage: &Stage<'_>, old: &Credential) -> Result<Credential, Fault> {
    let what = "rotating the payload";
    // As long as its author says: being asked twice does no harm.
    let way = Way { timeout: timeout(stage.settings)?, ..stage.way.clone() };
    let payload = old.text(PAYLOAD)?;
    let body = Map::from_iter([(PAYLOAD.to_owned(), payload.into())]);
    let (reply, _) = posted(&hook(&stage.target)?, &way, (what, payload), body).await?;
    let lacks = || misspoken(what, "no JSON object with a payload of 1 byte to 64 KiB");
    // The parser's error would quote it.
    let mut answer = reply.json().map_err(|_| lacks())?;
    let new = match answer.get_mut(PAYLOAD).map(Value::take) {
        Some(Value::String(text)) => SecretString::new(text),
        other => {
            wipe(other.unwrap_or_default());
            wipe(answer);
            return Err(lacks());
        }
    };
    wipe(answer);
    if new.expose().is_empty() {
        return Err(lacks());
    }
    of_payload(&new).map_err(|_| lacks())
}
