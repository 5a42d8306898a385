//! A trust bundle that somebody put into a data directory while the role runs.

use std::time::Duration;

use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;

use super::files::DataDir;
use super::process::Hangup;
use super::trust::BUNDLE;
use crate::exit::Exit;

/// How often the file is looked at; SIGHUP makes it at once.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The file, and what was in it when it was looked at last.
pub(crate) struct BundleFile {
    dir: DataDir,
    seen: Vec<u8>,
}

impl BundleFile {
    /// The file in `dir`. What it holds now is taken as known.
    pub(crate) fn new(dir: DataDir) -> Self {
        let seen = dir.read(BUNDLE).ok().flatten().unwrap_or_default();
        Self { dir, seen }
    }

    /// The same, with what the file holds now still to be offered.
    pub(crate) fn from_nothing(dir: DataDir) -> Self {
        Self { dir, seen: Vec::new() }
    }

    /// What the file holds, if it has changed.
    pub(crate) fn changed(&mut self) -> Option<Result<SignedBundle, Exit>> {
        let bytes = match self.dir.read(BUNDLE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return None,
            Err(exit) => return Some(Err(exit)),
        };
        if bytes == self.seen {
            return None;
        }
        let signed = SignedBundle::from_bytes(&bytes).map_err(|refusal| {
            Exit::Configuration(format!("{}: {refusal}", self.dir.join(BUNDLE).display()))
        });
        self.seen = bytes;
        Some(signed)
    }

    /// Offers each new content to `offer`, for ever. What is refused is logged once.
    pub(crate) async fn follow(
        mut self,
        mut hangup: Hangup,
        offer: impl Fn(SignedBundle) -> Result<(), Exit> + Send,
    ) {
        let mut turns = tokio::time::interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = hangup.wait() => {}
            }
            let outcome = self.changed().map(|read| read.and_then(&offer));
            if let Some(Err(exit)) = outcome {
                tracing::error!(%exit, "the trust bundle in the data directory is not used");
            }
        }
    }
}
