//! Control in the hands of an attacker: with all its keys, all its data and everything that went
//! over its wires.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keysherd_base::{Clock as _, Secret, SecretBytes, SystemClock, Uid};
use keysherd_control::{ControlKeys, PERMIT_LABEL};
use keysherd_crypto::envelope::{Envelope, Kek};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, Permit, PermitEntry, Subject};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::derive::{DeriveRequest, Mode};
use keysherd_fragments::encoding::{Encoding as _, Signed};
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet};
use keysherd_fragments::messages::{DeriveCall, ManagerAnswer, ManagerRequest};
use keysherd_fragments::refusal::Refusal;
use keysherd_link::{
    BundleService, BundleShelf, CallLimits, Channel, ChannelLimits, Identity, KeySet, Limits,
    LinkError, LinkListener, Route, Services, Serving, routes,
};
use serde_json::Value;

use crate::kit::{
    Cluster, ClusterWish, Needles, documents_in, open_document, question, wait_until,
};
use crate::stolen::derived_with;

const SECRET: &str = "what the attacker wants to read";

/// A cluster with one secret; gives its only document.
fn with_secret(wish: &ClusterWish) -> (Cluster, Vec<u8>) {
    let cluster = Cluster::start_with(wish);
    let admin = cluster.admin();
    admin.store("/team/db", SECRET);
    assert_eq!(admin.read("/team/db"), SECRET);
    let id = admin.describe("/team/db")["item_id"].as_i64().unwrap();
    let document = documents_in(&cluster.control.data, id).remove(0);
    (cluster, document)
}

/// Whether some 32 bytes of `bytes` are the key of the document's wrap. What it commits to is
/// public.
fn has_key(document: &[u8], bytes: &[u8]) -> bool {
    let envelope = Envelope::parse(document).unwrap();
    let com: [u8; 32] = envelope.wrap(0).unwrap().com().try_into().unwrap();
    bytes.windows(32).any(|window| {
        let kek = Secret::new(window.try_into().unwrap());
        envelope.unwrap_dek(0, &Kek { kek, com }).is_ok()
    })
}

#[test]
fn t_malicious_cp_records_everything() {
    let wish = ClusterWish { relay: true, wires: true, ..ClusterWish::default() };
    let (cluster, document) = with_secret(&wish);
    // What control saw: its own wire, and those behind its relay.
    let mut recorded: Vec<u8> = Vec::new();
    for node in cluster.blind() {
        recorded.extend(node.wire.as_ref().unwrap().recorded());
    }
    assert!(recorded.len() > 20_000, "{} bytes", recorded.len());
    let shares = cluster.stolen_shares();
    let needles = derived_with(&document, &shares, &[]);
    let needles = needles.and(Needles::of("plaintext", SECRET.as_bytes()));
    assert_eq!(needles.found_in(&recorded), Vec::<&str>::new());
    assert_eq!(needles.found_below(&cluster.control.data), Vec::<String>::new());
    // Nor are control's own keys of any use.
    for file in ["identity.key", "keys/control.keys", "setup-token", "trust-bundle"] {
        recorded.extend(fs::read(cluster.control.data.join(file)).unwrap_or_default());
    }
    assert!(!has_key(&document, &recorded));
    // The control: with what two managers hold, the same document opens, and its key among the
    // recorded bytes would have been found.
    let opened = open_document(&[], &question(&document, &shares, &[1, 3], &[])).expect(0);
    let opened: Value = serde_json::from_str(&opened.out).unwrap();
    let middle = recorded.len() / 2;
    recorded.splice(middle..middle, hex::decode(opened["kek"].as_str().unwrap()).unwrap());
    assert!(has_key(&document, &recorded));
}

/// An attacker who has control's machine.
struct Attacker {
    identity: Identity,
    key: SigningKey,
    permit_key: Arc<SigningKey>,
}

impl Attacker {
    /// With control's own key.
    fn as_control(cluster: &Cluster) -> Self {
        let seed = fs::read(cluster.control.data.join("identity.key")).unwrap();
        Self::with(cluster, SigningKey::from_seed(&Secret::new(seed.try_into().unwrap())))
    }

    /// With a key of its own.
    fn as_stranger(cluster: &Cluster) -> Self {
        Self::with(cluster, SigningKey::generate(&SystemRng).unwrap())
    }

    fn with(cluster: &Cluster, key: SigningKey) -> Self {
        let keys = ControlKeys::load(&cluster.control.data.join("keys")).unwrap();
        let (clock, rng) = (Arc::new(SystemClock), SystemRng::handle());
        let identity = Identity::new(&key, "control", clock, rng).unwrap();
        Self { identity, key, permit_key: keys.permit }
    }

    /// A permit for the attacker itself, signed with control's key.
    fn forged_permit(&self, document: &[u8], bundle_version: u64) -> Signed {
        let envelope = Envelope::parse(document).unwrap();
        let (header, wrap) = (envelope.header(), envelope.wrap(0).unwrap().params());
        let now = SystemClock.now();
        let permit = Permit {
            permit_id: Uid::random(&SystemRng).unwrap(),
            issued_at: now,
            expires_at: now.plus_seconds(60),
            account: keysherd_base::AccountId(Uid(header.account)),
            gateway_spki_sha256: self.key.public().spki_sha256(),
            op: Op::Read,
            entries: vec![PermitEntry {
                key_id: Uid(wrap.key_id),
                key_version: wrap.key_version,
                class: Class::SecretItem,
                item_id: Uid(header.item_id),
                item_version: header.item_version,
                salt: wrap.salt,
                subject: Subject::default(),
            }],
            max_uses: 3,
            cache_ttl_seconds: 60,
            audit_seq: 1,
            bundle_version,
        };
        let body = permit.to_bytes();
        let signature = self.permit_key.sign(PERMIT_LABEL, &body);
        Signed { body, signature }
    }

    /// Asks every manager to derive the key of `document`.
    async fn ask_all(
        &self,
        cluster: &Cluster,
        document: &[u8],
    ) -> Vec<Result<ManagerAnswer, LinkError>> {
        let mut answers = Vec::new();
        for entry in &cluster.bundle.managers {
            let permit = self.forged_permit(document, cluster.bundle.version);
            let request = DeriveRequest {
                permit_sha256: sha256(&[&permit.body]),
                manager: entry.index,
                request_id: Uid::random(&SystemRng).unwrap(),
                quorum: ManagerSet::first(2),
                entries: vec![0],
                epoch_hints: Vec::new(),
                mode: Mode::Read,
            };
            let request = request.seal(&self.key);
            let call = ManagerRequest::Derive(DeriveCall { permit, request, endorsement: None });
            let trust = Arc::new(KeySet::new([entry.tls_spki_sha256]));
            let route = vec![Route::direct(&entry.address)];
            let channel =
                Channel::new(self.identity.clone(), trust, route, ChannelLimits::default());
            let request = SecretBytes::new(call.to_bytes());
            let answer = channel.call(routes::MANAGER, request, CallLimits::default()).await;
            answers.push(answer.map(|bytes| ManagerAnswer::from_bytes(bytes.expose()).unwrap()));
        }
        answers
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn t_cp_forges_permit_for_own_key() {
    let (mut cluster, document) = with_secret(&ClusterWish::default());
    let runtime = runtime();
    // Neither control's own key nor another one opens a connection to a manager.
    let attacker = Attacker::as_stranger(&cluster);
    for attacker in [&Attacker::as_control(&cluster), &attacker] {
        for answer in runtime.block_on(attacker.ask_all(&cluster, &document)) {
            assert!(answer.is_err(), "a manager answered {answer:?}");
        }
    }
    // Connected as somebody whom the managers know, but who is no gateway: refused by each.
    let spki = attacker.key.public().spki_sha256();
    let mut known = cluster.bundle.managers[0].clone();
    known.index = ManagerIndex::new(4).unwrap();
    (known.key, known.tls_spki_sha256) = (attacker.key.public(), spki);
    cluster.change_bundle(|bundle| bundle.managers.push(known));
    let ask = |cluster: &Cluster| {
        let answers = runtime.block_on(attacker.ask_all(cluster, &document));
        answers.into_iter().take(3).collect::<Vec<_>>()
    };
    wait_until("managers to let a further one in", || ask(&cluster).iter().all(Result::is_ok));
    for answer in ask(&cluster) {
        let Ok(ManagerAnswer::Refused(refusal)) = answer else { panic!("{answer:?}") };
        assert_eq!(refusal, Refusal::UnknownGateway);
    }
    // The control: as soon as the owner lists this key as a gateway, the same permit is obeyed.
    cluster.change_bundle(|bundle| {
        bundle.managers.pop();
        bundle.clusters[0].instances.push(spki);
    });
    wait_until("managers to obey the new bundle", || all_derive(&ask(&cluster)));
}

fn all_derive(answers: &[Result<ManagerAnswer, LinkError>]) -> bool {
    answers.iter().all(|answer| matches!(answer, Ok(ManagerAnswer::Derived(_))))
}

/// Hands out a bundle of the attacker's, and counts how often.
struct ForgedShelf {
    bundle: SignedBundle,
    asked: AtomicUsize,
}

impl BundleShelf for ForgedShelf {
    fn newer_than(&self, _known: u64) -> Option<SignedBundle> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Some(self.bundle.clone())
    }
}

#[test]
fn t_cp_supplies_bundle_of_its_own() {
    let (mut cluster, document) = with_secret(&ClusterWish::default());
    let control = Attacker::as_control(&cluster);
    let attacker = Attacker::as_stranger(&cluster);
    let address = cluster.control.address.parse().unwrap();
    cluster.control.kill();
    cluster.bundle.version += 100;
    cluster.bundle.clusters[0].instances.push(attacker.key.public().spki_sha256());
    // The attacker has no owner key, and signs with what it has.
    let bundle = cluster.bundle.seal(&attacker.permit_key);
    let shelf = Arc::new(ForgedShelf { bundle, asked: AtomicUsize::new(0) });
    let served = runtime();
    let services =
        Services::new().with(routes::BUNDLE, Arc::new(BundleService::new(shelf.clone())));
    let everyone = Arc::new(|_: &[u8; 32]| true);
    let serving = Serving::new(control.identity.clone(), everyone, services);
    let listener = served.block_on(LinkListener::bind(address, Limits::default())).unwrap();
    served.spawn(listener.serve(serving, std::future::pending()));
    wait_until("all roles to ask for it", || shelf.asked.load(Ordering::Relaxed) > 12);
    let runtime = runtime();
    for answer in runtime.block_on(attacker.ask_all(&cluster, &document)) {
        assert!(answer.is_err(), "a manager obeyed control's bundle: {answer:?}");
    }
    // The control: signed by the owner, the same bundle is obeyed.
    drop(served);
    cluster.control.start(&cluster.site);
    cluster.publish();
    wait_until("managers to obey the owner", || {
        all_derive(&runtime.block_on(attacker.ask_all(&cluster, &document)))
    });
}
