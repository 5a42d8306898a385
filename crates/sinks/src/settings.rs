//! What is said of log targets' settings beyond what settings are ([`keysherd_wire::Settings`]).

use keysherd_base::Fault;
pub(crate) use keysherd_wire::bad_setting as bad;
use keysherd_wire::{Args, Group, Settings};

/// The settings of all targets that say where records go, and who is believed to be there.
const WHERE: [&str; 14] = [
    "cloud-id",
    "dns",
    "enable-tls",
    "endpoint-url",
    "host",
    "network",
    "nodes",
    "otlp-url",
    "protocol",
    "region",
    "server-type",
    "splunk-url",
    "tls-certificate",
    "webhook-url",
];

/// What the arguments give, and where they give nothing, what was there; secrets only while what
/// says where records go stays as it was.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn merged(fields: &Group, given: &Args, old: Settings) -> Result<Settings, Fault> {
    Settings::merged(fields, given, old, &WHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_with_a_kept_secret_says_where_it_is() {
        let groups = crate::all().iter().map(|sink| sink.kind().fields);
        for group in groups.filter(|group| group.fields.iter().any(|field| field.secret)) {
            // Of these the secret is the address itself.
            let placed = group.fields.iter().any(|field| WHERE.contains(&field.name));
            assert!(placed || group.title == "Sumo Logic", "{}", group.title);
        }
    }
}
