//! Mount namespaces, in which a process sees files that nobody else sees.

use std::io::Write as _;
use std::process::Command;

/// A way into a mount namespace: to make one, and to enter one that is there.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// Arguments of `unshare`.
    pub(crate) unshare: &'static [&'static str],
    /// Arguments of `nsenter`.
    pub(crate) nsenter: &'static [&'static str],
}

const WAYS: [Way; 2] = [
    Way { unshare: &["--mount"], nsenter: &["--mount"] },
    Way {
        unshare: &["--mount", "--map-root-user"],
        nsenter: &["--user", "--preserve-credentials", "--mount"],
    },
];

impl Way {
    /// How a mount namespace can be had here; says so when it cannot, and fails in CI.
    pub(crate) fn find() -> Option<Self> {
        let works = |way: &Self| {
            let mut command = Command::new("unshare");
            command.args(way.unshare).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
            command.output().is_ok_and(|output| output.status.success())
        };
        let found = WAYS.into_iter().find(works);
        if found.is_none() {
            let why = "neither root nor unprivileged user namespaces mount a tmpfs here";
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
            not_tested(why);
        }
        found
    }
}

/// Says that something is not tested here, and why.
pub(crate) fn not_tested(why: &str) {
    tell(&format!("NOT TESTED: {why}"));
}

/// Says something past the capture of a test that passes: whoever runs it should know.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
