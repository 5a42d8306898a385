//! Whether a password is one that nobody guesses.
//!
//! Asked wherever a password is set: here at the gateway, because the control plane never sees
//! one. Three demands: length, an estimate of guesses (zxcvbn), and that it is not a known password
//! or phrase with little added. There are no rules about kinds of characters; they make passwords
//! worse.

use std::sync::LazyLock;

use keysherd_base::{Fault, SecretString};
use zxcvbn::{Score, zxcvbn};

#[cfg(test)]
mod tests;

/// Fewest characters.
pub(crate) const CHARS_MIN: usize = 16;
/// Most characters of a password that its own strength is looked for in; the estimate of longer
/// ones takes too long.
const CHARS_LOOKED_AT: usize = 100;
/// Fewest characters that must be left when everything known is taken out of a password.
const REST_CHARS_MIN: usize = 10;

/// What is known, in the form of [`plain`], the longest first.
static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let lines = include_str!("../data/known_passwords.txt").lines();
    let mut known: Vec<_> = lines.filter(|line| !line.starts_with('#')).map(plain).collect();
    known.sort_by_key(|entry| std::cmp::Reverse(entry.len()));
    known
});

/// As [`check`], off the event loop; gives the password back.
///
/// # Errors
/// As [`check`].
pub(crate) async fn strong(
    password: SecretString,
    about: Vec<String>,
) -> Result<SecretString, Fault> {
    let work = move || {
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        check(&password, &about).map(|()| password)
    };
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}

/// Demands a strong password. `about` is what an attacker would try first: the address, the names
/// of person and company. Takes milliseconds; call it off the event loop.
///
/// # Errors
/// [`Fault::bad_request`] says what is missing, and nothing of the password.
pub(crate) fn check(password: &SecretString, about: &[&str]) -> Result<(), Fault> {
    let password = password.expose();
    let chars = password.chars().count();
    if chars < CHARS_MIN {
        return Err(weak(format!("it has {chars} characters; at least {CHARS_MIN} are needed")));
    }
    if is_known(password) {
        return Err(weak(
            "it is a known password or phrase with little added; attackers try those first"
                .to_owned(),
        ));
    }
    let mut about: Vec<&str> = about.to_vec();
    about.push("keysherd");
    let parts = about.iter().flat_map(|text| text.split(['@', '.', '-', '_', ' ', '/']));
    let about: Vec<&str> = about.iter().copied().chain(parts).filter(|t| t.len() > 2).collect();
    let names: Vec<String> = about.iter().map(|text| plain(text)).collect();
    if little_is_left(password, &names) {
        return Err(weak("it can be guessed too easily: it is made of your own names".to_owned()));
    }
    let looked_at = SecretString::new(password.chars().take(CHARS_LOOKED_AT).collect());
    let estimate = zxcvbn(looked_at.expose(), &about);
    if estimate.score() < Score::Four {
        let advice = estimate.feedback().and_then(|feedback| feedback.warning());
        let advice = advice.map(|warning| format!(": {warning}")).unwrap_or_default();
        return Err(weak(format!("it can be guessed too easily{advice}")));
    }
    Ok(())
}

fn weak(why: String) -> Fault {
    Fault::bad_request(format!(
        "the new password is too weak: {why}. Use four or more random words, or let a password \
         manager make one"
    ))
    .with_code("WeakPassword")
}

/// Whether little is left of the password when everything known is taken out of it.
fn is_known(password: &str) -> bool {
    little_is_left(password, &KNOWN)
}

/// Whether little is left when `known` texts, in the form of [`plain`], are taken out.
fn little_is_left(password: &str, known: &[String]) -> bool {
    let mut rest = SecretString::new(plain(password));
    let whole = rest.expose().len();
    for known in known.iter().filter(|known| !known.is_empty()) {
        if rest.expose().contains(known.as_str()) {
            rest = SecretString::new(rest.expose().replace(known.as_str(), ""));
        }
    }
    rest.expose().len() < whole && rest.expose().chars().count() < REST_CHARS_MIN
}

/// Lower case, letters only, with the usual replacements of letters by digits and signs undone;
/// letters that the replacements confuse are one.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter_map(|c| match c {
            '0' => Some('o'),
            '1' | '!' | '|' | 'l' => Some('i'),
            '3' => Some('e'),
            '4' | '@' => Some('a'),
            '5' | '$' => Some('s'),
            '7' | '+' => Some('t'),
            '8' => Some('b'),
            '9' => Some('g'),
            other => other.is_alphanumeric().then_some(other),
        })
        .collect()
}
