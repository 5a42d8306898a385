//! The settings of passwords and keys on machines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Args, Field, Group, Text, bad_setting, wipe};
use serde_json::Value;

use super::script::{check_path, parts};
use crate::fields::{
    PASSWORD_LENGTH, REMOTE_STAYING_MACHINES, USE_CAPITAL_LETTERS, USE_LOWER_LETTERS, USE_NUMBERS,
    USE_SPECIAL_CHARACTERS,
};
use crate::rotator::database::{ROTATED_PASSWORD, ROTATED_USERNAME};
use crate::rotator::{RotatorKind, RotatorType};
use crate::{Settings, Spelling};

pub(super) const KEY_DATA: Field<Text> = Field::text(
    "key-data-base64",
    "That user's private key as it is now, in PEM or OpenSSH's form and base64, without a \
     passphrase; with rotator-type key.",
)
.secret();
const HOST_KEY: Field<Text> = Field::text(
    "host-key",
    "Fingerprints of the machine's host keys, such as SHA256:…, with commas between them; none: \
     the first one that it shows.",
);
const ALGORITHM: Field<Text> =
    Field::text("key-algorithm", "What kind of key comes: ED25519.").default("ED25519");
pub(super) const KEY_PATH: Field<Text> = Field::text(
    "public-key-remote-path",
    "Where the user's public keys are, absolute or below ~/.",
)
.default("~/.ssh/authorized_keys");
pub(super) const CUSTOM: Field<Text> = Field::text(
    "rotator-custom-cmd",
    "What sets a password instead of chpasswd or passwd, for a POSIX shell, with {{USERNAME}}, \
     {{OLD_PASSWORD}} and {{NEW_PASSWORD}}; programs that it runs with a password as an argument \
     show it to everybody on the machine.",
);
const SAME: Field<Text> =
    Field::text("same-password", "Accepted; linked targets are not served yet.").inert();

/// Longest setting, in bytes, and most host keys.
const BYTES_MAX: usize = 4_096;
const HOST_KEYS_MAX: usize = 16;

pub(super) static KIND: RotatorKind = RotatorKind {
    name: "ssh",
    what: "a machine that is reached by SSH",
    targets: &["ssh"],
    types: &[
        RotatorType { name: "password", shown: "user-pass-rotator", of_target: false },
        RotatorType { name: "key", shown: "key-rotator", of_target: false },
        RotatorType { name: "target", shown: "target-rotator", of_target: true },
    ],
    create: &[Spelling::current(
        "rotated-secret-create-ssh",
        "RotatedSecretCreateSsh",
        "RotatedSecretCreateOutput",
    )
    .success(200)],
    update: &[Spelling::current(
        "rotated-secret-update-ssh",
        "RotatedSecretUpdateSsh",
        "RotatedSecretUpdateOutput",
    )],
    fields: &Group {
        title: "Machine",
        fields: &[
            HOST_KEY.spec(),
            CUSTOM.spec(),
            ALGORITHM.spec(),
            KEY_PATH.spec(),
            SAME.spec(),
            PASSWORD_LENGTH.spec(),
            USE_CAPITAL_LETTERS.spec(),
            USE_LOWER_LETTERS.spec(),
            USE_NUMBERS.spec(),
            USE_SPECIAL_CHARACTERS.spec(),
        ],
    },
    given: &Group {
        title: "Credentials",
        fields: &[ROTATED_USERNAME.spec(), ROTATED_PASSWORD.spec(), KEY_DATA.spec()],
    },
    target_settings: &[("ssh-password", "password"), ("private-key", "private_key")],
    remote: &REMOTE_STAYING_MACHINES,
};

/// Whether the settings make sense.
pub(super) fn check(settings: &Settings) -> Result<(), Fault> {
    read_host_keys(settings)?;
    check_path(settings)?;
    let algorithm = settings.text(&ALGORITHM).unwrap_or("ED25519");
    if !algorithm.eq_ignore_ascii_case("ED25519") {
        return Err(bad_setting(
            ALGORITHM.name(),
            "it must be ED25519, which is all that is served",
        ));
    }
    let Some(template) = settings.text(&CUSTOM) else { return Ok(()) };
    if template.len() > BYTES_MAX {
        return Err(bad_setting(CUSTOM.name(), "it is over 4096 bytes"));
    }
    parts(template).map(drop)
}

/// The fingerprints of host keys that are known.
pub(super) fn read_host_keys(settings: &Settings) -> Result<Vec<String>, Fault> {
    let Some(text) = settings.text(&HOST_KEY) else { return Ok(Vec::new()) };
    let keys: Vec<_> = text.split([',', '\n']).map(str::trim).filter(|k| !k.is_empty()).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let fits = |key: &&str| {
        key.strip_prefix("SHA256:").is_some_and(|hash| hash.len() == 43 && hash.chars().all(plain))
    };
    if keys.len() > HOST_KEYS_MAX || !keys.iter().all(fits) {
        let why = "it must be fingerprints such as ssh-keygen -l shows, SHA256: and 43 characters, \
                   at most 16 with commas between them";
        return Err(bad_setting(HOST_KEY.name(), why));
    }
    Ok(keys.into_iter().map(str::to_owned).collect())
}

/// The argument that remembers a host key.
pub(super) fn remembered(fingerprint: &str) -> Args {
    let mut args = Args::new();
    args.put(HOST_KEY.name(), fingerprint.into());
    args
}

/// Whether somebody makes a rotated secret that is a key.
pub(super) fn wants_key(given: &Args) -> Result<bool, Fault> {
    Ok(given.raw("rotator-type").and_then(Value::as_str) == Some("key"))
}

/// The user that is given.
pub(super) fn user(given: &Args) -> Result<String, Fault> {
    given.need(&ROTATED_USERNAME)
}

/// The same, unless none is.
pub(super) fn user_opt(given: &Args) -> Result<Option<String>, Fault> {
    given.get(&ROTATED_USERNAME)
}

/// A private key that is given in base64.
pub(super) fn decoded(text: &SecretString) -> Result<SecretString, Fault> {
    let bad = || bad_setting(KEY_DATA.name(), "it must be a private key in base64");
    let compact: String = text.expose().chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(&compact);
    wipe(Value::String(compact));
    String::from_utf8(bytes.map_err(|_| bad())?).map(SecretString::new).map_err(|error| {
        wipe(Value::String(String::from_utf8_lossy(error.as_bytes()).into_owned()));
        bad()
    })
}
