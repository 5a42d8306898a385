//! What Windows machines are told, whichever way one gets there: scripts of PowerShell.
//!
//! A script is always the same text, so the command that runs it says nothing of anybody, and
//! nothing in a name or a password is ever code. What it is about goes to its input, as JSON in
//! base64: on the machine, everybody may see commands, and some of them are logged. Machines that
//! refuse say so by names that are the same in every language.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, FaultKind, SecretBuffer, SecretString};
use keysherd_targets::NOT_ADMITTED;
use keysherd_wire::{bad_setting, wipe};
use serde_json::Value;

pub(crate) use self::scripts::Script;

mod scripts;
#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
mod tests;

/// How lines begin that a script says to us.
const OURS: &str = "keysherd ";
/// Longest name of a refusal that is looked at, in characters.
const REFUSAL_CHARS_MAX: usize = 120;
/// Longest name of a local user (`LM20_UNLEN`).
pub(crate) const USER_CHARS_MAX: usize = 20;

impl Script {
    /// The command that runs it: no secret, and the same for everybody.
    pub(crate) fn command(self) -> String {
        let text = self.text();
        let bytes: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let coded = STANDARD.encode(bytes);
        format!("powershell.exe -NoProfile -NonInteractive -EncodedCommand {coded}")
    }

    /// What the script said.
    ///
    /// # Errors
    /// A fault of `what` was being done at `place`, by the name of the refusal.
    pub(crate) fn heard(output: &str, what: &str, place: &str) -> Result<(), Fault> {
        for line in output.lines().filter_map(|line| line.trim_end().strip_prefix(OURS)) {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("done", _) => return Ok(()),
                ("refused", name) => return Err(refused(name, what, place)),
                _ => {}
            }
        }
        Err(Fault::unavailable(format!(
            "{what} at {place} ended without a word; Windows with PowerShell 5.1 must be there"
        )))
    }
}

/// What a script is about, for its input. It is wiped.
pub(crate) fn input(facts: Value) -> SecretString {
    let mut json = SecretBuffer::with_capacity(512);
    // Writing into memory does not fail, and a value's keys are texts.
    let _ = serde_json::to_writer(&mut json, &facts);
    wipe(facts);
    let json = json.finish();
    let mut line = SecretString::new(String::with_capacity(json.expose().len() * 4 / 3 + 8));
    STANDARD.encode_string(json.expose(), line.expose_mut());
    line.expose_mut().push_str("\r\n");
    line
}

/// A refusal by its name: an error id of PowerShell, and where it has one the code of Windows.
fn refused(name: &str, what: &str, place: &str) -> Fault {
    let plain = |c: &char| c.is_ascii_alphanumeric() || " ,._-".contains(*c);
    let name: String = name.chars().filter(plain).take(REFUSAL_CHARS_MAX).collect();
    let (id, code) = name.rsplit_once(' ').unwrap_or((&name, ""));
    let id = id.split(',').next().unwrap_or_default();
    let (kind, words) = match (id, code) {
        ("InvalidPassword", _) | (_, "800708C5") => (
            FaultKind::BadRequest,
            "the machine's rules for passwords refuse it: another length or other characters, or \
             it was changed too recently",
        ),
        ("AccessDenied", _) | (_, "80070005") => {
            (FaultKind::Forbidden, "whoever signs in there may not do that")
        }
        (_, "80070056") => (FaultKind::Forbidden, "the old password is not the user's"),
        ("NoSuchUser" | "UserNotFound", _) | (_, "800708AD") => {
            (FaultKind::BadRequest, "there is no such local user")
        }
        ("SessionsStay", _) => (
            FaultKind::Conflict,
            "sessions of the user go on, so it stays, and lets nobody in any more; end them there",
        ),
        ("GroupNotFound", _) => (FaultKind::BadRequest, "there is no such local group"),
        ("CommandNotFoundException", _) => {
            (FaultKind::BadRequest, "PowerShell 5.1 with its commands for local users is needed")
        }
        _ => (FaultKind::BadRequest, "the machine refuses it; see the gateway's log"),
    };
    let fault = Fault::new(kind, format!("{what} failed at {place}: {words}"));
    let fault = if id == "AccessDenied" { fault.with_code(NOT_ADMITTED) } else { fault };
    fault.with_private(name)
}

/// Demands what can be the name of a local user.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn need_user(field: &str, name: &str) -> Result<(), Fault> {
    let fits = !name.is_empty()
        && name.chars().count() <= USER_CHARS_MAX
        && !name.contains(|c: char| c.is_control() || "\"/\\[]:;|=,+*?<>@".contains(c))
        && !name.chars().all(|c| c == '.' || c == ' ');
    let why = "it is no name of a local user: at most 20 characters, none of them one of \
               \" / \\ [ ] : ; | = , + * ? < > @";
    fits.then_some(()).ok_or_else(|| bad_setting(field, why))
}
