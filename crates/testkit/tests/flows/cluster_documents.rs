//! What a gateway takes for the configuration of its cluster, when control says otherwise.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_api::commands::OwnCredential;
use keysherd_api::{Config, Configs, DEFAULTS_CONFIG, Defaults};
use keysherd_base::{AccessId, AccountId, Fault, FaultKind, ItemPath, Secret, Uid};
use keysherd_crypto::envelope::Envelope;
use keysherd_crypto::random::SystemRng;
use keysherd_domain::cluster::config_path;
use keysherd_gateway::{ClusterConfigs, ConfigStore, Membership, MembershipConfig, Proof};
use keysherd_plane::clusters::ClusterConfigPut;
use keysherd_plane::grants::{Granted, GrantedItem, GrantedVersion, WriteTarget};
use keysherd_plane::{GatewayReply, ItemReply, Reply};
use keysherd_testkit::{Rig, Settings};
use serde_json::{Value, json};

use crate::cheating::{Forger, granted};

const KIND: &str = "k8s";
const NAME: &str = "prod";
/// How long to wait until looking again.
const LOOK: Duration = Duration::from_millis(50);

/// A gateway in a cluster.
struct Member {
    rig: Rig,
    access_id: AccessId,
    local: Arc<ConfigStore>,
    membership: Arc<Membership>,
    configs: Arc<ClusterConfigs>,
}

impl Member {
    async fn new() -> Self {
        let rig = Rig::new(Settings::default()).await;
        let name = json!({"name": "/gateways/prod"});
        let made = rig.call("auth-method-create-api-key", name).await.unwrap();
        let access_id = AccessId::parse(made["access_id"].as_str().unwrap()).unwrap();
        let key = made["access_key"].as_str().unwrap().to_owned();
        let local = ConfigStore::open(&rig.gateway_home(), SystemRng::handle()).unwrap();
        let local = Arc::new(local);
        let membership = join(&rig, access_id.clone(), key);
        let crypt = rig.gateway.clone();
        let configs = ClusterConfigs::start(local.clone(), membership.clone(), crypt);
        let this = Self { rig, access_id, local, membership, configs };
        this.until("the cluster to be joined", || this.membership.joined().is_some()).await;
        this
    }

    fn path(&self) -> ItemPath {
        config_path(&self.access_id, NAME).unwrap()
    }

    /// Waits: control holds questions, so nothing here can go by a clock that stands still.
    async fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let mut news = self.configs.news();
        for _ in 0..2_000 {
            if done() {
                return;
            }
            // Not everything that is waited for is told.
            let _told = tokio::time::timeout(LOOK, news.changed()).await;
        }
        panic!("waited in vain for {what}: {:?}", self.membership.health());
    }

    fn config(&self, account: AccountId, body: &str) -> Config {
        Config {
            account,
            kind: KIND,
            name: "mine".to_owned(),
            access_id: self.access_id.clone(),
            body: Secret::new(body.to_owned()),
        }
    }

    /// What is in force of the configuration of that name.
    fn body(&self) -> Option<String> {
        let found = self.configs.get(self.rig.account, KIND, "mine").unwrap();
        found.map(|(_, body)| body.expose().clone())
    }

    fn signs(&self) -> Option<String> {
        let found = self.configs.of_method(KIND, "mine", &self.access_id).unwrap();
        found.map(|body| body.expose().clone())
    }

    /// Another gateway of the cluster that puts this document in place.
    async fn stored_elsewhere(&self, replaces: u32, document: &Value) {
        let ctx = self.membership.ctx("gateway-update-config").await.unwrap();
        let cluster = self.membership.joined().unwrap().cluster;
        let target =
            WriteTarget::GatewayCluster { cluster, path: self.path(), replaces, key: None };
        let text = Secret::new(document.to_string().into_bytes());
        let sealed = self.rig.services.crypt.seal(&ctx, target, text).await.unwrap();
        let (version, value) = (sealed.version, sealed.value);
        let put = ClusterConfigPut { cluster, version, value, key: None };
        ctx.ask(put).await.unwrap();
    }

    fn entry(&self, account: AccountId, body: &str) -> Value {
        json!({
            "account": account, "kind": KIND, "name": "mine", "access_id": self.access_id,
            "body": body,
        })
    }

    /// Changes something, which needs the newest document.
    async fn changed(&self) -> Result<bool, Fault> {
        self.configs.remove(self.rig.account, KIND, "none").await
    }
}

fn join(rig: &Rig, access_id: AccessId, key: String) -> Arc<Membership> {
    let config = MembershipConfig {
        services: rig.services.clone(),
        access_id,
        proof: Proof::Credential(OwnCredential::AccessKey(Secret::new(key))),
        address: [192, 0, 2, 9].into(),
        name: NAME.to_owned(),
        display_name: None,
        url: None,
        protection_key: None,
        host: "gw".to_owned(),
        program: "1".to_owned(),
        standby: false,
        duty: keysherd_gateway::Duty::new(true),
        home: rig.gateway_home(),
    };
    Membership::start(config).unwrap()
}

fn document(entries: &[Value]) -> Value {
    json!({"format": 1, "entries": entries})
}

/// Control serves a value that a client stored, and that reads as a document, as the cluster's
/// configuration: under the value's own name, under the cluster's, and after all names that a
/// client could give it.
#[tokio::test]
async fn a_secret_of_the_account_is_not_the_configuration() {
    let member = Member::new().await;
    let rig = &member.rig;
    let evil = document(&[member.entry(rig.account, "evil")]).to_string();
    crate::create(rig, "/evil", &evil).await.unwrap();
    let ours = document(&[member.entry(rig.account, "ours")]);
    member.stored_elsewhere(0, &ours).await;
    member.until("ours to be in force", || member.body().as_deref() == Some("ours")).await;
    // Nobody gets such a name attested, neither for a new value nor for one that is there.
    let path = member.path();
    let refused = crate::create(rig, path.as_str(), &evil).await.unwrap_err();
    assert!(refused.public().contains(".gateway-clusters"), "{refused:?}");
    let rename = json!({"name": "/evil", "new-name": path.as_str()});
    rig.call("update-item", rename).await.unwrap_err();
    let secret = granted(rig, "/evil").await;
    for path in [secret.path.clone(), member.path()] {
        let item = GrantedItem { path, ..secret.clone() };
        Forger::of(rig).serve(rig, item);
        let tried = read_as_document(&member).await;
        let told = format!("{:?}", tried.unwrap_err());
        assert!(told.contains("no gateway of the cluster") && !told.contains("evil"), "{told}");
        rig.plane.be_honest();
        assert_eq!(member.body().as_deref(), Some("ours"));
    }
    // The control: what a gateway of the cluster sealed is taken.
    let next = document(&[member.entry(rig.account, "next")]);
    member.stored_elsewhere(1, &next).await;
    member.until("the next to be in force", || member.body().as_deref() == Some("next")).await;
}

/// A gateway of the cluster that has only just started, and reads what control says there is.
async fn read_as_document(member: &Member) -> Result<bool, Fault> {
    let forged = ClusterConfigs::start(
        member.local.clone(),
        member.membership.clone(),
        member.rig.gateway.clone(),
    );
    let mut news = forged.news();
    for _ in 0..50 {
        let outcome = forged.remove(member.rig.account, KIND, "none").await;
        // What it asks by itself at the start may be in one batch with this, for which the forged
        // permit is not good.
        if !matches!(&outcome, Err(fault) if fault.public().contains("managers answered")) {
            return outcome;
        }
        let _told = tokio::time::timeout(LOOK, news.changed()).await;
    }
    panic!("the forged permit is never good");
}

/// A document may only be about the account of its cluster.
#[tokio::test]
async fn entries_for_other_accounts_are_nothing() {
    let member = Member::new().await;
    let other = AccountId(Uid([7; 16]));
    member.local.put(member.config(other, "local"), None).await.unwrap();
    let entries = [member.entry(other, "foreign"), {
        let mut second = member.entry(member.rig.account, "ours");
        second["name"] = "second".into();
        second
    }];
    member.stored_elsewhere(0, &document(&entries)).await;
    let second = || member.configs.get(member.rig.account, KIND, "second").unwrap();
    member.until("the document to be in force", || second().is_some()).await;
    assert_eq!(member.signs().as_deref(), Some("local"));
    let found = member.configs.get(other, KIND, "mine").unwrap().unwrap();
    assert_eq!(found.1.expose(), "local");
    assert_eq!(member.configs.of_kind(KIND).len(), 2);
}

/// Control says that the cluster has no configuration any more: what is in force stays, and what
/// the gateway had before does not come back, not even when the cluster's entry is deleted.
#[tokio::test]
async fn an_older_configuration_does_not_come_back() {
    let member = Member::new().await;
    let account = member.rig.account;
    member.local.put(member.config(account, "stale"), None).await.unwrap();
    assert_eq!(member.body().as_deref(), Some("stale"));
    member.stored_elsewhere(0, &document(&[member.entry(account, "ours")])).await;
    member.until("ours to be in force", || member.body().as_deref() == Some("ours")).await;
    member.rig.plane.tamper(|_, reply| {
        if let Reply::Gateways(GatewayReply::ClusterSync(reply)) = reply {
            reply.version = 0;
        }
    });
    let said = || member.membership.joined().map(|joined| joined.version);
    member.until("the lie to arrive", || said() == Some(0)).await;
    member.changed().await.unwrap();
    assert_eq!(member.body().as_deref(), Some("ours"));
    member.rig.plane.be_honest();
    member.until("the truth to arrive", || said() == Some(1)).await;
    member.stored_elsewhere(1, &document(&[])).await;
    member.until("the entry to be gone", || member.body().is_none()).await;
}

/// What control stores of the document, as it goes by.
#[derive(Default)]
struct Tap(Mutex<Vec<GrantedVersion>>);

impl Tap {
    fn on(rig: &Rig) -> Arc<Self> {
        let tap = Arc::new(Self::default());
        let seen = tap.clone();
        rig.plane.tamper(move |_, reply| {
            let Reply::Items(ItemReply::Grant(reply)) = reply else { return };
            for granted in reply.outcomes.iter().flatten() {
                if let Granted::Read(items) = &granted.granted {
                    let versions = items.iter().flat_map(|item| item.versions.clone());
                    seen.0.lock().unwrap().extend(versions);
                }
            }
        });
        tap
    }

    fn newest(&self) -> GrantedVersion {
        self.0.lock().unwrap().iter().max_by_key(|it| it.version).unwrap().clone()
    }
}

/// Sealed anew, the document is under another key, and opens with nothing that opened it before.
#[tokio::test]
async fn a_document_that_is_sealed_anew_opens_with_nothing_that_opened_it_before() {
    let member = Member::new().await;
    let (rig, account) = (&member.rig, member.rig.account);
    rig.call("create-dfc-key", json!({"name": "/keys/gw", "alg": "AES256GCM"})).await.unwrap();
    rig.call("create-dfc-key", json!({"name": "/keys/cbc", "alg": "AES256CBC"})).await.unwrap();
    member.configs.put(member.config(account, "ours"), None).await.unwrap();
    // Before that, whoever starts anew believes that there is none, and does not ask for it.
    let told = || member.membership.joined().is_some_and(|joined| joined.version == 1);
    member.until("the version to be told", told).await;
    let tap = Tap::on(rig);
    read_as_document(&member).await.unwrap();
    let before = tap.newest();
    // Under a key that the gateways may not read, or that protects nothing, it is not sealed.
    let key = |path: &str| Some(ItemPath::parse(path).unwrap());
    for bad in ["/keys/gw", "/keys/cbc", "/keys/none"] {
        member.configs.reseal(account, key(bad)).await.unwrap_err();
        assert_eq!(member.configs.version(), 1, "{bad}");
    }
    rig.call("create-role", json!({"name": "/gateways"})).await.unwrap();
    let rule = json!({
        "role-name": "/gateways", "path": "/keys/*", "capability": ["read"],
        "rule-type": "item-rule",
    });
    rig.call("set-role-rule", rule).await.unwrap();
    let assoc = json!({"role-name": "/gateways", "am-name": "/gateways/prod"});
    rig.call("assoc-role-am", assoc).await.unwrap();
    assert_eq!(member.configs.reseal(account, key("/keys/gw")).await.unwrap(), 2);
    read_as_document(&member).await.unwrap();
    let after = tap.newest();
    assert_eq!((before.version, after.version), (1, 2));
    assert_ne!(before.key.key_id, after.key.key_id);
    let [old, new] = [&before, &after].map(|it| Envelope::parse(&it.ciphertext).unwrap());
    // An envelope opens under the one payload key that it commits to, and no other.
    assert_ne!(old.payload_commitment(), new.payload_commitment());
    assert_eq!(member.body().as_deref(), Some("ours"));
    // It stays under that key.
    member.configs.put(member.config(account, "next"), Some("mine")).await.unwrap();
    read_as_document(&member).await.unwrap();
    assert_eq!(tap.newest().key.key_id, after.key.key_id);
    // Without another key: the same one, and a payload key of its own all the same.
    assert_eq!(member.configs.reseal(account, None).await.unwrap(), 4);
    read_as_document(&member).await.unwrap();
    let again = tap.newest();
    assert_eq!(again.key.key_id, after.key.key_id);
    let again = Envelope::parse(&again.ciphertext).unwrap();
    assert_ne!(again.payload_commitment(), new.payload_commitment());
}

/// Somebody changes the document while it is sealed anew: their change is not lost, and whoever
/// wanted another key is told.
#[tokio::test]
async fn sealing_anew_does_not_swallow_a_change_at_the_same_time() {
    let member = Member::new().await;
    let account = member.rig.account;
    member.configs.put(member.config(account, "ours"), None).await.unwrap();
    // The gateway does not hear of what another one of the cluster stores.
    member.rig.plane.tamper(|_, reply| {
        if let Reply::Gateways(GatewayReply::ClusterSync(reply)) = reply {
            reply.version = 1;
        }
    });
    let theirs = document(&[member.entry(account, "theirs")]);
    member.stored_elsewhere(1, &theirs).await;
    let refused = member.configs.reseal(account, None).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Conflict, "{refused:?}");
    assert_eq!(member.body().as_deref(), Some("theirs"));
    member.rig.plane.be_honest();
    member
        .until("the truth to arrive", || {
            member.membership.joined().is_some_and(|joined| joined.version == 2)
        })
        .await;
    assert_eq!(member.configs.reseal(account, None).await.unwrap(), 3);
    assert_eq!(member.body().as_deref(), Some("theirs"));
}

/// Two change different parts of one configuration at one time, through one gateway: the second is
/// told to look again, and what the first one was told is done stays done.
#[tokio::test]
async fn changes_of_parts_of_one_configuration_do_not_swallow_each_other() {
    let member = Member::new().await;
    let rig = &member.rig;
    rig.call("create-dfc-key", json!({"name": "/keys/gw", "alg": "AES256GCM"})).await.unwrap();
    let mut services = Arc::into_inner(rig.another_gateway()).unwrap();
    services.configs = member.configs.clone();
    let services = Arc::new(services);
    let update = |args| rig.call_at(&services, "gateway-update-defaults", args);
    let kept = || {
        let found = member.configs.get(rig.account, DEFAULTS_CONFIG, "").unwrap();
        Defaults::from_json(&found.unwrap().1).unwrap()
    };
    update(json!({"default-location": "/first"})).await.unwrap();
    // The one who names a key has read what there is, and control takes its time.
    rig.plane.take_asked();
    rig.plane.hold(Some("ClusterKeyChoose"));
    let quick = async {
        let asked = || rig.plane.take_asked().contains(&"ClusterKeyChoose");
        member.until("the key to be asked for", asked).await;
        update(json!({"default-location": "/second"})).await.unwrap();
        rig.plane.hold(None);
    };
    let (slow, ()) = tokio::join!(update(json!({"key": "/keys/gw"})), quick);
    let refused = slow.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Conflict, "{refused:?}");
    assert_eq!((kept().location.as_deref(), kept().key), (Some("/second"), None));
    update(json!({"key": "/keys/gw"})).await.unwrap();
    assert_eq!(kept().location.as_deref(), Some("/second"));
    assert!(kept().key.is_some());
}

/// The same at two gateways, when the other one's change arrives between reading and putting.
#[tokio::test]
async fn what_a_change_was_made_from_must_still_be_there() {
    let member = Member::new().await;
    let account = member.rig.account;
    member.configs.put(member.config(account, "ours"), None).await.unwrap();
    let read = member.configs.get(account, KIND, "mine").unwrap();
    member.stored_elsewhere(1, &document(&[member.entry(account, "theirs")])).await;
    let changed = |read| member.configs.put_changed(member.config(account, "next"), read);
    let refused = changed(read.as_ref()).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Conflict, "{refused:?}");
    assert_eq!(changed(None).await.unwrap_err().kind(), FaultKind::Conflict);
    member.until("theirs to be in force", || member.body().as_deref() == Some("theirs")).await;
    let read = member.configs.get(account, KIND, "mine").unwrap();
    changed(read.as_ref()).await.unwrap();
    assert_eq!(member.body().as_deref(), Some("next"));
    // It is gone, as far as the one who changed it can know.
    member.configs.remove(account, KIND, "mine").await.unwrap();
    assert_eq!(changed(read.as_ref()).await.unwrap_err().kind(), FaultKind::Conflict);
}
