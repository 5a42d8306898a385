//! Gateways as clusters: instances sign in as themselves, are seen running and down, and come back.

mod access;
mod caching;
mod carrying;
mod cold;
mod cold_keys;
mod configs;
mod defaults;
mod doctor;
mod first;
mod forwarding;
mod full_disk;
mod listener;
mod outage;
mod regions;
mod resting;
mod rotation_kills;
mod rotations;
mod rotators;
mod skew;
mod standby;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::kit::{Api, Bootstrap, Cluster, ClusterWish as Wish, Http, Node, wait_for, wait_until};

/// The auth method of a cluster.
struct Identity {
    access_id: String,
    access_key: String,
}

impl Identity {
    fn make(admin: &Api) -> Self {
        let wish = json!({"name": "/gateways/prod", "allowed-client-type": ["gateway-admin"]});
        let made = admin.ok("auth-method-create-api-key", wish);
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Self { access_id: text("access_id"), access_key: text("access_key") }
    }

    /// Gives `node` this identity for its next start.
    fn give(&self, node: &mut Node, key: &str) {
        let file = node.write_secret("access-key", key);
        node.take_args(&["--gateway-access-id", &self.access_id, "--cluster-name", "prod"]);
        node.take_args(&["--gateway-access-key-file", &file]);
        node.take_args(&["--cluster-url", "https://gw.example"]);
    }
}

/// The first cluster that is listed, if there is one.
fn listed(admin: &Api) -> Option<Value> {
    let reply = admin.call("list-gateways", json!({}));
    let clusters = (reply.status == 200).then(|| reply.json()["clusters"].take())?;
    clusters.as_array()?.first().cloned()
}

fn wait_for_instances(admin: &Api, wanted: &str) -> Value {
    wait_for(&format!("{wanted} instances"), || {
        let cluster = listed(admin)?;
        let said = cluster["status_description"].as_str()?.to_owned();
        said.starts_with(&format!("{wanted} instances run")).then_some(cluster)
    })
}

/// A second gateway that the bundle names, with the identity of the first.
fn second(cluster: &mut Cluster, identity: &Identity) -> Node {
    let second = cluster.stranger("gateway", "gateway-2", &[]);
    join(cluster, identity, second)
}

/// Starts this gateway with the identity, and names it in the bundle.
fn join(cluster: &mut Cluster, identity: &Identity, mut second: Node) -> Node {
    identity.give(&mut second, &identity.access_key);
    second.start(&cluster.site);
    let spki = second.printed_key("identity").spki_sha256();
    cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
    second
}

#[test]
fn two_gateways_are_one_cluster_and_are_seen_running_and_down() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    assert!(listed(&admin).is_none());
    assert_eq!(cluster.status()["cluster"], Value::Null);
    let identity = Identity::make(&admin);
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, &identity.access_key);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let one = wait_for_instances(&admin, "1 of 1");
    let account = &cluster.bootstrap.account_id;
    let name = format!("{account}/{}/prod", identity.access_id);
    assert_eq!(one["cluster_name"], name);
    assert_eq!(one["status"], "running");
    assert_eq!(one["current_gw"], true);
    assert_eq!(one["cluster_url"], "https://gw.example");
    let status = cluster.status()["cluster"].take();
    assert_eq!((&status["connected"], &status["name"]), (&json!(true), &json!("prod")), "{status}");
    // Who is not signed in learns nothing that names the account or its gateways.
    let whole = cluster.status().to_string();
    for secret in [account, &identity.access_id] {
        assert!(!whole.contains(secret.as_str()), "{whole}");
    }
    let mut second = second(&mut cluster, &identity);
    let both = wait_for_instances(&admin, "2 of 2");
    assert_eq!(both["id"], one["id"]);
    second.kill();
    assert_eq!(wait_for_instances(&admin, "1 of 2")["status"], "running");
    second.start(&cluster.site);
    wait_for_instances(&admin, "2 of 2");
    // What gateways sign in with is of no use to others.
    let wish = json!({"access-id": identity.access_id, "access-key": identity.access_key});
    cluster.nobody().refused(401, "auth", wish);
    // A cluster that runs is deleted by force only, and begins anew.
    let wish = |force: bool| json!({"cluster-name": name, "force-deletion": force});
    admin.refused(409, "delete-gateway-cluster", wish(false));
    admin.ok("delete-gateway-cluster", wish(true));
    let new = wait_for_instances(&admin, "2 of 2");
    assert_ne!(new["id"], one["id"]);
    second.stop();
    wait_for_instances(&admin, "1 of 2");
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

#[test]
fn a_gateway_says_when_control_is_gone_and_comes_back_by_itself() {
    let mut cluster = Cluster::start();
    let identity = Identity::make(&cluster.admin());
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, &identity.access_key);
    cluster.gateway.start(&cluster.site);
    let http = Http::new(&cluster.url, &cluster.gateway.data.join("tls/ca.pem"));
    let connected = || {
        let status = http.get("/status").ok()?.json()["cluster"].take();
        status["connected"].as_bool()
    };
    wait_until("the gateway to be in its cluster", || connected() == Some(true));
    cluster.control.kill();
    wait_until("the gateway to say that control is gone", || connected() == Some(false));
    let problem = http.get("/status").unwrap().json()["cluster"]["problem"].take();
    assert!(problem.as_str().is_some_and(|text| text.contains("control")), "{problem}");
    cluster.control.start(&cluster.site);
    wait_until("the gateway to be in its cluster again", || connected() == Some(true));
    let joined = cluster.admin();
    let search = json!({"action": "register_gateway"});
    let found = joined.ok("audit-search", search);
    let records = found["records"].as_array().unwrap();
    assert_eq!(records.len(), 1, "a restart of control is no joining: {found}");
}

#[test]
fn a_gateway_with_a_wrong_key_serves_and_says_that_it_is_in_no_cluster() {
    let mut cluster = Cluster::start();
    cluster.admin().store("/team/db", "a value");
    let identity = Identity::make(&cluster.admin());
    cluster.gateway.stop();
    identity.give(&mut cluster.gateway, "bm90IHRoZSBhY2Nlc3Mga2V5IG9mIHRoaXMgbWV0aG9k");
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    wait_until("the gateway to tell its problem", || {
        cluster.status()["cluster"]["problem"].as_str().is_some()
    });
    let status = cluster.status();
    assert_eq!(status["cluster"]["connected"], false);
    let problem = status["cluster"]["problem"].as_str().unwrap();
    assert_eq!(problem, "control refuses; this gateway's log says why");
    assert!(!status.to_string().contains(&identity.access_id), "{status}");
    assert!(cluster.gateway.running().err().contains("not in its cluster"));
    let admin = cluster.admin();
    assert_eq!(admin.read("/team/db"), "a value");
    assert!(listed(&admin).is_none());
}

/// Two gateways of one cluster, and an administrator at each.
struct Pair {
    cluster: Cluster,
    second: Node,
    here: Api,
    there: Api,
    /// How far clocks are ahead that can be set, in seconds.
    ahead: i64,
}

impl Pair {
    fn start() -> Self {
        let mut cluster = Cluster::start();
        let identity = Identity::make(&cluster.admin());
        cluster.gateway.stop();
        identity.give(&mut cluster.gateway, &identity.access_key);
        cluster.gateway.start(&cluster.site);
        cluster.wait_until_healthy();
        Self::of(cluster, &identity)
    }

    /// The gateway of `cluster`, which has the identity, and another one.
    fn of(mut cluster: Cluster, identity: &Identity) -> Self {
        let second = second(&mut cluster, identity);
        Self::with(cluster, second)
    }

    /// The first gateway of `cluster`, and another one of the same cluster of gateways.
    fn with(cluster: Cluster, second: Node) -> Self {
        wait_for_instances(&cluster.admin(), "2 of 2");
        let http = Http::new(&second.address, &second.data.join("tls/ca.pem"));
        let Bootstrap { access_id, access_key, .. } = &cluster.bootstrap;
        let there = Api::new(Arc::new(http)).login(access_id, access_key);
        let here = cluster.admin();
        Self { cluster, second, here, there, ahead: 0 }
    }

    /// Two as `wish` says, where every node has a clock that can be set.
    fn with_clocks(wish: &Wish) -> Self {
        let mut cluster = Cluster::start_with(wish);
        let identity = Identity::make(&cluster.admin());
        identity.give(&mut cluster.gateway, &identity.access_key);
        let Cluster { site, control, managers, gateway, .. } = &mut cluster;
        for node in [control].into_iter().chain(managers).chain([gateway]) {
            node.stop();
            node.take_clock();
            node.start(site);
        }
        cluster.wait_until_healthy();
        // What the owner of the tests signs is good for a day.
        cluster.change_bundle(|bundle| {
            let key = &mut bundle.permit_keys[0];
            key.not_after = key.not_after.plus_seconds(365 * 86_400);
        });
        let mut second = cluster.stranger("gateway", "gateway-2", &[]);
        second.take_clock();
        let second = join(&mut cluster, &identity, second);
        Self::with(cluster, second)
    }

    /// Sets all clocks forward, that of control last: then the others are where permits are good.
    fn pass(&mut self, seconds: i64) {
        self.ahead += seconds;
        let Self { cluster, second, ahead, .. } = self;
        for node in cluster.managers.iter().chain([&cluster.gateway, second, &cluster.control]) {
            node.set_clock(*ahead);
        }
    }

    /// An administrator at one of the gateways, once it lets them in.
    fn admin_at(&self, node: &Node) -> Api {
        let http = Http::ahead(&node.address, &node.data.join("tls/ca.pem"), self.ahead);
        let http = Arc::new(http);
        let Bootstrap { access_id, access_key, .. } = &self.cluster.bootstrap;
        wait_until("a gateway that lets somebody in", || {
            let login = json!({"access-id": access_id, "access-key": access_key});
            let reply = Api::new(http.clone()).try_call("auth", login);
            reply.is_ok_and(|reply| reply.is_success())
        });
        Api::new(http).login(access_id, access_key)
    }

    /// What a configuration of a Kubernetes cluster takes; `secret` is the reviewer's token.
    fn config(&self, method: &Value, name: &str, secret: &str) -> Value {
        json!({
            "name": name,
            "access-id": method["access_id"],
            "signing-key": method["prv_key"],
            "k8s-host": "https://127.0.0.1:6443",
            "token-reviewer-jwt": secret,
        })
    }
}
