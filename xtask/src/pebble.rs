//! Pebble, the ACME authority of the tests.

use crate::go::GoProgram;

/// The program.
pub(crate) const PROGRAM: GoProgram = GoProgram {
    name: "pebble",
    what: "Pebble, an ACME authority",
    source: "crates/app/tests/it/kit/pebble",
    files: &["go.mod", "go.sum"],
    package: "github.com/letsencrypt/pebble/v2/cmd/pebble",
    linked: |_| String::new(),
};
