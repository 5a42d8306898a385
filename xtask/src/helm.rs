//! Helm, which renders the chart in the tests.

use crate::go::{GoProgram, word_after};

/// The program.
pub(crate) const PROGRAM: GoProgram = GoProgram {
    name: "helm",
    what: "Helm",
    source: "crates/app/tests/it/kit/helm",
    files: &["go.mod", "go.sum"],
    package: "helm.sh/helm/v3/cmd/helm",
    linked: versions,
};

/// Helm's own version, and which Kubernetes it believes to render for: that of its libraries.
fn versions(module: &str) -> String {
    let version = word_after(module, "helm.sh/helm/v3 ").unwrap_or_default();
    let client = word_after(module, "k8s.io/client-go ").unwrap_or_default();
    let minor = client.split('.').nth(1).unwrap_or_default();
    let capabilities = "helm.sh/helm/v3/pkg/chartutil.k8sVersion";
    format!(
        "-X helm.sh/helm/v3/internal/version.version={version} -X {capabilities}Major=1 \
         -X {capabilities}Minor={minor}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_renders_for_the_kubernetes_of_its_libraries() {
        let module = "\thelm.sh/helm/v3 v3.18.6 // indirect\n\tk8s.io/client-go v0.33.3 // x\n";
        let flags = versions(module);
        assert!(flags.contains("version.version=v3.18.6 "), "{flags}");
        assert!(flags.ends_with("k8sVersionMinor=33"), "{flags}");
    }
}
