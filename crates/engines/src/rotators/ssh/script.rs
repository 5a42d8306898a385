//! What machines are told. Commands are what everybody on a machine may read; secrets are in the
//! input of a command, and so are scripts.

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_targets::ssh::Session;
use keysherd_wire::bad_setting;

use super::fields::{CUSTOM, KEY_PATH};
use super::{is_root, need_user};
use crate::Settings;
use crate::rotator::{Actor, Stage};

/// What sets passwords of others, from lines `user:password`.
const CHPASSWD: &str = "env PATH=/usr/sbin:/sbin:/usr/bin:/bin chpasswd";
/// What sets one's own, from lines with the old and twice the new one.
const PASSWD: &str = "env PATH=/usr/bin:/bin LC_ALL=C passwd";
/// What runs a script that it reads.
const SHELL: &str = "/bin/sh -s";

/// A piece of a custom command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Text(&'a str),
    Username,
    Old,
    New,
}

/// The pieces of a custom command.
///
/// # Errors
/// [`Fault::bad_request`] for a hole that is none of the three, or one that sets nothing.
pub(super) fn parts(template: &str) -> Result<Vec<Part<'_>>, Fault> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((text, hole)) = rest.split_once("{{") {
        let bad = || {
            let want = "between {{ and }} there must be USERNAME, OLD_PASSWORD or NEW_PASSWORD";
            bad_setting(CUSTOM.name(), want)
        };
        let (name, after) = hole.split_once("}}").ok_or_else(bad)?;
        found.push(Part::Text(text));
        found.push(match name.trim() {
            "USERNAME" => Part::Username,
            "OLD_PASSWORD" => Part::Old,
            "NEW_PASSWORD" => Part::New,
            _ => return Err(bad()),
        });
        rest = after;
    }
    found.push(Part::Text(rest));
    if !found.contains(&Part::New) {
        return Err(bad_setting(CUSTOM.name(), "it does not say where {{NEW_PASSWORD}} goes"));
    }
    Ok(found)
}

/// The command that changes a password, and its input.
pub(super) fn command(
    stage: &Stage<'_>,
    root: bool,
    (user, old, new): (&str, &SecretString, &SecretString),
) -> Result<(String, SecretString), Fault> {
    need_user(user)?;
    if let Some(template) = stage.settings.text(&CUSTOM) {
        return Ok((SHELL.to_owned(), custom(template, (user, old, new))?));
    }
    if [old, new].iter().any(|secret| secret.expose().chars().any(char::is_control)) {
        return Err(Fault::bad_request("the password has a character that a terminal cannot type"));
    }
    let (old, new) = (old.expose().as_str(), new.expose().as_str());
    let chpasswd = Secret::new(format!("{user}:{new}\n"));
    Ok(match (root, stage.actor) {
        (true, _) => (CHPASSWD.to_owned(), chpasswd),
        (false, Actor::Target) => (format!("sudo -n {CHPASSWD}"), chpasswd),
        (false, Actor::Owner) => (PASSWD.to_owned(), Secret::new(format!("{old}\n{new}\n{new}\n"))),
    })
}

/// A custom command with its holes filled. A shell takes it apart, so what goes in must be nothing
/// that means something there.
fn custom(
    template: &str,
    (user, old, new): (&str, &SecretString, &SecretString),
) -> Result<SecretString, Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:@%+=/".contains(c);
    let mut script = Secret::new(String::with_capacity(template.len() + 1_024));
    for part in parts(template)? {
        let text = match part {
            Part::Text(text) => {
                script.expose_mut().push_str(text);
                continue;
            }
            Part::Username => user,
            Part::Old => old.expose(),
            Part::New => new.expose(),
        };
        if !text.chars().all(plain) {
            return Err(bad_setting(
                CUSTOM.name(),
                "the user or a password has a character that a shell could take for its own; \
                 leave use-special-characters off",
            ));
        }
        script.expose_mut().push_str(text);
    }
    script.expose_mut().push('\n');
    Ok(script)
}

/// Refuses a place of public keys that a shell would not read as one.
pub(super) fn check_path(settings: &Settings) -> Result<(), Fault> {
    path(settings).map(drop)
}

/// The place of public keys, as it can stand between double quotes.
fn path(settings: &Settings) -> Result<String, Fault> {
    let given = settings.text(&KEY_PATH).unwrap_or("~/.ssh/authorized_keys");
    let (home, rest) = match given.strip_prefix("~/") {
        Some(rest) => (true, rest),
        None => (!given.starts_with('/'), given),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./@%+".contains(c);
    let fits = !rest.is_empty() && rest.len() <= 512 && rest.chars().all(plain);
    if !fits || rest.ends_with('/') {
        let want = "it must be the path of a file, of letters, digits and _ - . / @ % +";
        return Err(bad_setting(KEY_PATH.name(), want));
    }
    Ok(if home { format!("$HOME/{rest}") } else { rest.to_owned() })
}

/// What changes the public keys of a user, as that user.
pub(super) struct Commands {
    /// Runs a script as that user.
    pub(super) shell: String,
    path: String,
}

impl Commands {
    /// Those for this user, whoever is signed in.
    pub(super) async fn of(
        stage: &Stage<'_>,
        session: &mut Session,
        user: &str,
    ) -> Result<Self, Fault> {
        need_user(user)?;
        let path = path(stage.settings)?;
        let shell = match stage.actor {
            Actor::Owner => SHELL.to_owned(),
            // As the user, not in their place: their folder may lead anywhere.
            Actor::Target if is_root(session).await? => {
                format!("env PATH=/usr/bin:/bin su -s /bin/sh -- '{user}'")
            }
            Actor::Target => format!("sudo -n -H -u '{user}' {SHELL}"),
        };
        Ok(Self { shell, path })
    }

    /// Adds a key beside the old one, with the options that that one has; once.
    pub(super) fn add(&self, old: &str, new: &str) -> Result<SecretString, Fault> {
        let (old, new) = (checked(old)?, checked(new)?);
        let begin = self.begin();
        Ok(SecretString::new(format!(
            "{begin}if grep -qF -- '{new}' \"$f\"; then exit 0; fi\n\
             t=\"$(mktemp \"$f.XXXXXX\")\"\ntrap 'rm -f -- \"$t\"' EXIT\n\
             cp -p -- \"$f\" \"$t\"\n\
             [ -z \"$(tail -c1 \"$t\")\" ] || echo >> \"$t\"\n\
             if grep -qF -- '{old}' \"$f\"; then\n\
             sed -n 's|{old}|{new}|p' \"$f\" >> \"$t\"\n\
             else echo '{new}' >> \"$t\"; fi\n\
             mv -f -- \"$t\" \"$f\"\n"
        )))
    }

    /// Removes a key, if it is there.
    pub(super) fn remove(&self, old: &str) -> Result<SecretString, Fault> {
        let (begin, old) = (self.begin(), checked(old)?);
        Ok(SecretString::new(format!(
            "{begin}if grep -qF -- '{old}' \"$f\"; then :; else exit 0; fi\n\
             t=\"$(mktemp \"$f.XXXXXX\")\"\ntrap 'rm -f -- \"$t\"' EXIT\n\
             cp -p -- \"$f\" \"$t\"\n\
             grep -vF -- '{old}' \"$f\" > \"$t\" || [ $? = 1 ]\n\
             mv -f -- \"$t\" \"$f\"\n"
        )))
    }

    /// A file that is there, in `$f`, whatever leads to it.
    fn begin(&self) -> String {
        let path = &self.path;
        format!(
            "set -eu\nPATH=/usr/bin:/bin\nexport PATH\numask 077\nf=\"{path}\"\n\
             mkdir -p -- \"$(dirname -- \"$f\")\"\n[ -e \"$f\" ] || : > \"$f\"\n\
             f=\"$(readlink -f -- \"$f\")\"\n"
        )
    }
}

/// A public key that is nothing but its type and its value.
fn checked(public: &str) -> Result<&str, Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-+/=@. ".contains(c);
    let fits = public.split(' ').count() == 2 && public.chars().all(plain);
    fits.then_some(public).ok_or_else(|| Fault::internal("a stored public key is none"))
}
