//! The epoch key as a systemd credential: encrypted by the TPM, the host's credential key, or both.
//!
//! The work is done by `systemd-creds` (systemd 250 or newer), which needs the right to use that
//! key: root, or a service manager that offers it to users. Where a manager runs without it, let
//! its unit load a credential and use that as passphrase instead.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use keysherd_base::{Fault, FaultKind, SecretBytes};

use super::Wrapping;

/// The name bound into the credential: one made for another use does not decrypt as this.
const CREDENTIAL: &str = "keysherd-epoch-key";
/// The tool, looked up in `PATH`.
const TOOL: &str = "systemd-creds";
/// Most bytes the tool may answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Wraps with `systemd-creds`.
#[derive(Clone, Debug)]
pub struct SystemdWrapping(PathBuf);

impl Default for SystemdWrapping {
    fn default() -> Self {
        Self(PathBuf::from(TOOL))
    }
}

impl SystemdWrapping {
    fn run(&self, verb: &str, input: &[u8]) -> Result<SecretBytes, Fault> {
        let cannot = |what: String| {
            let text = format!(
                "the epoch key cannot be {verb}ed by {}: {what}; it needs systemd 250 or newer and \
                 the right to use the host's credential key",
                self.0.display()
            );
            Fault::new(FaultKind::Unavailable, text)
        };
        let mut child = Command::new(&self.0)
            .arg(verb)
            .arg(format!("--name={CREDENTIAL}"))
            .args(["-", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| cannot(error.to_string()))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take();
        // What it says is short, but nobody may wait for the other with a full pipe.
        let complaint = thread::spawn(move || {
            let mut text = String::new();
            if let Some(from) = stderr {
                from.take(4_096).read_to_string(&mut text).ok();
            }
            text
        });
        let fed = stdin.map(|mut stdin| stdin.write_all(input));
        let mut answer = SecretBytes::new(Vec::with_capacity(8 * 1024));
        let read = stdout.map(|out| out.take(ANSWER_BYTES_MAX).read_to_end(answer.expose_mut()));
        let status = child.wait().map_err(|error| cannot(error.to_string()))?;
        let complaint = complaint.join().unwrap_or_default();
        if !status.success() {
            let said = complaint.lines().last().unwrap_or_default().trim().to_owned();
            return Err(cannot(format!("it ended with {status}: {said}")));
        }
        for done in [fed.map(|fed| fed.map(|()| 0)), read].into_iter().flatten() {
            done.map_err(|error| cannot(error.to_string()))?;
        }
        Ok(answer)
    }
}

impl Wrapping for SystemdWrapping {
    fn wrap(&self, key: &SecretBytes) -> Result<Vec<u8>, Fault> {
        Ok(self.run("encrypt", key.expose())?.expose().clone())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<SecretBytes, Fault> {
        self.run("decrypt", wrapped)
    }

    fn name(&self) -> &'static str {
        "systemd credential"
    }
}
