//! Fields that several members share, each written once.

use keysherd_base::Fault;
use keysherd_wire::{Field, Flag, Text};

use crate::Settings;

/// What clients send where everything stays as it is.
const KEEP: &str = "use-existing";

/// An optional text that is kept when it is not given.
pub(crate) const fn kept(name: &'static str, help: &'static str) -> Field<Text> {
    Field::text(name, help).sentinel(KEEP)
}

/// Whether the connection is encrypted.
pub(crate) const ENABLE_TLS: Field<Flag> =
    Field::flag("enable-tls", "Connect with TLS; a certificate alone says so, too.");
/// The receiver's authority.
pub(crate) const TLS_CERTIFICATE: Field<Text> = kept(
    "tls-certificate",
    "The receiver's CA certificate, PEM or that in base64; none: this machine's.",
);
/// Whether several lines go in one request.
pub(crate) const ENABLE_BATCH: Field<Flag> =
    Field::flag("enable-batch", "Send several records in one request.").default("true");
/// Where the service is, ours.
pub(crate) const ENDPOINT_URL: Field<Text> = kept(
    "endpoint-url",
    "Where the service is when it is not at its usual address, such as https://logs.example.",
);

/// The receiver's authority in PEM.
///
/// # Errors
/// [`Fault::bad_request`] when it is none.
pub(crate) fn authority(settings: &Settings) -> Result<Option<String>, Fault> {
    let given = settings.text(&TLS_CERTIFICATE);
    given.map(|given| keysherd_egress::authority(TLS_CERTIFICATE.name(), given)).transpose()
}
