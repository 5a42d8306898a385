//! `uid-rotator`: keeps a file with a universal-identity token fresh.
//!
//! A run may be killed at any moment, and the machine may lose power. What is on the disk is at
//! every moment enough to go on:
//!
//! 1. The server gives a new value. Should the answer be lost, the old one still rotates.
//! 2. The new and the old value are written into a second file (`FILE.pending`).
//! 3. The new value replaces the old one in the token's file.
//! 4. The new value is used for the first time, which ends the old one.
//! 5. The second file is removed.
//!
//! A run that finds the second file begins at step 3. Values are never printed.

mod files;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use keysherd_base::{Secret, SecretString, interval};
use keysherd_wire::{Field, FieldSpec, Show, Spec, wipe};
use serde_json::{Value, json};

use super::LocalVerb;
use crate::body::Fields;
use crate::context::Context;
use crate::credentials::uid_token;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use files::{Pending, TokenFile};

/// What values start with.
const PREFIX: &str = "u-";
const INTERVAL_DEFAULT: &str = "15m";
/// Longest interval: the longest life of a token is a year.
const INTERVAL_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The first pause after a failure; it doubles up to the longest one.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

const FIELDS: &[FieldSpec] = &[
    Field::text("token-file", "The file with the token; --uid-token fills it the first time.")
        .required()
        .spec(),
    Field::text("interval", "Time between rotations, as in 30s, 15m or 4h; minutes without unit.")
        .default(INTERVAL_DEFAULT)
        .spec(),
    Field::flag("once", "Rotate once and end.").default("false").spec(),
];

const SUMMARY: &str = "Keeps a file with a universal-identity token fresh by rotating it.";
const SHOW: Show = Show::Sentence("The token in {token_file} was rotated");
static SPEC: Spec = Spec::open("uid-rotator", SUMMARY, FIELDS, SHOW);
static OTHER: Spec = Spec::open("uid-auto-rotate", SUMMARY, FIELDS, SHOW);

/// `uid-rotator`.
pub(super) const VERB: LocalVerb =
    LocalVerb { spec: &SPEC, positional: Some("token-file"), run, server_flags: false };
/// `uid-auto-rotate`, another name of it.
pub(super) const OTHER_NAME: LocalVerb =
    LocalVerb { spec: &OTHER, positional: Some("token-file"), run, server_flags: false };

fn run(context: &mut Context<'_, '_>, given: Fields) -> Result<(), Failure> {
    let path = given.text("token-file").map(PathBuf::from);
    let path = path.ok_or_else(|| Failure::usage("give the file with the token"))?;
    let interval = time_between(given.text("interval").unwrap_or(INTERVAL_DEFAULT))?;
    let session = Session::open(context)?;
    let file = TokenFile::new(path);
    let _lock: File = file.lock()?;
    if let Some(warning) = file.warning() {
        context.warn(&warning);
    }
    begin(context, &file)?;
    let rotator = Rotator { session, file };
    if given.flag("once") {
        rotator.rotate(context)?;
        let shown = json!({ "token_file": rotator.file.to_string() });
        return super::profiles::answer(context, &SPEC, &shown);
    }
    rotator.keep_fresh(context, interval)
}

/// Fills the file from `--uid-token` when there is none.
fn begin(context: &Context<'_, '_>, file: &TokenFile) -> Result<(), Failure> {
    if file.read()?.is_some() {
        return Ok(());
    }
    let given = uid_token(context);
    match given.filter(|token| token.expose().starts_with(PREFIX)) {
        Some(token) => file.publish(&token),
        None => Err(Failure::local(format!("there is no token in {file}")).hint(
            "write the token of 'uid-generate-token' into it, or give it as KEYSHERD_UID_TOKEN",
        )),
    }
}

struct Rotator {
    session: Session,
    file: TokenFile,
}

impl Rotator {
    /// Rotates again and again. Ends only when trying again cannot help.
    fn keep_fresh(&self, context: &mut Context<'_, '_>, interval: Duration) -> Result<(), Failure> {
        let mut pause = PAUSE_FIRST;
        loop {
            let next = match self.rotate(context) {
                Ok(()) => {
                    context.debug(&format!("the token in {} was rotated", self.file));
                    pause = PAUSE_FIRST;
                    interval
                }
                Err(failure) if may_pass(&failure) => {
                    context.terminal.note(&failure.render(Some("rotate the token")));
                    let this = pause.min(interval.max(PAUSE_FIRST));
                    pause = (pause * 2).min(PAUSE_LONGEST);
                    this
                }
                Err(failure) => return Err(failure),
            };
            pause_for(next);
        }
    }

    /// One rotation; first the one that an earlier run did not finish.
    fn rotate(&self, context: &mut Context<'_, '_>) -> Result<(), Failure> {
        if let Some(pending) = self.file.pending()? {
            self.finish(context, &pending)?;
        }
        let old = self.file.read()?.ok_or_else(|| {
            Failure::local(format!("there is no token in {} any more", self.file))
        })?;
        let args = json!({ "uid-token": old.expose() });
        let new = self.call(context, "uid-rotate-token", args, "token")?;
        let new = match new {
            Value::String(text) if text.starts_with(PREFIX) => Secret::new(text),
            other => {
                wipe(other);
                return Err(Failure::new(Exit::ServerError, "the server sent no new token"));
            }
        };
        let pending = Pending { new, old };
        self.file.keep_pending(&pending)?;
        self.finish(context, &pending)
    }

    /// From a value that is safely kept to one that is in force.
    fn finish(&self, context: &mut Context<'_, '_>, pending: &Pending) -> Result<(), Failure> {
        self.file.publish(&pending.new)?;
        if !self.is_good(context, &pending.new)? {
            // It was given up for another one, as when the file came back from a backup.
            self.file.publish(&pending.old)?;
        }
        self.file.forget_pending()
    }

    /// Whether a value is accepted. Asking is using it.
    fn is_good(
        &self,
        context: &mut Context<'_, '_>,
        token: &SecretString,
    ) -> Result<bool, Failure> {
        let args = json!({ "token": token.expose() });
        let valid = self.call(context, "validate-token", args, "is_valid")?;
        valid.as_bool().ok_or_else(|| {
            Failure::new(Exit::ServerError, "the server does not say whether the token is valid")
        })
    }

    /// One field of the answer to a call.
    fn call(
        &self,
        context: &mut Context<'_, '_>,
        command: &str,
        args: Value,
        field: &str,
    ) -> Result<Value, Failure> {
        let response = self.session.call(context, command, args)?;
        let mut answer: Value = serde_json::from_slice(response.body.expose())
            .map_err(|_| Failure::new(Exit::ServerError, "the answer is no JSON"))?;
        let value = answer.get_mut(field).map(Value::take).unwrap_or_default();
        wipe(answer);
        Ok(value)
    }
}

#[expect(clippy::disallowed_methods, reason = "time passing is all that is waited for")]
fn pause_for(time: Duration) {
    std::thread::sleep(time);
}

/// Whether the same may work later: the server is away, busy or broken, or the disk is full.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Unreachable | Exit::ServerError)
        || matches!(failure.status(), Some(408 | 429))
        || failure.exit == Exit::Local
}

/// A time such as `30s`, `15m`, `4h` or `15`.
fn time_between(text: &str) -> Result<Duration, Failure> {
    interval::parse(text).filter(|time| *time <= INTERVAL_MAX).ok_or_else(|| {
        Failure::usage(format!("'{text}' is no interval; write 30s, 15m or 4h, at most a year"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_the_longest_time() {
        let seconds = |text: &str| time_between(text).ok().map(|time| time.as_secs());
        assert_eq!((seconds("15"), seconds("8760h")), (Some(900), Some(31_536_000)));
        assert_eq!((seconds("8761h"), seconds("soon")), (None, None));
    }
}
