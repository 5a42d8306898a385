//! What the managers' logs show to whoever has them: what was derived for whom, that it is whole,
//! and what the control plane's audit log does not explain.

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use keysherd_base::{AccountId, Clock, Secret, SecretBytes, SystemClock, Uid};
use keysherd_control::ControlKeys;
use keysherd_crypto::hash::sha256;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::checkpoint::Checkpoint;
use keysherd_fragments::context::Class;
use keysherd_fragments::derive::{DeriveRequest, Mode};
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::labels;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet};
use keysherd_fragments::messages::{DeriveCall, ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::{Op, Permit, PermitEntry, Subject};
use keysherd_manager::{
    KeyFile, Manager, ManagerConfig, ManagerLimits, PeerFuture, PeerLink, Unreachable,
};
use serde_json::{Value, json};

use crate::kit::{Finished, Site, wait_until};

fn reconcile(site: &Site, args: &[&str]) -> Finished {
    let data = site.data().display().to_string();
    let shared = ["fragments", "reconcile", "--log", &data];
    site.run(&[shared.as_slice(), args].concat())
}

fn against_store(site: &Site, args: &[&str]) -> Finished {
    let data = site.data().display().to_string();
    reconcile(site, &[&["--control-audit", &data], args].concat())
}

fn lines(run: &Finished) -> Vec<Value> {
    run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything an honest installation does that derives keys.
fn use_everything(site: &Site) {
    let server = site.start();
    let admin = server.admin();
    for number in 0..5 {
        let name = format!("/team/secret-{number}");
        admin.store(&name, "value");
        assert_eq!(admin.read(&name), "value");
    }
    let names: Vec<String> = (0..5).map(|number| format!("/team/secret-{number}")).collect();
    admin.ok("get-secret-value", json!({"names": names}));
    admin.ok("update-secret-val", json!({"name": names[0], "value": "other"}));
    admin.ok("create-dfc-key", json!({"name": "/team/gcm", "alg": "AES256GCM"}));
    admin.ok("create-dfc-key", json!({"name": "/team/siv", "alg": "AES256SIV"}));
    for key in ["/team/gcm", "/team/siv"] {
        let sealed = admin.ok("encrypt", json!({"key-name": key, "plaintext": "text"}));
        let sealed = sealed["result"].as_str().unwrap().to_owned();
        admin.ok("decrypt", json!({"key-name": key, "ciphertext": sealed}));
    }
    // What is wrapped anew in the background is done on behalf of whoever rotated.
    admin.ok("rotate-key", json!({"name": "/team/siv"}));
    admin.ok("rotate-original-key", json!({}));
    wait_until("a rotation to be finished", || {
        let status = admin.ok("rewrap-status-original-key", json!({}));
        status["rotation"]["finished"].is_string()
    });
    admin.ok("reencrypt", json!({"names": names}));
    // The logs of a running server say the same.
    let run = against_store(site, &["--json"]).expect(0);
    assert_eq!(lines(&run).last().unwrap()["summary"]["unexplained"], 0);
    server.stop();
    // After a restart, nothing is in memory and every read derives again.
    let server = site.start();
    server.admin().read("/team/secret-1");
    server.stop();
}

/// The managers of a directory, as they reach each other.
struct Circle {
    from: ManagerIndex,
    managers: Arc<OnceLock<Vec<Weak<Manager>>>>,
}

impl PeerLink for Circle {
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_> {
        Box::pin(async move {
            let managers = self.managers.get().ok_or(Unreachable)?;
            let peer = managers.get(to.place()).and_then(Weak::upgrade).ok_or(Unreachable)?;
            Ok(peer.serve_peer(self.from, message.expose()).await)
        })
    }
}

/// Opens the managers of a stopped server.
fn open_managers(data: &Path, owner: PublicKey) -> Vec<Arc<Manager>> {
    let circle = Arc::new(OnceLock::new());
    let open = |number: u8| {
        let index = ManagerIndex::new(number).unwrap();
        let home = data.join("managers").join(number.to_string());
        let config = ManagerConfig {
            index,
            dir: home.join("store"),
            clock: Arc::new(SystemClock),
            rng: SystemRng::handle(),
            at_rest: Arc::new(KeyFile::new(home.join("epoch.key"))),
            limits: ManagerLimits::default(),
        };
        let peers = Circle { from: index, managers: circle.clone() };
        Manager::open(config, owner, None, Arc::new(peers)).unwrap()
    };
    let managers: Vec<Arc<Manager>> = (1..=3).map(open).collect();
    assert!(circle.set(managers.iter().map(Arc::downgrade).collect()).is_ok());
    managers
}

/// Whoever holds the control plane's permit key and works with a genuine gateway.
struct Thief {
    permit_key: Arc<SigningKey>,
    gateway: SigningKey,
    owner: PublicKey,
    account: AccountId,
}

impl Thief {
    fn new(data: &Path, account: &str) -> Self {
        let seed = |file: &str| -> SigningKey {
            let seed: [u8; 32] = std::fs::read(data.join(file)).unwrap().try_into().unwrap();
            SigningKey::from_seed(&Secret::new(seed))
        };
        Self {
            permit_key: ControlKeys::load(&data.join("control/keys")).unwrap().permit,
            gateway: seed("gateway/instance.key"),
            owner: seed("owner/owner.key").public(),
            account: AccountId::parse(account).unwrap(),
        }
    }

    fn permit(&self, permit_id: Uid, access_id: &str, entries: &[Value]) -> Permit {
        let uid = |value: &Value| {
            let mut bytes = [0; 16];
            hex::decode_to_slice(value.as_str().unwrap(), &mut bytes).unwrap();
            Uid(bytes)
        };
        let subject =
            Subject { access_id_sha256: sha256(&[access_id.as_bytes()]), token_sha256: [0; 32] };
        let entry = |item: &Value| PermitEntry {
            key_id: uid(&item["key_id"]),
            key_version: u32::try_from(item["key_version"].as_u64().unwrap()).unwrap(),
            class: Class::SecretItem,
            item_id: uid(&item["item_id"]),
            item_version: item["item_version"].as_u64().unwrap(),
            // That of the ciphertext in a real attack; managers cannot tell.
            salt: [7; 32],
            subject,
        };
        let now = SystemClock.now();
        Permit {
            permit_id,
            issued_at: now,
            expires_at: now.plus_seconds(60),
            account: self.account,
            gateway_spki_sha256: self.gateway.public().spki_sha256(),
            op: Op::Read,
            entries: entries.iter().map(entry).collect(),
            max_uses: 3,
            cache_ttl_seconds: 0,
            audit_seq: 1,
            bundle_version: 1,
        }
    }

    /// Derives for the permit at a manager, as its gateway would.
    async fn derive(&self, data: &Path, number: u8, permit: &Permit) {
        let index = ManagerIndex::new(number).unwrap();
        let managers = open_managers(data, self.owner);
        let manager = &managers[index.place()];
        let permit = Signed::seal(&self.permit_key, labels::SIGN_PERMIT, permit.to_bytes());
        let request = DeriveRequest {
            permit_sha256: sha256(&[&permit.body]),
            manager: index,
            request_id: Uid([number; 16]),
            quorum: ManagerSet::first(2),
            entries: vec![0],
            epoch_hints: Vec::new(),
            mode: Mode::Read,
        };
        let request = request.seal(&self.gateway);
        let call = ManagerRequest::Derive(DeriveCall { permit, request, endorsement: None });
        let spki = self.gateway.public().spki_sha256();
        let answer = manager.serve(spki, &call.to_bytes()).await;
        let answer = ManagerAnswer::from_bytes(answer.expose()).unwrap();
        assert!(matches!(answer, ManagerAnswer::Derived(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn t_reconcile_flags_unexplained_permits() {
    let site = Site::new();
    use_everything(&site);
    let data = site.data();
    let shown = data.display().to_string();
    // The control: what an honest installation did is explained, also by an exported log.
    let run = against_store(&site, &[]).expect(0);
    assert!(run.out.contains("every one is explained"), "{}", run.out);
    let export = site.path("audit.jsonl");
    let exported = site.audit(&["list", "--json", "--limit", "100000"]).expect(0).out;
    std::fs::write(&export, &exported).unwrap();
    let from_file = ["--control-audit", export.to_str().unwrap()];
    reconcile(&site, &from_file).expect(0);

    let derived = site.run(&["fragments", "log", "derived", "--log", &shown, "--json"]).expect(0);
    let derived = lines(&derived);
    let item = derived.iter().find(|key| key["class"] == 1).unwrap().clone();
    let first: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    let account = first["account_id"].as_str().unwrap();
    let thief = Thief::new(&data, account);
    // A permit of its own, at two managers: enough to open the item.
    let forged = thief.permit(Uid([0xf0; 16]), "p-nobody", std::slice::from_ref(&item));
    for number in [1, 2] {
        thief.derive(&data, number, &forged).await;
    }
    let run = against_store(&site, &["--json"]).expect(70);
    let found = lines(&run);
    let managers: Vec<&Value> = found.iter().map(|line| &line["manager"]).collect();
    assert_eq!(managers, [&json!(1), &json!(2), &Value::Null], "{}", run.out);
    for finding in &found[..2] {
        assert_eq!(finding["finding"], "NoRecord");
        assert_eq!(finding["derivation"]["items"][0]["item_id"], item["item_id"]);
    }
    assert_eq!(found[2]["summary"]["unexplained"], 2);
    assert!(run.err.contains("2 requests to managers are not explained"), "{}", run.err);
    // The exported log ends before: it says that it cannot judge.
    let run = reconcile(&site, &[from_file.as_slice(), &["--json"]].concat()).expect(0);
    assert_eq!(lines(&run).last().unwrap()["summary"]["not_covered"], 2);
}

#[tokio::test]
async fn a_forged_permit_with_the_id_of_a_recorded_one_is_flagged_too() {
    let site = Site::new();
    use_everything(&site);
    let data = site.data();
    let shown = data.display().to_string();
    let list = site.run(&["fragments", "log", "list", "--log", &shown, "--json"]).expect(0);
    let list = lines(&list);
    let reads = |line: &&Value| line["event"] == "derive" && line["op"] == "read";
    let read = list.iter().rfind(reads).unwrap();
    let mut bytes = [0; 16];
    hex::decode_to_slice(read["permit_id"].as_str().unwrap(), &mut bytes).unwrap();
    let thief = Thief::new(&data, read["account_id"].as_str().unwrap());
    let bootstrap = std::fs::read(data.join("bootstrap.json")).unwrap();
    let bootstrap: Value = serde_json::from_slice(&bootstrap).unwrap();
    let access_id = bootstrap["access_id"].as_str().unwrap();
    let permit = thief.permit(Uid(bytes), access_id, read["items"].as_array().unwrap());
    thief.derive(&data, 3, &permit).await;
    let run = against_store(&site, &["--json"]).expect(70);
    assert_eq!(lines(&run)[0]["finding"], "TwoPermits", "{}", run.out);
}

#[test]
fn logs_are_listed_by_gateway_and_time_and_verified_against_what_was_remembered() {
    let site = Site::new();
    use_everything(&site);
    let shown = site.data().display().to_string();
    let log = |args: &[&str]| {
        let shared = ["fragments", "log"];
        site.run(&[shared.as_slice(), args, &["--log", &shown, "--json"]].concat())
    };
    let list = lines(&log(&["list"]).expect(0));
    let derive: Vec<&Value> = list.iter().filter(|line| line["event"] == "derive").collect();
    let gateway = derive[0]["gateway"].as_str().unwrap();
    let derived = |args: &[&str]| lines(&log(&[&["derived"], args].concat()).expect(0)).len();
    let all = derived(&[]);
    assert!(all > 10, "{all}");
    assert_eq!(derived(&["--gateway", gateway]), all);
    assert_eq!(derived(&["--gateway", &"00".repeat(32)]), 0);
    assert_eq!(derived(&["--until", "2000-01-01T00:00:00Z"]), 0);
    assert_eq!(derived(&["--since", "2000-01-01T00:00:00Z"]), all);
    let item = derive.last().unwrap()["items"][0]["item_id"].as_str().unwrap();
    assert!((1..all).contains(&derived(&["--item", item])));
    log(&["list", "--since", "yesterday"]).expect(64);
    site.run(&["fragments", "log", "list", "--log", "/nowhere"]).expect(73);

    let verified = lines(&log(&["verify"]).expect(0));
    assert_eq!(verified.len(), 3);
    assert!(verified.iter().all(|line| line["ok"] == true));
    // A position that was never there, signed by the manager that is accused.
    let home = site.data().join("managers/1");
    let opened = list.iter().rfind(|line| line["event"] == "opened").unwrap();
    assert!(opened["identity"].is_string());
    let store = verified[0]["store"].as_str().unwrap();
    let mut id = [0; 16];
    hex::decode_to_slice(store, &mut id).unwrap();
    let note = Checkpoint { size: 3, head: [9; 32] }
        .sign(&Uid(id), &SigningKey::from_seed(&Secret::new([1; 32])));
    let file = site.path("note");
    std::fs::write(&file, note).unwrap();
    let run = log(&["verify", "--checkpoint", file.to_str().unwrap()]).expect(70);
    assert!(run.out.contains("is not signed by a key this log names"), "{}", run.out);
    // A changed entry.
    let segment = home.join("store/log/0000000000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[300] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    log(&["verify"]).expect(70);
}
