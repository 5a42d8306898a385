//! A universal identity as what a gateway signs in with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Arg;
use keysherd_base::{Fault, interval};
use keysherd_gateway::{OwnUid, OwnUidSettings, ROTATE_EVERY};

use super::{missing, secret};
use crate::config::settings::{Settings, option, switch, wrong};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

/// The systemd credential with the token.
const CREDENTIAL: &str = "gateway-uid-token";
const FILE: &str = "gateway-uid-token-file";
const INTERVAL: &str = "gateway-uid-rotate-interval";
const WITHOUT_CHILD: &str = "gateway-uid-without-child";
/// The least and the most time between two rotations. A value that was rotated out less than a
/// minute ago is no sign of theft, so none is rotated more often.
const INTERVAL_MIN: Duration = Duration::from_secs(60);
const INTERVAL_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Where the token comes from, and how it is kept alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UidSource {
    token: PassphraseSource,
    own_child: bool,
    rotate_every: Duration,
}

/// The options.
pub(super) fn options() -> [Arg; 3] {
    [
        option(
            FILE,
            "FILE",
            "KEYSHERD_GATEWAY_UID_TOKEN_FILE",
            "File with a token u-..., for universal_identity; mode 0600",
        ),
        option(
            INTERVAL,
            "TIME",
            "KEYSHERD_GATEWAY_UID_ROTATE_INTERVAL",
            "Longest time between rotations of the gateway's own token, as in 5m [default: 10m]",
        ),
        switch(WITHOUT_CHILD, "Rotate that very token, not a child of it: for a single gateway")
            .env("KEYSHERD_GATEWAY_UID_WITHOUT_CHILD"),
    ]
}

impl UidSource {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(
        settings: &Settings<'_>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let variables = ["GATEWAY_UID_TOKEN", "ADMIN_UID_TOKEN"];
        let file = settings.text(FILE)?.map(PathBuf::from);
        let token = secret(file, CREDENTIAL, &variables, env);
        let token = token.ok_or_else(|| missing(FILE, "the token's file"))?;
        let set = settings.text(INTERVAL)?.or_else(|| env("UID_ROTATE_INTERVAL"));
        let set = set.filter(|text| !text.is_empty());
        let rotate_every = set.map_or(Ok(ROTATE_EVERY), |text| {
            let time = interval::parse(&text);
            let time = time.filter(|time| (INTERVAL_MIN..=INTERVAL_MAX).contains(time));
            time.ok_or_else(|| wrong(INTERVAL, &text, "a time such as 5m, from 1m to 720h"))
        })?;
        let v2 = env("UID_CREATE_CHILD_TOKEN_PER_POD").filter(|text| !text.is_empty());
        let own_child = match v2.as_deref() {
            None | Some("enable" | "true") => !settings.is_set(WITHOUT_CHILD)?,
            Some("disable" | "false") => false,
            Some(other) => {
                return Err(wrong("UID_CREATE_CHILD_TOKEN_PER_POD", other, "enable or disable"));
            }
        };
        Ok(Self { token, own_child, rotate_every })
    }

    /// The file that has to be readable.
    pub(super) fn path(&self, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        self.token.path(env)
    }

    /// Reads the token, to see that it can be read.
    ///
    /// # Errors
    /// [`Exit::Configuration`].
    pub(super) fn check(&self) -> Result<(), Exit> {
        self.token.read(&crate::env).map(drop)
    }

    /// The identity, kept in `home`.
    pub(super) fn open(&self, home: &Path, comment: &str) -> OwnUid {
        let token = self.token.clone();
        OwnUid::new(OwnUidSettings {
            initial: Box::new(move || {
                token.read(&crate::env).map_err(|exit| Fault::unavailable(exit.to_string()))
            }),
            own_child: self.own_child,
            rotate_every: self.rotate_every,
            home: home.to_owned(),
            comment: comment.to_owned(),
        })
    }
}
