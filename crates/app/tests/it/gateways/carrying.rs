//! A cluster's configuration is carried to another cluster, or back, in a file that tells nothing,
//! and nobody else's file is taken.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use keysherd_base::{Secret, SecretBytes};
use keysherd_crypto::carried::seal;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use serde_json::{Value, json};

use super::{Identity, Pair, wait_for_instances};
use crate::kit::{Api, Cluster, Finished, Needles, Node, finish, keysherd, random, wait_until};
use crate::log_forwarding::{reader, reading_as};

const SHOW: &str = "gateway-get-config";

/// The version that is in force, without what differs between clusters.
fn parts(api: &Api) -> Value {
    let mut shown = api.ok(SHOW, json!({}));
    for own in ["version", "general", "admins"] {
        shown[own] = Value::Null;
    }
    shown
}

fn version(api: &Api) -> u64 {
    api.ok(SHOW, json!({}))["version"].as_u64().unwrap()
}

/// Configures the cluster with something of each kind that can be carried; gives its secrets.
fn configure(pair: &Pair) -> Needles {
    let here = &pair.here;
    let canary = || format!("canary{:016x}{:016x}", random(), random());
    let secrets = [canary(), canary(), canary()];
    let k8s = here.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    here.ok("gateway-create-k8s-auth-config", pair.config(&k8s, "prod", &secrets[0]));
    let ldap = here.ok("auth-method-create-ldap", json!({"name": "/ldap/prod"}));
    let directory = json!({
        "access-id": ldap["access_id"], "signing-key-data": ldap["prv_key"],
        "ldap-url": "ldaps://127.0.0.1:6360", "user-dn": "ou=people", "bind-dn": "cn=searcher",
        "bind-dn-password": secrets[1],
    });
    here.ok("gateway-update-ldap-auth-config", directory);
    here.ok("gateway-update-log-reader", reading_as(&reader(here, "/log-reader")));
    let target = json!({
        "splunk-url": "https://splunk.example:8088", "splunk-token": secrets[2],
        "output-format": "json", "pull-interval": "30", "enable": "true",
    });
    here.ok("gateway-update-log-forwarding-splunk", target);
    let mut needles = Needles::of("the signing key", text(&k8s["prv_key"]).as_bytes());
    for secret in &secrets {
        needles = needles.and(Needles::of("a secret", secret.as_bytes()));
    }
    needles
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The access id of the cluster.
fn listed_identity(api: &Api) -> String {
    let cluster = super::listed(api).unwrap();
    text(&cluster["cluster_name"]).split('/').nth(1).unwrap().to_owned()
}

/// Runs a subcommand of a gateway with the arguments of `node`.
fn carry(node: &Node, cluster: &Cluster, args: &[&str]) -> Finished {
    let args: Vec<&str> = ["gateway"].iter().chain(args).copied().collect();
    node.run_with_args(&cluster.site, &args)
}

/// Files of one test.
struct Files(PathBuf);

impl Files {
    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A new pair of keys: the files of the private and the public one.
    fn keys(&self, node: &Node, name: &str) -> (String, String) {
        let (key, public) = (self.at(name), self.at(&format!("{name}.pub")));
        let args = ["gateway", "recipient", "--key", &key, "--out", &public];
        finish(keysherd(&self.0).args(args), b"").expect(0);
        for file in [&key, &public] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
            node.own(file.as_ref());
        }
        (key, public)
    }
}

/// Waits until a gateway is in the second cluster that there is, and that one is empty.
fn until_alone_and_empty(there: &Api) {
    wait_until("the other cluster to be there", || {
        let reply = there.call("list-gateways", json!({}));
        let are_two = |all: &Vec<_>| all.len() == 2;
        reply.is_success() && reply.json()["clusters"].as_array().is_some_and(are_two)
    });
    // Control knows of it before the gateway knows that it is in.
    wait_until("the other cluster to be empty", || {
        let reply = there.call(SHOW, json!({}));
        reply.is_success() && reply.json()["version"] == 0
    });
}

#[test]
fn a_configuration_goes_to_another_cluster_in_a_file_that_tells_nothing() {
    let mut pair = Pair::start();
    let needles = configure(&pair);
    let before = parts(&pair.here);
    let files = Files(pair.cluster.gateway.data.clone());
    let Pair { cluster, second, here, there, .. } = &mut pair;
    // The private key is where the file will be opened, and nowhere else.
    let (key, theirs) = Files(second.data.clone()).keys(second, "carry.key");
    let public = cluster.gateway.write_secret("carry.pub", &fs::read_to_string(theirs).unwrap());
    let file = files.at("prod.carried");
    let export = ["export", "--recipient", &public, "--out", &file];
    // While the gateway serves.
    let told = carry(&cluster.gateway, cluster, &export).expect(0).out;
    assert!(told.contains("4 configurations"), "{told}");
    // Nothing that is there is written over.
    carry(&cluster.gateway, cluster, &export).expect(73);
    let sealed = fs::read(&file).unwrap();
    assert_eq!(needles.found_in(&sealed), Vec::<&str>::new());
    assert_eq!(needles.found_below(&files.0), Vec::<String>::new());
    assert_eq!(needles.found_in(told.as_bytes()), Vec::<&str>::new());
    // The other gateway leaves, and is in a cluster of its own, which starts empty.
    second.stop();
    second.replace_arg("prod", "staging");
    second.start(&cluster.site);
    until_alone_and_empty(there);
    let handed = Files(second.data.clone()).at("prod.carried");
    fs::copy(&file, &handed).unwrap();
    second.own(handed.as_ref());
    let import = |more: &[&str]| {
        let args = ["import", "--file", &handed, "--key", &key];
        carry(second, cluster, &args.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let tried = import(&["--dry-run"]).expect(0).out;
    for line in ["+ k8s prod", "+ ldap", "+ log-forwarder", "nothing was changed"] {
        assert!(tried.contains(line), "{line}: {tried}");
    }
    assert_eq!(version(there), 0);
    import(&[]).expect(0);
    wait_until("it to be in force there", || version(there) == 1);
    let mut after = parts(there);
    // Its log target has its own place, and is off until somebody wants it.
    assert_eq!(after["log_forwarding"]["logan_enable"], false);
    after["log_forwarding"]["logan_enable"] = true.into();
    assert_eq!(after, before);
    let targets = there.ok("gateway-list-log-forwarding", json!({}))["forwarders"].take();
    assert_eq!((&targets[0]["enabled"], &targets[0]["delivered"]), (&json!(false), &json!(0)));
    // A second time, nothing changes, and no version is made.
    let again = import(&[]).expect(0).out;
    assert!(again.contains("nothing changes"), "{again}");
    assert_eq!(version(there), 1);
    // What would be lost is not written over without being told to.
    let made = here.ok("auth-method-create-k8s", json!({"name": "/k8s/second"}));
    let config = json!({
        "name": "second", "access-id": made["access_id"], "signing-key": made["prv_key"],
        "k8s-host": "https://127.0.0.1:6443",
    });
    there.ok("gateway-create-k8s-auth-config", config);
    let refused = import(&[]).expect(77).err;
    assert!(refused.contains("would be lost") && refused.contains("--force"), "{refused}");
    assert_eq!(version(there), 2);
    let tried = import(&["--dry-run"]).expect(0).out;
    assert!(tried.contains("- k8s second") && tried.contains("would need --force"), "{tried}");
    import(&["--force"]).expect(0);
    wait_until("it to be in force there again", || version(there) == 3);
    import_of_a_removed_gateway(&mut pair, &handed, &key);
}

/// The owner removes the gateway that signed the file, while the other one does not run: its
/// directory still has the bundle that names both.
fn import_of_a_removed_gateway(pair: &mut Pair, file: &str, key: &str) {
    let Pair { cluster, second, here, .. } = pair;
    wait_for_instances(here, "1 of 1");
    second.stop();
    cluster.change_bundle(|bundle| {
        bundle.clusters[0].instances.remove(0);
    });
    // Control looks at its file from time to time.
    wait_until("the first gateway to be refused", || here.call(SHOW, json!({})).status != 200);
    let refused = carry(second, cluster, &["import", "--file", file, "--key", key]).expect(77).err;
    assert!(refused.contains("no gateway of the trust bundle (version"), "{refused}");
}

#[test]
fn no_file_is_taken_that_no_gateway_of_the_deployment_sealed() {
    let pair = Pair::start();
    configure(&pair);
    let Pair { cluster, here, .. } = &pair;
    let files = Files(cluster.gateway.data.clone());
    let (key, public) = files.keys(&cluster.gateway, "carry.key");
    let (other_key, _) = files.keys(&cluster.gateway, "other.key");
    let file = files.at("prod.carried");
    carry(&cluster.gateway, cluster, &["export", "--recipient", &public, "--out", &file]).expect(0);
    let good = fs::read(&file).unwrap();
    let old = version(here);
    let import = |file: &str, key: &str, more: &[&str]| {
        let args = ["import", "--file", file, "--key", key];
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        carry(&cluster.gateway, cluster, &args)
    };
    // Another key, a changed byte, a cut, no such file at all.
    import(&file, &other_key, &[]).expect(70);
    for at in [3, 50, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(files.at("bad"), bad).unwrap();
        import(&files.at("bad"), &key, &["--force"]).expect(70);
    }
    fs::write(files.at("bad"), &good[..good.len() - 7]).unwrap();
    import(&files.at("bad"), &key, &["--force"]).expect(70);
    fs::write(files.at("bad"), b"{}").unwrap();
    import(&files.at("bad"), &key, &["--force"]).expect(70);
    import(&files.at("none"), &key, &[]).expect(73);
    // Whoever knows the public key can seal: their file is told from those of gateways.
    let stranger = SigningKey::from_seed(&Secret::new([5; 32]));
    let public = fs::read_to_string(&public).unwrap();
    let public = hex::decode(public.trim().rsplit_once(':').unwrap().1).unwrap();
    let account = cluster.bootstrap.account_id.clone();
    let forged = json!({"format": 2, "account": account, "entries": []}).to_string();
    let forged = SecretBytes::new(forged.into_bytes());
    let sealed = seal(&forged, "gateway-config", &public, &stranger, &SystemRng);
    fs::write(files.at("forged"), sealed.unwrap()).unwrap();
    let refused = import(&files.at("forged"), &key, &["--force"]).expect(77).err;
    let signer = stranger.public().fingerprint().to_string();
    assert!(refused.contains(&signer), "{refused}");
    // Named, its words count; these are no configuration.
    import(&files.at("forged"), &key, &["--force", "--signer", &signer]).expect(70);
    assert_eq!(version(here), old);
    // An older one of the same cluster takes being told.
    here.ok("gateway-delete-k8s-auth-config", json!({"name": "prod"}));
    let refused = import(&file, &key, &[]).expect(77).err;
    assert!(refused.contains("what was changed since would be lost"), "{refused}");
    import(&file, &key, &["--force"]).expect(0);
    wait_until("the old one to be in force again", || {
        here.call("gateway-get-k8s-auth-config", json!({"name": "prod"})).status == 201
    });
    // A log target that comes back to its own cluster is what it was.
    assert_eq!(here.ok("gateway-get-log-forwarding", json!({}))["logan_enable"], true);
}

#[test]
fn a_cluster_of_the_same_access_id_is_cloned_without_a_file() {
    let mut pair = Pair::start();
    configure(&pair);
    let before = parts(&pair.here);
    let Pair { cluster, second, here, there, .. } = &mut pair;
    second.stop();
    second.replace_arg("prod", "staging");
    second.start(&cluster.site);
    wait_until("the other cluster to be empty", || {
        there.call(SHOW, json!({})).status == 200 && version(there) == 0
    });
    let refused = carry(second, cluster, &["clone", "--from", "nowhere"]).expect(77).err;
    assert!(refused.contains("no gateway cluster"), "{refused}");
    carry(second, cluster, &["clone", "--from", "prod"]).expect(0);
    wait_until("it to be in force there", || version(there) == 1);
    let after = parts(there);
    assert_eq!((&after["k8s_auths"], &after["ldap"]), (&before["k8s_auths"], &before["ldap"]));
    // The first one is as it was.
    assert_eq!(parts(here), before);
    let told = carry(second, cluster, &["clone", "--from", "prod"]).expect(0).out;
    assert!(told.contains("nothing changes"), "{told}");
    // Each reading and each change is in the log.
    let found = here.ok("audit-search", json!({"action": "update_gateway_config"}));
    assert!(!found["records"].as_array().unwrap().is_empty(), "{found}");
}

/// An identity of another account opens nothing of this one.
#[test]
fn another_cluster_s_credential_exports_nothing_of_this_one() {
    let mut pair = Pair::start();
    configure(&pair);
    let here = &pair.here;
    let own = listed_identity(here);
    let wish = json!({"name": "/gateways/other", "allowed-client-type": ["gateway-admin"]});
    let made = here.ok("auth-method-create-api-key", wish);
    let other = Identity {
        access_id: text(&made["access_id"]).to_owned(),
        access_key: text(&made["access_key"]).to_owned(),
    };
    let Pair { cluster, second, .. } = &mut pair;
    second.stop();
    second.replace_arg(&own, &other.access_id);
    second.write_secret("access-key", &other.access_key);
    let refused = carry(second, cluster, &["clone", "--from", "prod"]).expect(77).err;
    // Under its own access id it is another cluster of the same name, with nothing in it.
    let mine = format!("{}/prod has no configuration yet", other.access_id);
    assert!(refused.contains(&mine), "{refused}");
    // What it exports is its own, which is empty.
    let files = Files(second.data.clone());
    let (_, public) = files.keys(second, "carry.key");
    let out = files.at("own");
    let told = carry(second, cluster, &["export", "--recipient", &public, "--out", &out]);
    let told = told.expect(0).out;
    assert!(told.contains("0 configurations"), "{told}");
}
