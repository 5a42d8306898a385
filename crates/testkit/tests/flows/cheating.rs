//! A control plane that swaps what it stores, signs permits to match, and makes up keys.

use std::sync::{Arc, Mutex};

use keysherd_base::{Clock, Uid};
use keysherd_crypto::envelope::{Envelope, WrapKind};
use keysherd_crypto::permit::{Class, Op, Permit, PermitEntry, Subject};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manifest::SignedManifest;
use keysherd_gateway::Strictness;
use keysherd_plane::grants::{Granted, GrantedItem, PermitSlot, SignedPermit};
use keysherd_plane::{ItemReply, KeyReply, KeyRequest, Reply, Request};
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::{create, read};

/// What control needs in order to sign permits of its own.
#[derive(Clone)]
pub(crate) struct Forger {
    permit_key: Arc<keysherd_crypto::sign::SigningKey>,
    gateway: [u8; 32],
    account: keysherd_base::AccountId,
    clock: Arc<keysherd_base::ManualClock>,
}

impl Forger {
    pub(crate) fn of(rig: &Rig) -> Self {
        Self {
            permit_key: rig.permit_key.clone(),
            gateway: rig.instance().public().spki_sha256(),
            account: rig.account,
            clock: rig.clock.clone(),
        }
    }

    /// A permit for just what the gateway will ask for in order to open `item`.
    fn permit(&self, item: &GrantedItem) -> SignedPermit {
        let version = &item.versions[0];
        let envelope = Envelope::parse(&version.ciphertext).ok();
        let header = envelope.map(|envelope| envelope.header());
        let wrap = envelope.and_then(|envelope| envelope.wraps().next());
        let class = header.and_then(|header| Class::from_number(header.class));
        let entry = PermitEntry {
            key_id: version.key.key_id,
            key_version: version.key.version,
            class: class.unwrap_or(Class::SecretItem),
            item_id: item.uid,
            item_version: header.map_or(0, |header| header.item_version),
            salt: wrap.map_or([0; 32], |wrap| wrap.params().salt),
            subject: Subject::default(),
        };
        let permit = Permit {
            permit_id: Uid::random(&keysherd_crypto::random::SystemRng).unwrap(),
            issued_at: self.clock.now(),
            expires_at: self.clock.now().plus_seconds(60),
            account: self.account,
            gateway_spki_sha256: self.gateway,
            op: Op::Read,
            entries: vec![entry],
            max_uses: 3,
            cache_ttl_seconds: 60,
            audit_seq: 1,
            bundle_version: 1,
        };
        let mut bytes = permit.to_bytes();
        let signature = self.permit_key.sign(keysherd_control::PERMIT_LABEL, &bytes);
        bytes.extend_from_slice(signature.as_bytes());
        SignedPermit { bytes: bytes.into() }
    }

    /// Serves `item` in answer to every read, with a permit that matches.
    pub(crate) fn serve(&self, rig: &Rig, item: GrantedItem) {
        let forger = self.clone();
        rig.plane.tamper(move |_, reply| {
            let Reply::Items(ItemReply::Grant(reply)) = reply else { return };
            for outcome in reply.outcomes.iter_mut().flatten() {
                let Granted::Read(items) = &mut outcome.granted else { continue };
                let mut item = item.clone();
                let with_permit = !reply.permits.is_empty();
                item.versions[0].permit_slot =
                    with_permit.then_some(PermitSlot { permit: 0, entry: 0 });
                if with_permit {
                    reply.permits = vec![forger.permit(&item)];
                }
                *items = vec![Arc::new(item)];
            }
        });
    }
}

/// What control grants for an item now.
pub(crate) async fn granted(rig: &Rig, name: &str) -> GrantedItem {
    let taken: Arc<Mutex<Option<GrantedItem>>> = Arc::default();
    let take = taken.clone();
    rig.plane.tamper(move |_, reply| {
        if let Reply::Items(ItemReply::Grant(reply)) = reply
            && let Some(Ok(outcome)) = reply.outcomes.first()
            && let Granted::Read(items) = &outcome.granted
        {
            *take.lock().unwrap() = Some((*items[0]).clone());
        }
    });
    read(rig, name).await.unwrap();
    rig.plane.be_honest();
    let item = taken.lock().unwrap().take();
    item.expect("a read is granted")
}

/// The parts of an envelope with one wrap (see `crypto::envelope`), by their bytes.
const PARTS: [(&str, std::ops::Range<usize>); 15] = [
    ("account", 12..28),
    ("item id", 28..44),
    ("item version", 44..52),
    ("class", 52..53),
    ("type", 53..54),
    ("wrap kind", 55..56),
    ("key id", 56..72),
    ("key version", 72..76),
    ("fragment id", 76..92),
    ("salt", 92..124),
    ("commitment", 124..156),
    ("wrapped key", 156..216),
    ("payload nonce", 217..224),
    ("payload commitment", 224..256),
    ("payload", 256..usize::MAX),
];

/// The envelope of `to` with these parts of `from`.
fn swapped(to: &[u8], from: &[u8], parts: &[usize]) -> Arc<[u8]> {
    let mut bytes = to.to_vec();
    for part in parts {
        let (_, range) = &PARTS[*part];
        let end = range.end.min(bytes.len());
        bytes[range.start..end].copy_from_slice(&from[range.start..end]);
    }
    bytes.into()
}

/// Two items that differ in everything that can differ, with values of one length.
async fn two_items(rig: &Rig) -> (GrantedItem, GrantedItem) {
    create(rig, "/mine", "value-of-mine").await.unwrap();
    rig.call("create-dfc-key", json!({"name": "/key", "alg": "AES256GCM"})).await.unwrap();
    let other = json!({"name": "/other", "value": "value-of-none", "protection_key": "/key"});
    rig.call("create-secret", other).await.unwrap();
    let update =
        json!({"name": "/other", "value": "value-of-theirs"[..13], "keep-prev-version": "true"});
    rig.call("update-secret-val", update).await.unwrap();
    let (mine, theirs) = (granted(rig, "/mine").await, granted(rig, "/other").await);
    assert_eq!((mine.versions[0].version, theirs.versions[0].version), (1, 2));
    assert_ne!(mine.versions[0].key, theirs.versions[0].key);
    let lengths = [&mine, &theirs].map(|item| item.versions[0].ciphertext.len());
    assert_eq!(lengths[0], lengths[1]);
    (mine, theirs)
}

/// Every part of an item, alone and in pairs, replaced by another item's, by a control plane that
/// also signs the permits that go with it: nothing opens, and never to the other value. Warm as
/// well as cold.
#[tokio::test(start_paused = true)]
async fn t_swap_matrix() {
    for key_cache_seconds in [0, 60] {
        let rig = Rig::new(Settings { key_cache_seconds, ..Settings::default() }).await;
        let (mine, theirs) = two_items(&rig).await;
        let forger = Forger::of(&rig);
        let sealed = |item: &GrantedItem| item.versions[0].ciphertext.clone();
        let mut tried = 0;
        for (first, (first_name, _)) in PARTS.iter().enumerate() {
            for (second, (second_name, _)) in PARTS.iter().enumerate().skip(first) {
                let ciphertext = swapped(&sealed(&mine), &sealed(&theirs), &[first, second]);
                if ciphertext == sealed(&mine) {
                    continue;
                }
                let what = (first_name, second_name);
                // What control says of it: as before, as of the other key, as of the other item.
                for claims in 0..3 {
                    let mut item = mine.clone();
                    item.versions[0].ciphertext = ciphertext.clone();
                    if claims > 0 {
                        item.versions[0].key = theirs.versions[0].key;
                    }
                    if claims > 1 {
                        item.uid = theirs.uid;
                        item.versions[0].version = theirs.versions[0].version;
                    }
                    forger.serve(&rig, item);
                    let outcome = read(&rig, "/mine").await;
                    assert!(outcome.is_err(), "{what:?} {claims}: {outcome:?}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 150, "{tried}");
        // What is said of the item alone.
        for claim in 0..4 {
            let mut item = mine.clone();
            match claim {
                0 => item.uid = theirs.uid,
                1 => item.versions[0].version = 2,
                2 => item.versions[0].key = theirs.versions[0].key,
                _ => item.versions[0].ciphertext = sealed(&theirs),
            }
            forger.serve(&rig, item);
            read(&rig, "/mine").await.unwrap_err();
        }
        rig.plane.be_honest();
        assert_eq!(read(&rig, "/mine").await.unwrap(), "value-of-mine");
    }
}

/// The control: the forged permits do open what nobody swapped. And the one swap that ciphertexts
/// cannot show, a whole item under another name, is what name tags are for.
#[tokio::test(start_paused = true)]
async fn t_swap_matrix_control() {
    let rig = Rig::new(Settings::default()).await;
    let (mine, theirs) = two_items(&rig).await;
    let forger = Forger::of(&rig);
    forger.serve(&rig, mine.clone());
    assert_eq!(read(&rig, "/mine").await.unwrap(), "value-of-mine");
    for path in [&mine.path, &theirs.path] {
        forger.serve(&rig, GrantedItem { path: path.clone(), ..theirs.clone() });
        let answer = rig.answer("get-secret-value", json!({"names": ["/mine"]})).await.unwrap();
        let text = String::from_utf8(answer.body.expose().clone()).unwrap();
        assert!(text.contains(&"value-of-theirs"[..13]), "{text}");
        assert_eq!(answer.name_attested, Some(false), "the gateway says that it is not attested");
    }
    rig.plane.be_honest();
    let answer = rig.answer("get-secret-value", json!({"names": ["/mine"]})).await.unwrap();
    assert_eq!(answer.name_attested, Some(true));
    let strict = Strictness { names: true, ..Strictness::default() };
    let rig = Rig::new(Settings { strict, ..Settings::default() }).await;
    let (_, theirs) = two_items(&rig).await;
    Forger::of(&rig).serve(&rig, theirs);
    assert_eq!(read(&rig, "/mine").await.unwrap_err().code(), "NameNotAttested");
}

/// The last wrap of an envelope decides nothing: a wrap of another kind does not stand in for it.
#[tokio::test(start_paused = true)]
async fn a_wrap_of_another_kind_is_not_used() {
    let rig = Rig::new(Settings::default()).await;
    create(&rig, "/mine", "value").await.unwrap();
    let mine = granted(&rig, "/mine").await;
    for kind in [WrapKind::Recovery, WrapKind::Pending] {
        let mut item = mine.clone();
        let mut bytes = item.versions[0].ciphertext.to_vec();
        bytes[55] = kind as u8;
        item.versions[0].ciphertext = bytes.into();
        Forger::of(&rig).serve(&rig, item);
        read(&rig, "/mine").await.unwrap_err();
    }
}

/// Control offers manifests of managers of its own, of another key, and damaged ones: none is
/// trusted, and nobody is asked to derive.
#[tokio::test(start_paused = true)]
async fn t_fake_manifest_refused() {
    let mut rig = Rig::new(Settings::default()).await;
    create(&rig, "/mine", "value").await.unwrap();
    rig.call("create-dfc-key", json!({"name": "/key", "alg": "AES256GCM"})).await.unwrap();
    let sealed = json!({"name": "/other", "value": "v", "protection_key": "/key"});
    rig.call("create-secret", sealed).await.unwrap();
    // Managers, an owner and a key that control has made up.
    let mut made_up = Rig::new(Settings::default()).await;
    create(&made_up, "/x", "x").await.unwrap();
    let fake = manifest(&mut made_up, "/x").await;
    let (own, of_other_key) =
        (manifest(&mut rig, "/mine").await, manifest(&mut rig, "/other").await);
    assert_ne!(own, of_other_key);
    let mut damaged = own.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let short = own[..own.len() - 1].to_vec();
    for offered in [fake.clone(), of_other_key, damaged, short, Vec::new()] {
        rig.restart_gateway();
        offer(&rig, &offered);
        let before = rig.derivations();
        let fault = read(&rig, "/mine").await.unwrap_err();
        assert_eq!(fault.code(), "UntrustedKey", "{fault:?}");
        create(&rig, "/new", "secret").await.unwrap_err();
        assert_eq!(rig.derivations(), before, "no manager was asked");
    }
    // The controls: the true one is taken, and the fake one is good for whoever would take the
    // bundle from control too.
    rig.restart_gateway();
    offer(&rig, &own);
    assert_eq!(read(&rig, "/mine").await.unwrap(), "value");
    let fake = SignedManifest::from_bytes(&fake).unwrap();
    assert!(fake.verify(made_up.bundle()).is_ok());
    assert!(fake.verify(rig.bundle()).is_err());
}

/// The manifest of the key of an item, as control hands it out.
async fn manifest(rig: &mut Rig, name: &str) -> Vec<u8> {
    rig.restart_gateway();
    let taken: Arc<Mutex<Vec<u8>>> = Arc::default();
    let take = taken.clone();
    rig.plane.tamper(move |_, reply| {
        if let Reply::Keys(KeyReply::ManifestGet(reply)) = reply {
            *take.lock().unwrap() = reply.manifest.to_vec();
        }
    });
    read(rig, name).await.unwrap();
    rig.plane.be_honest();
    let manifest = taken.lock().unwrap().clone();
    assert!(!manifest.is_empty());
    manifest
}

fn offer(rig: &Rig, manifest: &[u8]) {
    let manifest: Arc<[u8]> = manifest.into();
    rig.plane.tamper(move |request, reply| {
        if let (
            Request::Keys(KeyRequest::ManifestGet(_)),
            Reply::Keys(KeyReply::ManifestGet(reply)),
        ) = (request, reply)
        {
            reply.manifest = manifest.clone();
        }
    });
}
