//! The program this edge is part of.

use keysherd_wire::Spec;

/// What the binary tells this edge about itself.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// How the program is called.
    pub name: &'static str,
    /// Its version.
    pub version: &'a str,
    /// One sentence about it.
    pub summary: &'a str,
    /// The commands of the server.
    pub specs: &'a [&'static Spec],
    /// Words the binary takes itself before this edge sees them, with a sentence each; shown in
    /// the help text.
    pub roles: &'a [(&'a str, &'a str)],
    /// What commands wait for besides the server, each with how the command's name begins; the
    /// first one counts.
    pub waits: &'a [(&'a str, &'a str)],
}

/// Words that the binary `keysherd` takes itself.
const ROLES: &[(&str, &str)] = &[("server", "Runs every role on this machine.")];

/// What is shown to people whose command waits for somebody else's server.
pub const WAITS: &[(&str, &str)] = &[
    ("dynamic-secret-get-value", GIVEN),
    ("get-dynamic-secret-value", GIVEN),
    ("dynamic-secret-create-", TRIED),
    ("dynamic-secret-update-", TRIED),
    ("gateway-create-producer-", TRIED),
    ("gateway-update-producer-tmp-creds", "the gateway"),
    ("gateway-update-producer-", TRIED),
    ("dynamic-secret-tmp-creds-delete", REMOVED),
    ("gateway-revoke-producer-tmp-creds", REMOVED),
    ("gateway-rotate-secret", ROTATED),
    ("rotate-secret", ROTATED),
    ("rollback-secret", ROTATED),
    ("rotated-secret-create-", SIGNED_IN),
    ("rotated-secret-update-", SIGNED_IN),
    ("target-create-", SIGNED_IN),
    ("target-update-", SIGNED_IN),
];
const GIVEN: &str = "the target to make credentials";
const TRIED: &str = "a trial, in which the target makes and removes credentials";
const REMOVED: &str = "the target to remove credentials";
const ROTATED: &str = "the target to take new credentials";
const SIGNED_IN: &str = "the target to let somebody sign in";

impl<'a> Program<'a> {
    /// The binary `keysherd`, whose version is that of the workspace.
    pub const fn keysherd(specs: &'a [&'static Spec]) -> Self {
        Self {
            name: "keysherd",
            version: env!("CARGO_PKG_VERSION"),
            summary: "secrets and keys under keys that exist only as fragments.",
            specs,
            roles: ROLES,
            waits: WAITS,
        }
    }

    /// What this command waits for besides the server.
    pub(crate) fn waits_for(&self, command: &str) -> Option<&'a str> {
        let found = self.waits.iter().find(|(begin, _)| command.starts_with(begin));
        found.map(|(_, what)| *what)
    }
}
