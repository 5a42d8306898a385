//! The settings of passwords and keys on machines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use keysherd_targets::ssh::KeyKind;
use keysherd_wire::{Args, Field, Group, Text, bad_setting, wipe};
use serde_json::Value;

use super::script::{check_path, parts};
use crate::fields::{
    PASSWORD_LENGTH, REMOTE_STAYING_MACHINES, SAME_PASSWORD, USE_CAPITAL_LETTERS,
    USE_LOWER_LETTERS, USE_NUMBERS, USE_SPECIAL_CHARACTERS,
};
use crate::host_key::{HOST_KEY, read_host_keys};
use crate::rotator::database::{ROTATED_PASSWORD, ROTATED_USERNAME};
use crate::rotator::{RotatorKind, RotatorType};
use crate::{Settings, Spelling};

pub(super) const KEY_DATA: Field<Text> = Field::text(
    "key-data-base64",
    "That user's private key as it is now, in PEM or OpenSSH's form and base64, without a \
     passphrase; with rotator-type key.",
)
.secret();
const ALGORITHM: Field<Text> = Field::text(
    "key-algorithm",
    "What kind of key comes: ED25519, ECDSA256, ECDSA384, ECDSA521, RSA2048, RSA3072 or RSA4096; \
     without, the kind of the key that goes.",
);
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

/// Longest setting, in bytes.
const BYTES_MAX: usize = 4_096;

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
            SAME_PASSWORD.spec(),
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
    new_kind(settings)?;
    let Some(template) = settings.text(&CUSTOM) else { return Ok(()) };
    if template.len() > BYTES_MAX {
        return Err(bad_setting(CUSTOM.name(), "it is over 4096 bytes"));
    }
    parts(template).map(drop)
}

/// What kind of key comes; none: the kind of the one that goes.
pub(super) fn new_kind(settings: &Settings) -> Result<Option<KeyKind>, Fault> {
    let Some(name) = settings.text(&ALGORITHM).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let names = || KeyKind::ALL.map(|(name, _)| name).join(", ");
    let unknown = || bad_setting(ALGORITHM.name(), &format!("it must be one of {}", names()));
    KeyKind::by_name(name).ok_or_else(unknown).map(Some)
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
