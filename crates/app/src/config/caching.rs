//! Settings of reads that a gateway answers without asking control. What administrators set with
//! `gateway-update-cache` wins over them, for their account.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Arg;
use keysherd_api::{CACHE_MINUTES_MAX, CachePolicy};
use keysherd_base::Secret;
use keysherd_gateway::CacheSettings;

use super::settings::{Settings, option, switch};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

/// Reads that are read again in the background at one time, at most.
const WORKERS_MAX: u64 = 64;
/// Other names that V2 gateways have for `PROACTIVE_CACHE_ENABLE`.
const PROACTIVE_TOO: [&str; 2] = ["NEW_PROACTIVE_CACHE_ENABLE", "PRO_ACTIVE_CACHE_ENABLE"];

/// The setting that names the file with the key of the copy on disk.
const KEY_FILE: &str = "cache-key-file";
/// The systemd credential with that key.
const CREDENTIAL: &str = "cache-key";
/// The name that V2 gateways have for it.
const KEY_VARIABLE: &str = "CACHE_ENCRYPTION_KEY";

/// The options.
pub(super) fn options() -> [Arg; 7] {
    let on = switch("cache", "Answer reads without control as long as nothing has changed");
    let proactive =
        switch("proactive-cache", "Read again, in the background, what was read lately");
    [
        on.env("CACHE_ENABLE"),
        option(
            "cache-ttl-minutes",
            "MINUTES",
            "CACHE_TTL",
            "How long an answer is repeated at most, 1 to 1440 [default: 60]",
        ),
        option(
            "cache-max-items",
            "NUMBER",
            "CACHE_MAX_ITEMS",
            "Items in that cache, 1 to 4000000; one has up to 4 KiB [default: 50000]",
        ),
        proactive.env("PROACTIVE_CACHE_ENABLE"),
        option(
            "proactive-cache-minutes",
            "MINUTES",
            "PROACTIVE_CACHE_MINIMUM_FETCHING_TIME",
            "Minutes between two such reads of the same, 1 to 1440 [default: 5]",
        ),
        option(
            "proactive-cache-workers",
            "NUMBER",
            "PROACTIVE_CACHE_WORKERS",
            "Such reads at one time, 1 to 64 [default: 3]",
        ),
        option(
            KEY_FILE,
            "FILE",
            "KEYSHERD_CACHE_KEY_FILE",
            "32 bytes in base64: what may be read offline is kept on disk, sealed under them",
        ),
    ]
}

/// Reads the settings.
///
/// # Errors
/// [`Exit::Configuration`] names the setting, its value and what is allowed.
pub(super) fn load(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<CacheSettings, Exit> {
    let started = CachePolicy::default();
    let minutes = |name: &str, default: u32| {
        let minutes = settings.number(name, 1..=CACHE_MINUTES_MAX.into(), default.into())?;
        Ok::<_, Exit>(u32::try_from(minutes).unwrap_or(default))
    };
    let is_on = |name: &&str| env(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let proactive = settings.is_set("proactive-cache")? || PROACTIVE_TOO.iter().any(is_on);
    Ok(CacheSettings {
        policy: CachePolicy {
            enabled: settings.is_set("cache")?,
            ttl_minutes: minutes("cache-ttl-minutes", started.ttl_minutes)?,
            proactive,
            fetch_minutes: minutes("proactive-cache-minutes", started.fetch_minutes)?,
            ..started
        },
        items_max: settings.number("cache-max-items", 1..=4_000_000, 50_000)?,
        workers: usize::try_from(settings.number("proactive-cache-workers", 1..=WORKERS_MAX, 3)?)
            .unwrap_or(1),
    })
}

/// Where the key of the copy on disk comes from; `None`: there is no copy.
///
/// # Errors
/// [`Exit::Configuration`] when the setting is no text.
pub(super) fn key_source(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<PassphraseSource>, Exit> {
    let source = PassphraseSource::file_or_credential(settings.text(KEY_FILE)?, CREDENTIAL, env);
    let given = env(KEY_VARIABLE).is_some_and(|text| !text.is_empty());
    Ok(source.or_else(|| given.then_some(PassphraseSource::Environment(KEY_VARIABLE))))
}

/// Reads the key of the copy in `data_dir`.
///
/// # Errors
/// [`Exit::Configuration`] when it is no key, or lies beside what it is to protect.
pub(crate) fn read_key(
    source: Option<&PassphraseSource>,
    data_dir: &Path,
) -> Result<Option<Secret<[u8; 32]>>, Exit> {
    let Some(source) = source else { return Ok(None) };
    let env = |name: &str| std::env::var(name).ok();
    let real = |path: &Path| path.canonicalize().ok();
    if let Some(path) = source.path(&env)
        && let (Some(file), Some(dir)) = (real(&path), real(data_dir))
        && file.starts_with(dir)
    {
        return Err(Exit::Configuration(format!(
            "{KEY_FILE} is {}, in the data directory, beside what it is to protect; keep it \
             elsewhere, best as the systemd credential {CREDENTIAL}",
            path.display()
        )));
    }
    let text = source.read(&env)?;
    parse_key(text.expose()).map(Some)
}

fn parse_key(text: &str) -> Result<Secret<[u8; 32]>, Exit> {
    let wrong =
        || Exit::Configuration("the cache key must be 32 bytes in base64, and is not".to_owned());
    let bytes = Secret::new(STANDARD.decode(text.trim()).map_err(|_| wrong())?);
    let mut key = Secret::new([0; 32]);
    *key.expose_mut() = bytes.expose().as_slice().try_into().map_err(|_| wrong())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_in_base64() {
        let key = parse_key("S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s= ").unwrap();
        assert_eq!(*key.expose(), [0x4b; 32]);
        for wrong in
            ["", "S0tLS0s=", "not base64 at all", "S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0"]
        {
            let said = parse_key(wrong).err().unwrap().to_string();
            assert!(said.contains("32 bytes in base64"), "{said}");
        }
    }

    #[test]
    fn a_key_beside_what_it_protects_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.key");
        std::fs::write(&path, "S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s=").unwrap();
        let source = PassphraseSource::File(path);
        let said = read_key(Some(&source), dir.path()).err().unwrap().to_string();
        assert!(said.contains("keep it elsewhere"), "{said}");
        assert!(read_key(None, dir.path()).unwrap().is_none());
    }
}
