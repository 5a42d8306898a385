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
}

/// Words that the binary `keysherd` takes itself.
const ROLES: &[(&str, &str)] = &[("server", "Runs every role on this machine.")];

impl<'a> Program<'a> {
    /// The binary `keysherd`, whose version is that of the workspace.
    pub const fn keysherd(specs: &'a [&'static Spec]) -> Self {
        Self {
            name: "keysherd",
            version: env!("CARGO_PKG_VERSION"),
            summary: "secrets and keys under keys that exist only as fragments.",
            specs,
            roles: ROLES,
        }
    }
}
