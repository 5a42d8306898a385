//! A SoftHSM2 token in a directory of its own, for the tests of every crate that uses tokens.
//!
//! The library reads where its tokens are from the environment when it starts, so what uses the
//! token runs in another process: the binary under test, or the test program once more.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The PIN of every token.
pub(crate) const PIN: &str = "4711-correct-horse";
const SECURITY_OFFICER_PIN: &str = "0815-security-officer";

const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// A directory with tokens.
pub(crate) struct SoftHsm {
    dir: tempfile::TempDir,
    module: PathBuf,
}

impl SoftHsm {
    /// A directory with one token of this label.
    pub(crate) fn with_token(label: &str) -> Self {
        let module = MODULES.iter().map(PathBuf::from).find(|path| path.is_file());
        let module = module.expect("SoftHSM2 is missing; on Debian: apt-get install softhsm2");
        let hsm = Self { dir: tempfile::tempdir().unwrap(), module };
        let tokens = hsm.dir.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(hsm.conf(), text).unwrap();
        hsm.add_token(label);
        hsm
    }

    /// Makes one more token; labels need not differ.
    pub(crate) fn add_token(&self, label: &str) {
        let mut tool = Command::new("softhsm2-util");
        self.configure(&mut tool);
        tool.args(["--init-token", "--free", "--label", label, "--pin", PIN]);
        let made = tool.args(["--so-pin", SECURITY_OFFICER_PIN]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Lets a process see these tokens.
    pub(crate) fn configure<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("SOFTHSM2_CONF", self.conf())
    }

    /// The directory with the tokens.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The module's file.
    pub(crate) fn module(&self) -> &Path {
        &self.module
    }

    /// The address of a token here, or of a key on it.
    pub(crate) fn uri(&self, token: &str, key: Option<&str>) -> String {
        let object = key.map(|key| format!(";object={key}")).unwrap_or_default();
        format!("pkcs11:token={token}{object}?module-path={}", self.module.display())
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("softhsm2.conf")
    }
}
