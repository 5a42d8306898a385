//! The place of a cluster's log target, which control keeps and may not make up or take back.

use std::sync::Arc;
use std::time::Duration;

use keysherd_api::commands::OwnCredential;
use keysherd_api::{Configs as _, Forwarder, ForwarderState, Forwarding, LogReader};
use keysherd_audit::Filter;
use keysherd_base::{AccessId, Secret};
use keysherd_crypto::random::SystemRng;
use keysherd_domain::lease::LIFE_MILLIS;
use keysherd_egress::Egress;
use keysherd_gateway::{
    ClusterConfigs, ConfigStore, Forwarders, Membership, MembershipConfig, Proof,
};
use keysherd_plane::clusters::PlaceListReply;
use keysherd_plane::{GatewayReply, GatewayRequest, Reply, Request};
use keysherd_sinks::{Format, Way, by_name};
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

/// How long to wait until looking again, and how often.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS_MAX: usize = 1_200;

/// A gateway in a cluster whose audit log goes to standard output.
struct Sender {
    membership: Arc<Membership>,
    forwarders: Arc<Forwarders>,
    configs: Arc<ClusterConfigs>,
}

/// Who the gateway is, and whom it reads the log as.
struct Ids {
    gateway: (AccessId, String),
    reader: (AccessId, String),
}

async fn ids(rig: &Rig) -> Ids {
    let new = async |name: &str| {
        let made = rig.call("auth-method-create-api-key", json!({"name": name})).await.unwrap();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        (AccessId::parse(&text("access_id")).unwrap(), text("access_key"))
    };
    let (gateway, reader) = (new("/gateways/prod").await, new("/log/reader").await);
    let role = json!({"name": "/log", "audit-access": "all"});
    rig.call("create-role", role).await.unwrap();
    let to = json!({"role-name": "/log", "am-name": "/log/reader"});
    rig.call("assoc-role-am", to).await.unwrap();
    Ids { gateway, reader }
}

impl Sender {
    /// A gateway that keeps what it has to in the directory `home`.
    async fn start(rig: &Rig, ids: &Ids, home: &str) -> Self {
        let home = rig.gateway_home().join(home);
        let local = Arc::new(ConfigStore::open(&home, SystemRng::handle()).unwrap());
        let (access_id, key) = ids.gateway.clone();
        let membership = Membership::start(MembershipConfig {
            services: rig.services.clone(),
            access_id,
            proof: Proof::Credential(OwnCredential::AccessKey(Secret::new(key))),
            address: [192, 0, 2, 9].into(),
            name: "prod".to_owned(),
            display_name: None,
            url: None,
            protection_key: None,
            host: "gw".to_owned(),
            program: "1".to_owned(),
            standby: false,
            duty: keysherd_gateway::Duty::new(true),
            home: home.clone(),
        })
        .unwrap();
        let configs = ClusterConfigs::start(local, membership.clone(), rig.gateway.clone());
        let (clock, rng) = (rig.clock.clone(), SystemRng::handle());
        let way = Way::new(clock, rng, Egress::default());
        let (told, member) = (configs.clone(), Some(membership.clone()));
        let plane = rig.gateway.plane();
        let forwarders = Forwarders::start(&home, told, member, plane, way).unwrap();
        let this = Self { membership, forwarders, configs };
        this.until("the cluster to be joined", async || this.membership.joined().is_some()).await;
        this
    }

    async fn set_target(&self, rig: &Rig, ids: &Ids) {
        let (access_id, key) = ids.reader.clone();
        let (account, access_key) = (rig.account, Secret::new(key));
        self.forwarders.read_as(LogReader { account, access_id, access_key }).await.unwrap();
        self.forwarders.put(rig.account, target(""), None, None).await.unwrap();
    }

    async fn state(&self, rig: &Rig) -> Option<ForwarderState> {
        self.forwarders.states(rig.account).await.pop()
    }

    /// Waits until this gateway sends, and has sent everything, which is more than `before`.
    async fn all_sent(&self, rig: &Rig, before: u64) -> ForwarderState {
        let mut last = None;
        self.until("everything to be sent", async || {
            last = self.state(rig).await;
            last.as_ref().is_some_and(|state| {
                !state.elsewhere && state.delivered > before && state.delivered == state.newest
            })
        })
        .await;
        last.unwrap()
    }

    /// Ends as a gateway that is stopped.
    async fn stop(self) {
        self.forwarders.retire().await;
    }
}

impl Sender {
    /// Waits: control holds questions, so nothing here can go by a clock that stands still.
    async fn until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) {
        let mut news = self.configs.news();
        for _ in 0..LOOKS_MAX {
            if done().await {
                return;
            }
            // Not everything that is waited for is told.
            let _told = tokio::time::timeout(LOOK, news.changed()).await;
        }
        panic!("waited in vain for {what}");
    }
}

/// A target that takes everything.
fn target(name: &str) -> Forwarder {
    Forwarder {
        name: name.to_owned(),
        enabled: true,
        sink: by_name("stdout").unwrap(),
        format: Format::Json,
        pull_seconds: 1,
        filter: Filter::default(),
        settings: keysherd_sinks::Settings::default(),
        begin: None,
        place_key: None,
    }
}

/// A deployment with a gateway that has a target.
async fn sending() -> (Rig, Ids, Sender) {
    let rig = Rig::new(Settings::default()).await;
    let ids = ids(&rig).await;
    let first = Sender::start(&rig, &ids, "a").await;
    first.set_target(&rig, &ids).await;
    (rig, ids, first)
}

/// Makes records.
async fn records(rig: &Rig) {
    for number in 0..5 {
        let name = json!({"name": format!("/none/{number}")});
        rig.call("describe-item", name).await.unwrap_err();
    }
}

/// The answer that control gives about places, now.
async fn places(sender: &Sender) -> Vec<(String, String)> {
    let ctx = sender.membership.ctx("log-forwarding").await.unwrap();
    let cluster = sender.membership.joined().unwrap().cluster;
    let lease = "log-forwarding".to_owned();
    ctx.ask(keysherd_plane::clusters::PlaceList { cluster, lease }).await.unwrap().places
}

/// From now on control says these places.
fn say(rig: &Rig, places: Vec<(String, String)>) {
    rig.plane.tamper(move |asked, reply| {
        if let Request::Gateways(GatewayRequest::PlaceList(_)) = asked
            && let Reply::Gateways(GatewayReply::PlaceList(reply)) = reply
        {
            *reply = PlaceListReply { places: places.clone() };
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_goes_on_where_another_one_stopped() {
    let (rig, ids, first) = sending().await;
    records(&rig).await;
    let came = first.all_sent(&rig, 0).await.delivered;
    first.stop().await;
    records(&rig).await;
    let second = Sender::start(&rig, &ids, "b").await;
    let state = second.all_sent(&rig, came).await;
    assert!(state.delivered > came);
    assert_eq!(state.findings, 0, "{}", state.finding);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_control_made_up_is_found_and_everything_is_sent() {
    let (rig, ids, first) = sending().await;
    records(&rig).await;
    first.all_sent(&rig, 0).await;
    let (name, honest) = places(&first).await.pop().unwrap();
    first.stop().await;
    // It leaves out what comes now, and says that all of it was sent.
    records(&rig).await;
    let forged = honest.replacen("seq\\\":", "seq\\\":1", 1);
    assert_ne!(forged, honest);
    say(&rig, vec![(name, forged)]);
    let second = Sender::start(&rig, &ids, "b").await;
    let state = second.all_sent(&rig, 0).await;
    assert_eq!(state.findings, 1, "{}", state.finding);
    assert!(state.finding.contains("not of this cluster"), "{}", state.finding);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_control_took_back_is_found_by_who_saw_a_newer_one() {
    let (rig, ids, first) = sending().await;
    let before = first.all_sent(&rig, 0).await.delivered;
    let old = places(&first).await;
    records(&rig).await;
    let came = first.all_sent(&rig, before).await.delivered;
    first.stop().await;
    say(&rig, old);
    let again = Sender::start(&rig, &ids, "a").await;
    let state = again.all_sent(&rig, 0).await;
    assert_eq!(state.findings, 1, "{}", state.finding);
    // It records itself that it sent, which may have been sent as well before the end.
    let after = state.finding.split("Going on after ").nth(1).unwrap();
    let after: u64 = after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    assert!(after >= came, "{came}: {}", state.finding);
}

/// One that sends nothing itself looks all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_waits_notes_how_far_the_other_one_came() {
    let (rig, ids, first) = sending().await;
    let before = first.all_sent(&rig, 0).await.delivered;
    let old = places(&first).await;
    records(&rig).await;
    let came = first.all_sent(&rig, before).await.delivered;
    let second = Sender::start(&rig, &ids, "b").await;
    let noted = || {
        let dir = rig.gateway_home().join("b/forwarding");
        let files = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts.into_iter().any(|text| text.contains(&format!("{{\"seq\":{came},")))
    };
    second.until("the second gateway to note the place", async || noted()).await;
    first.stop().await;
    say(&rig, old);
    let state = second.all_sent(&rig, 0).await;
    assert_eq!(state.findings, 1, "{}", state.finding);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_targets_that_are_gone_do_not_stay_at_control() {
    let (rig, _, sender) = sending().await;
    sender.all_sent(&rig, 0).await;
    // Switched off, nobody has the lease, and so nobody says so when it goes.
    let off = sender.forwarders.get(rig.account, "").unwrap().unwrap();
    let read = off.to_json().unwrap();
    let off = Forwarder { enabled: false, ..off };
    sender.forwarders.put(rig.account, off, None, Some(read)).await.unwrap();
    assert!(sender.forwarders.remove(rig.account, "").await.unwrap());
    assert_eq!(places(&sender).await.len(), 1);
    let other = target("other");
    sender.forwarders.put(rig.account, other, None, None).await.unwrap();
    sender
        .until("the place to be forgotten", async || {
            let names: Vec<_> = places(&sender).await.into_iter().map(|(name, _)| name).collect();
            matches!(&*names, [name] if name.starts_with("other#"))
        })
        .await;
}

/// Nobody cheats where an administrator deletes a target and makes it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_made_again_is_another_one_and_no_alarm() {
    let (rig, ids, sender) = sending().await;
    sender.all_sent(&rig, 0).await;
    let other = Sender::start(&rig, &ids, "b").await;
    let noted = |home: &str| {
        let dir = rig.gateway_home().join(home).join("forwarding");
        let files = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
        files.filter(|file| file.path().extension().is_some_and(|it| it == "json")).count()
    };
    other.until("the other gateway to note the place", async || noted("b") == 1).await;
    let off = sender.forwarders.get(rig.account, "").unwrap().unwrap();
    let read = off.to_json().unwrap();
    let off = Forwarder { enabled: false, ..off };
    sender.forwarders.put(rig.account, off, None, Some(read)).await.unwrap();
    assert!(sender.forwarders.remove(rig.account, "").await.unwrap());
    let gone = places(&sender).await;
    assert_eq!(gone.len(), 1, "nobody had the lease to have it forgotten");
    other.until("the other gateway to drop its note", async || noted("b") == 0).await;
    // It is this one that sends again: either could. Whoever was given the lease and did not want
    // it any more by then has it until it ends.
    other.stop().await;
    rig.clock.advance_seconds(LIFE_MILLIS / 1_000 + 1);
    sender.forwarders.put(rig.account, target(""), None, None).await.unwrap();
    let state = sender.all_sent(&rig, 0).await;
    assert_eq!(state.findings, 0, "{}", state.finding);
    sender
        .until("the old place to be forgotten", async || {
            let now = places(&sender).await;
            now.len() == 1 && now[0].0 != gone[0].0
        })
        .await;
}
