//! A gateway's link to a manager, with the manager's conduct; and to a hardware module.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use keysherd_base::{Secret, SecretBytes};
use keysherd_crypto::hash::{hmac_sha256, sha256};
use keysherd_fragments::derive::{AnswerBody, DeriveAnswer};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manager_set::{ManagerIndex, Threshold};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_gateway::{FragmentModule, Links, ManagerLink, Unreachable};
use keysherd_manager::{Manager, PeerFuture, PeerLink};
use keysherd_plane::BoxFuture;
use tokio::runtime::Handle;

use crate::steps::Steps;

/// How a manager behaves toward the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// As it should.
    #[default]
    Honest,
    /// Nobody reaches it.
    Down,
    /// It takes requests and never answers, as a stopped process does.
    Silent,
    /// It answers after this time.
    Slow(Duration),
    /// It signs another point of leg G for every entry.
    WrongPoint,
    /// It signs another value for its first set of leg S, for every entry.
    WrongFirstPartial,
    /// It signs another value for its last set of leg S, for every entry.
    WrongLastPartial,
}

/// A module that makes customer fragments, with one key under every label.
#[derive(Default)]
pub struct ScriptedModule(AtomicBool);

impl ScriptedModule {
    /// Takes it away, or brings it back.
    pub fn be_gone(&self, gone: bool) {
        self.0.store(gone, Ordering::SeqCst);
    }
}

impl FragmentModule for ScriptedModule {
    fn hmac_sha256(&self, _: &str, message: &[u8]) -> Result<Secret<[u8; 32]>, String> {
        match self.0.load(Ordering::SeqCst) {
            true => Err("it is gone".to_owned()),
            false => Ok(Secret::new(hmac_sha256(&[9; 32], &[message]))),
        }
    }
}

/// A valid point that is nobody's answer: the base point of ristretto255 (RFC 9496, A.1).
const OTHER_POINT: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f,
    0x58, 0xe3, 0x0b, 0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

/// The link.
pub struct ScriptedLink {
    manager: Arc<Manager>,
    gateway_spki_sha256: [u8; 32],
    threshold: Threshold,
    conduct: Mutex<Conduct>,
    derivations: AtomicUsize,
    steps: Arc<Steps>,
}

impl ScriptedLink {
    /// A link to an honest manager, as the gateway with this identity.
    pub(crate) fn new(
        manager: Arc<Manager>,
        gateway_spki_sha256: [u8; 32],
        threshold: Threshold,
        steps: Arc<Steps>,
    ) -> Self {
        Self {
            manager,
            gateway_spki_sha256,
            threshold,
            conduct: Mutex::default(),
            derivations: AtomicUsize::new(0),
            steps,
        }
    }

    /// Changes the manager's conduct for every request from now on.
    pub fn behave(&self, conduct: Conduct) {
        *self.conduct.lock().unwrap_or_else(PoisonError::into_inner) = conduct;
    }

    /// How many derivation requests were sent to it so far.
    pub fn derivations(&self) -> usize {
        self.derivations.load(Ordering::SeqCst)
    }

    async fn answer(&self, request: Vec<u8>) -> Result<SecretBytes, Unreachable> {
        if matches!(ManagerRequest::from_bytes(&request), Ok(ManagerRequest::Derive(_))) {
            self.derivations.fetch_add(1, Ordering::SeqCst);
        }
        let conduct = *self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        match conduct {
            Conduct::Down => return Err(Unreachable),
            Conduct::Silent => std::future::pending::<()>().await,
            Conduct::Slow(time) => {
                // What never comes is over when its time is.
                let never = std::future::pending::<()>();
                let _over = tokio::time::timeout(time, never).await;
            }
            _ => {}
        }
        self.steps.pass().await;
        let (manager, peer) = (self.manager.clone(), self.gateway_spki_sha256);
        let answer = beside(async move { manager.serve(peer, &request).await }).await;
        self.steps.pass().await;
        Ok(self.lie(conduct, answer))
    }

    fn lie(&self, conduct: Conduct, bytes: SecretBytes) -> SecretBytes {
        let sets = self.threshold.sets_held();
        let (offset, value): (usize, Option<[u8; 32]>) = match conduct {
            Conduct::WrongPoint => (0, Some(OTHER_POINT)),
            Conduct::WrongFirstPartial => (32, None),
            Conduct::WrongLastPartial => (32 * sets, None),
            _ => return bytes,
        };
        let Ok(ManagerAnswer::Derived(answer)) = ManagerAnswer::from_bytes(bytes.expose()) else {
            return bytes;
        };
        let DeriveAnswer { body, mut outputs, .. } = answer;
        for entry in outputs.expose_mut().chunks_exact_mut(self.threshold.output_bytes()) {
            let place = &mut entry[offset..offset + 32];
            match value {
                Some(value) => place.copy_from_slice(&value),
                None => place.iter_mut().for_each(|byte| *byte ^= 0x5a),
            }
        }
        let mut body = AnswerBody::from_bytes(&body).expect("a manager signs what it can read");
        body.outputs_sha256 = sha256(&[outputs.expose()]);
        let answer = DeriveAnswer::seal(self.manager.identity_key(), &body, outputs);
        ManagerAnswer::Derived(answer).to_secret_bytes()
    }
}

impl ManagerLink for ScriptedLink {
    fn call(&self, request: Vec<u8>) -> BoxFuture<'_, Result<SecretBytes, Unreachable>> {
        Box::pin(self.answer(request))
    }
}

/// The managers as they reach each other, once all are open.
pub(crate) type Circle = Arc<OnceLock<Vec<Weak<Manager>>>>;

/// How one manager reaches the others: always, whatever the gateway sees of them.
pub(crate) struct Peers {
    pub(crate) from: ManagerIndex,
    pub(crate) circle: Circle,
}

impl PeerLink for Peers {
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_> {
        Box::pin(async move {
            let unreachable = keysherd_manager::Unreachable;
            let managers = self.circle.get().ok_or(unreachable)?;
            let manager = managers.get(to.place()).and_then(Weak::upgrade).ok_or(unreachable)?;
            Ok(manager.serve_peer(self.from, message.expose()).await)
        })
    }
}

/// Runs `work` on the blocking pool, where a paused clock waits for it.
pub(crate) async fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let here = Handle::current();
    let done = tokio::task::spawn_blocking(move || here.block_on(work)).await;
    done.expect("what runs beside a test does not panic")
}

/// As gateways know them.
pub(crate) fn links_of(links: &[Arc<ScriptedLink>]) -> Links {
    let link = |(place, link): (usize, &Arc<ScriptedLink>)| {
        let number = u8::try_from(place + 1).expect("few managers");
        (index(number), link.clone() as Arc<dyn ManagerLink>)
    };
    links.iter().enumerate().map(link).collect()
}

/// The manager with this number.
pub(crate) fn index(number: u8) -> ManagerIndex {
    ManagerIndex::new(number).expect("an index")
}
