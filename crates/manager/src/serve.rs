//! Requests: bytes in, bytes out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keysherd_base::SecretBytes;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::messages::{
    ManagerAnswer, ManagerRequest, PeerAnswer, PeerRequest, Status,
};
use keysherd_fragments::refusal::Refusal;

use crate::log::LogFailure;
use crate::manager::{Manager, lock};

/// Longest request that is read on the runtime's own threads, in bytes: about 64 entries.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// What a gateway is told when the log fails: no derivation leaves, and other managers may answer.
pub(crate) fn log_refusal(failure: LogFailure) -> Refusal {
    tracing::debug!(?failure, "the fragment log failed");
    // The protocol has no number of its own for this; this one is retryable and sends the gateway
    // to the other managers.
    Refusal::NotEnoughManagers
}

impl Manager {
    /// Answers a gateway's request. `peer_spki` is the SHA-256 of the `SubjectPublicKeyInfo` of
    /// the certificate with which the gateway authenticated on this very connection.
    ///
    /// Every request has an answer; a refusal is one. The answer holds partials of keys: it is
    /// zeroized when it is dropped.
    pub async fn serve(self: &Arc<Self>, peer_spki: [u8; 32], request: &[u8]) -> SecretBytes {
        let answer = self.answer(peer_spki, request).await.unwrap_or_else(|refusal| {
            tracing::debug!(?refusal, "refused");
            ManagerAnswer::Refused(refusal)
        });
        let counter = match answer {
            ManagerAnswer::Refused(_) => &self.refused,
            _ => &self.answered,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        answer.to_secret_bytes()
    }

    async fn answer(
        self: &Arc<Self>,
        peer: [u8; 32],
        request: &[u8],
    ) -> Result<ManagerAnswer, Refusal> {
        let request = if request.len() <= INLINE_BYTES_MAX {
            ManagerRequest::from_bytes(request)?
        } else if request.len() <= ManagerRequest::BYTES_MAX {
            let request = request.to_vec();
            self.heavy(move |_| ManagerRequest::from_bytes(&request)).await?
        } else {
            return Err(Refusal::TooLarge);
        };
        match request {
            ManagerRequest::Derive(call) => {
                self.derive(peer, call).await.map(ManagerAnswer::Derived)
            }
            ManagerRequest::GenerateBegin(call) => {
                let begin = move |manager: &Self| manager.generate_begin(&peer, &call);
                self.heavy(begin).await.map(ManagerAnswer::Round1)
            }
            ManagerRequest::GenerateExchange(exchange) => {
                self.generate_exchange(peer, exchange).await?;
                Ok(ManagerAnswer::Exchanged)
            }
            ManagerRequest::GenerateCollect { session } => {
                let collect = move |manager: &Self| manager.generate_collect(&peer, &session);
                self.heavy(collect).await.map(ManagerAnswer::Proposal)
            }
            ManagerRequest::GenerateSign { session, manifest } => {
                let sign = move |manager: &Self| manager.generate_sign(&peer, &session, &manifest);
                self.heavy(sign).await.map(ManagerAnswer::ManifestSignature)
            }
            ManagerRequest::CompleteKey(manifest) => {
                self.heavy(move |manager| manager.complete_key(&manifest)).await?;
                Ok(ManagerAnswer::KeyCompleted)
            }
            ManagerRequest::Epoch(key) => self
                .heavy(move |manager| manager.epoch_record(&key))
                .await
                .map(ManagerAnswer::Epoch),
            ManagerRequest::Refresh(call) => {
                self.refresh_for(peer, call).await.map(ManagerAnswer::Refreshed)
            }
            ManagerRequest::Status => self.protocol_status().map(ManagerAnswer::Status),
            ManagerRequest::Bundle(signed) => {
                let version = self.heavy(move |manager| manager.pin_bundle(signed)).await?;
                Ok(ManagerAnswer::BundlePinned { version })
            }
            ManagerRequest::Order(signed) => self.heavy(move |manager| manager.obey(signed)).await,
            ManagerRequest::KeyReports(keys) => {
                let report = move |manager: &Self| manager.key_reports(&keys);
                self.heavy(report).await.map(ManagerAnswer::KeyReports)
            }
            ManagerRequest::LogProof { from, to } => {
                let prove = move |manager: &Self| manager.log_proof(from, to);
                self.heavy(prove).await.map(ManagerAnswer::LogProof)
            }
        }
    }

    /// Answers a request of the manager `from`. The transport has to know for certain that it is
    /// that manager: see [`Self::peer_index`].
    /// The answer can hold shares: it is zeroized when it is dropped.
    pub async fn serve_peer(self: &Arc<Self>, from: ManagerIndex, request: &[u8]) -> SecretBytes {
        let answer = self.answer_peer(from, request).await;
        let answer = answer.unwrap_or_else(|refusal| {
            tracing::debug!(%from, ?refusal, "another manager was refused");
            PeerAnswer::Refused(refusal)
        });
        answer.to_secret_bytes()
    }

    async fn answer_peer(
        self: &Arc<Self>,
        from: ManagerIndex,
        request: &[u8],
    ) -> Result<PeerAnswer, Refusal> {
        match PeerRequest::from_bytes(request)? {
            PeerRequest::Deal(deal) => {
                // Only takes the deal in; it is verified when all are there.
                let now = self.clock.now();
                lock(&self.sessions).take_deal(from, deal, now).map(|()| PeerAnswer::Taken)
            }
            request => self.take_part(from, request).await,
        }
    }

    fn protocol_status(&self) -> Result<Status, Refusal> {
        let status = self.status();
        Ok(Status {
            manager: status.index,
            bundle_version: status.bundle_version,
            key_versions: status.key_versions,
            checkpoint: self.checkpoint_note(&status.checkpoint),
        })
    }

    /// Runs `work` on the blocking pool, as much at one time as the machine has processors.
    ///
    /// # Errors
    /// What `work` says; [`Refusal::NotEnoughManagers`] when it panicked or the runtime stops.
    pub(crate) async fn heavy<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = self.heavy.clone().acquire_owned().await;
        let manager = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&manager);
            drop(turn);
            result
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request failed inside");
            Err(Refusal::NotEnoughManagers)
        })
    }
}
