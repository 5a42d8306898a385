//! People who are there already, and get something for a while.

use keysherd_base::Fault;

use crate::Wish;

/// Longest name of somebody who has an entry, in bytes.
const PERSON_BYTES_MAX: usize = 128;

/// Who that is, by what the auth method says of the caller.
///
/// # Errors
/// [`Fault::bad_request`] when it says nothing, or nothing that could be a name.
pub(crate) fn person<'a>(claim: &str, wish: &'a Wish<'_>) -> Result<&'a str, Fault> {
    let name = wish.sub_claims.get(claim).and_then(|values| values.first());
    let name = name.ok_or_else(|| {
        Fault::bad_request(format!(
            "who gets it is told by the claim '{claim}', which the caller does not have; \
             sign in with an auth method that gives it"
        ))
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
    let fits = !name.is_empty() && name.len() <= PERSON_BYTES_MAX && name.chars().all(plain);
    if fits {
        return Ok(name);
    }
    Err(Fault::bad_request(format!(
        "the claim '{claim}' has something else than letters, digits and _ - . @, or over 128 bytes"
    )))
}
