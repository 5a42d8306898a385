//! Learning the epochs of keys, whose managers refresh them by themselves (`fragments.md` 5.10).
//!
//! A gateway begins with the manifest, which is epoch 0. Reading works at any epoch; proofs, and so
//! writing, need the public shares of the epoch the managers are at. Their record proves itself, so
//! any manager may give it.

use std::sync::Arc;

use keysherd_fragments::manifest::{KeyVersion, TrustedManifest};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use tokio::task::JoinSet;

use super::{Derivations, Group};

impl Group {
    /// The same derivations at the epochs that are known now.
    pub(super) fn renewed(&self, driver: &Derivations) -> Self {
        Self {
            permit: self.permit.clone(),
            needs: self.needs.clone(),
            batch: self.batch.at_epochs(|key| driver.manifests.get(key)),
        }
    }
}

impl Derivations {
    /// Asks the managers at which epochs the keys of a group are; whether any is newer than known.
    pub(super) async fn learn_epochs(self: &Arc<Self>, group: &Group) -> bool {
        let mut asked = JoinSet::new();
        for key in group.batch.key_versions() {
            for manager in group.batch.threshold().managers().iter() {
                let driver = self.clone();
                asked.spawn(async move {
                    let request = ManagerRequest::Epoch(key);
                    (key, driver.managers.ask(manager, &request).await)
                });
            }
        }
        let mut learned = false;
        while let Some(answer) = asked.join_next().await {
            let Ok((key, Ok(ManagerAnswer::Epoch(Some(record))))) = answer else { continue };
            let Some(known) = self.manifests.get(&key) else { continue };
            let bundle = self.managers.bundle.load();
            match record.verify(&bundle, &known) {
                Ok(manifest) => learned |= self.learn_epoch(key, manifest),
                Err(refusal) => {
                    tracing::warn!(key = %key.id, %refusal, "an epoch record is not trusted");
                }
            }
        }
        learned
    }

    /// Remembers a verified epoch if it is newer than what is known.
    pub(crate) fn learn_epoch(&self, key: KeyVersion, manifest: TrustedManifest) -> bool {
        let known = self.manifests.get(&key).map(|known| known.manifest().epoch);
        let newer = known.is_none_or(|known| manifest.manifest().epoch > known);
        if newer {
            self.manifests.insert(key, Arc::new(manifest));
        }
        newer
    }
}
