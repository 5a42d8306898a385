//! FerretDB, the server of MongoDB's protocol that tests have.

use crate::go::GoProgram;

/// The program.
pub(crate) const PROGRAM: GoProgram = GoProgram {
    name: "ferretdb",
    what: "FerretDB, a server of MongoDB's protocol",
    source: "crates/engines/fixtures/ferretdb",
    files: &["go.mod", "go.sum", "main.go"],
    package: ".",
    linked: |_| String::new(),
};
