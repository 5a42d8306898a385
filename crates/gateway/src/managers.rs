//! The fragment managers as this gateway knows them: links, pinned trust bundle, its own identity.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use keysherd_base::Fault;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_plane::grants::SignedPermit;
use tokio::time::Instant;

use crate::health::{Attempt, Health};
use crate::links::ManagerLink;
use crate::logs::LogMemory;

/// How long one manager may take to answer before the gateway goes on without it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an Ed25519 signature at the end of a permit.
const SIGNATURE_BYTES: usize = 64;

/// Everything needed to ask managers.
pub(crate) struct Managers {
    /// This gateway instance's signing key; its certificate carries the same.
    pub(crate) instance: SigningKey,
    /// The bundle in force.
    pub(crate) bundle: ArcSwap<PinnedBundle>,
    links: ArcSwap<Links>,
    /// The cluster's statement about this instance, where the bundle does not list it.
    pub(crate) endorsement: ArcSwapOption<Signed>,
    /// How each of them did lately.
    pub(crate) health: Health,
    /// What their logs were seen to be.
    pub(crate) logs: LogMemory,
}

/// Ways to the managers, by ascending index.
pub type Links = Vec<(ManagerIndex, Arc<dyn ManagerLink>)>;

/// Why a manager did not give what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No answer in time, or one that is not an answer.
    NoAnswer,
    /// It refused.
    Refused(keysherd_fragments::refusal::Refusal),
}

impl Managers {
    /// Managers behind `links`, by ascending index.
    pub(crate) fn new(instance: SigningKey, bundle: Arc<PinnedBundle>, links: Links) -> Self {
        let (bundle, links) = (ArcSwap::new(bundle), ArcSwap::from_pointee(links));
        let (health, logs) = (Health::default(), LogMemory::default());
        Self { instance, bundle, links, endorsement: ArcSwapOption::empty(), health, logs }
    }

    /// Replaces the bundle and the ways to its managers. Requests under way end as they began.
    pub(crate) fn trust(&self, bundle: Arc<PinnedBundle>, links: Links) {
        self.links.store(Arc::new(links));
        self.bundle.store(bundle);
    }

    /// How many managers there is a link to.
    pub(crate) fn count(&self) -> usize {
        self.links.load().len()
    }

    /// The indexes there is a link for.
    pub(crate) fn indexes(&self) -> Vec<ManagerIndex> {
        self.links.load().iter().map(|(index, _)| *index).collect()
    }

    /// The endorsement to send along.
    pub(crate) fn endorsement(&self) -> Option<Signed> {
        self.endorsement.load().as_deref().cloned()
    }

    /// Asks one manager, and remembers how that went.
    pub(crate) async fn ask(
        &self,
        index: ManagerIndex,
        request: &ManagerRequest,
    ) -> Result<ManagerAnswer, Failure> {
        let start = Instant::now();
        let answer = self.ask_once(index, request).await;
        let attempt = match &answer {
            Ok(_) => Attempt::Answered,
            Err(Failure::Refused(_)) => Attempt::Refused,
            Err(Failure::NoAnswer) => Attempt::Failed,
        };
        self.health.record(index, attempt, start.elapsed());
        answer
    }

    async fn ask_once(
        &self,
        index: ManagerIndex,
        request: &ManagerRequest,
    ) -> Result<ManagerAnswer, Failure> {
        let link = self.link(index).ok_or(Failure::NoAnswer)?;
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, link.call(request.to_bytes())).await;
        let bytes = answered.map_err(|_| Failure::NoAnswer)?.map_err(|_| Failure::NoAnswer)?;
        match ManagerAnswer::from_bytes(bytes.expose()) {
            Ok(ManagerAnswer::Refused(refusal)) => Err(Failure::Refused(refusal)),
            Ok(answer) => Ok(answer),
            Err(_) => Err(Failure::NoAnswer),
        }
    }

    fn link(&self, index: ManagerIndex) -> Option<Arc<dyn ManagerLink>> {
        let links = self.links.load();
        links.iter().find(|(known, _)| *known == index).map(|(_, link)| link.clone())
    }
}

/// Takes a permit apart into body and signature.
pub(crate) fn permit_of(permit: &SignedPermit) -> Result<Signed, Fault> {
    let bytes = &permit.bytes;
    let (body, signature) = bytes
        .split_last_chunk::<SIGNATURE_BYTES>()
        .ok_or_else(|| Fault::internal("control sent a permit that is too short"))?;
    Ok(Signed { body: body.to_vec(), signature: keysherd_crypto::sign::Signature(*signature) })
}

impl Failure {
    /// The fault for a caller, naming the manager.
    pub(crate) fn fault(self, index: ManagerIndex) -> Fault {
        match self {
            Self::NoAnswer => Fault::unavailable(format!(
                "fragment manager {index} does not answer; try again, and see its status"
            )),
            Self::Refused(refusal) => {
                Fault::unavailable(format!("fragment manager {index} refused: {refusal}"))
            }
        }
    }
}
