//! Which host keys of machines that are reached by SSH are believed: those that an author names, or
//! the first one that a machine shows when its secret is made. Whose host key is not known gets
//! nothing.

use keysherd_base::Fault;
use keysherd_targets::Server;
use keysherd_targets::ssh::host_key;
use keysherd_wire::{Args, Field, Settings, Text, bad_setting};

use crate::Way;

pub(crate) const HOST_KEY: Field<Text> = Field::text(
    "host-key",
    "Fingerprints of the machine's host keys, such as SHA256:…, with commas between them; none: \
     the first one that it shows.",
);

/// Most host keys.
const HOST_KEYS_MAX: usize = keysherd_targets::linked::HOSTS_MAX;

/// The fingerprints of host keys that are known.
///
/// # Errors
/// [`Fault::bad_request`] for what is none.
pub(crate) fn read_host_keys(settings: &Settings) -> Result<Vec<String>, Fault> {
    let Some(text) = settings.text(&HOST_KEY) else { return Ok(Vec::new()) };
    let keys: Vec<_> = text.split([',', '\n']).map(str::trim).filter(|k| !k.is_empty()).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let fits = |key: &&str| {
        key.strip_prefix("SHA256:").is_some_and(|hash| hash.len() == 43 && hash.chars().all(plain))
    };
    if keys.len() > HOST_KEYS_MAX || !keys.iter().all(fits) {
        let why = "it must be fingerprints such as ssh-keygen -l shows, SHA256: and 43 characters, \
                   at most 64 with commas between them";
        return Err(bad_setting(HOST_KEY.name(), why));
    }
    Ok(keys.into_iter().map(str::to_owned).collect())
}

/// The host key that the machine shows, to be remembered, unless one is known; with what to say
/// about it. Nobody signs in.
///
/// # Errors
/// A fault that says why it shows none.
pub(crate) async fn met(
    machine: &Server,
    settings: &Settings,
    way: &Way,
) -> Result<(Args, Vec<String>), Fault> {
    let mut args = Args::new();
    if !read_host_keys(settings)?.is_empty() {
        return Ok((args, Vec::new()));
    }
    let shown = host_key(machine, way).await?;
    let warning = format!(
        "{} shows the host key {shown}, which is believed from now on; compare it on the machine \
         (ssh-keygen -l), or set host-key",
        machine.place()
    );
    args.put(HOST_KEY.name(), shown.into());
    Ok((args, vec![warning]))
}
