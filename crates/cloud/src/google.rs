//! Google Cloud: the identity token of the machine's service account.

use keysherd_base::Fault;

use crate::Env;
use crate::metadata::{Answer, Question, client};

/// Whom tokens are for when nobody says otherwise, as the official packages have it.
const AUDIENCE: &str = "akeyless.io";
/// The metadata server; the variable `GCE_METADATA_HOST` names another one, as for Google's own
/// libraries.
const HOST: &str = "metadata.google.internal";
/// In questions and answers alike.
const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");
const WHOM: &str = "Google's metadata server";

/// The question for a token.
///
/// # Errors
/// [`Fault::bad_request`] for an audience that is no text of an address.
pub(crate) fn question(audience: Option<&str>, env: Env<'_>) -> Result<Question, Fault> {
    let audience = audience.unwrap_or(AUDIENCE);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:/".contains(&b);
    if audience.is_empty() || audience.len() > 512 || !audience.bytes().all(plain) {
        return Err(Fault::bad_request(
            "the audience must be 1 to 512 letters, digits and - . _ : /",
        ));
    }
    let host = env("GCE_METADATA_HOST").filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| HOST.to_owned());
    let url = format!(
        "http://{host}/computeMetadata/v1/instance/service-accounts/default/identity\
         ?audience={audience}&format=full"
    );
    let request = client()?.get(url).header(FLAVOR.0, FLAVOR.1);
    Ok(Question { request, whom: WHOM, expected: Some(FLAVOR), answer: Answer::Token })
}
