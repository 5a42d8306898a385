//! The Kubernetes API server of the tests, with its etcd.

use crate::go::{GoProgram, word_after};

/// Both servers in one program.
pub(crate) const PROGRAM: GoProgram = GoProgram {
    name: "kube",
    what: "a Kubernetes API server",
    source: "crates/app/tests/it/kit/kube",
    files: &["main.go", "go.mod", "go.sum"],
    package: ".",
    linked: version,
};

/// What the version is, for whoever asks the server.
fn version(module: &str) -> String {
    let version = word_after(module, "k8s.io/kubernetes ").unwrap_or_default();
    format!("-X k8s.io/component-base/version.gitVersion={version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_knows_its_version() {
        let module = "require (\n\tk8s.io/kubernetes v1.33.4\n)";
        assert!(version(module).ends_with("gitVersion=v1.33.4"));
    }
}
