//! What a gateway keeps for a Kerberos method: nobody else has it, each gateway its own, and it
//! goes with the method.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::{HOST, REALM, SPN, claims, login, made};
use crate::kit::kerberos::{Kdc, encoded};
use crate::kit::{Api, Cluster, Http, Needles, Node, random, wait_until};

fn second_gateway(cluster: &mut Cluster) -> (Node, Api) {
    let mut second = cluster.stranger("gateway", "gateway-2", &[]);
    second.start(&cluster.site);
    let spki = second.printed_key("identity").spki_sha256();
    cluster.change_bundle(|bundle| bundle.clusters[0].instances.push(spki));
    let http = Http::new(&second.address, &second.data.join("tls/ca.pem"));
    wait_until("the second gateway to serve", || {
        http.get("/health").is_ok_and(|reply| reply.status == 200)
    });
    (second, Api::new(Arc::new(http)))
}

/// How many configurations lie below a gateway's data directory.
fn kept(data: &Path) -> usize {
    fs::read_dir(data.join("configs")).map_or(0, Iterator::count)
}

#[test]
fn each_gateway_has_its_own_key_and_a_token_counts_once_for_all() {
    let mut cluster = Cluster::start();
    let (mut second, there) = second_gateway(&mut cluster);
    let (admin, here) = (cluster.admin(), cluster.nobody());
    let kdc = Kdc::start(REALM);
    kdc.add_person("alice");
    let keytab = kdc.add_service(SPN);
    let args = json!({"name": "/krb", "keytab-file-data": encoded(&keytab)});
    let access_id = made(&admin, args.clone());
    let token = || kdc.token("alice", HOST);
    claims(&here, login(&access_id, &token()));
    // The other gateway knows nothing of it, and does not get it without the keytab.
    there.refused(401, "auth", login(&access_id, &token()));
    let far = there.with_token(admin.token());
    let text = far.refused(400, "auth-method-update-kerberos", json!({"name": "/krb"}));
    assert!(text.contains("keytab-file-data"), "{text}");
    far.ok("auth-method-update-kerberos", args.clone());
    claims(&there, login(&access_id, &token()));
    claims(&here, login(&access_id, &token()));
    // What was shown to one of them was shown to all.
    let once = token();
    claims(&here, login(&access_id, &once));
    there.refused(401, "auth", login(&access_id, &once));
    // A gateway that is given up is shut out by the one that stays.
    let mut alone = json!({"name": "/krb", "only-this-gateway": true});
    far.ok("auth-method-update-kerberos", alone.clone());
    here.refused(401, "auth", login(&access_id, &token()));
    claims(&there, login(&access_id, &token()));
    alone["only-this-gateway"] = false.into();
    admin.ok("auth-method-update-kerberos", alone);
    claims(&here, login(&access_id, &token()));

    // Deleted at one gateway; the other forgets it when it looks, as it does when it starts.
    assert_eq!((kept(&cluster.gateway.data), kept(&second.data)), (1, 1));
    admin.ok("auth-method-delete", json!({"name": "/krb"}));
    assert_eq!((kept(&cluster.gateway.data), kept(&second.data)), (0, 1));
    second.stop();
    second.start(&cluster.site);
    wait_until("the keytab to be forgotten", || kept(&second.data) == 0);
}

#[test]
fn t_kerberos_keytab_is_nowhere_but_at_the_gateway() {
    let cluster = Cluster::start();
    let admin = cluster.admin();
    let kdc = Kdc::start(REALM);
    kdc.add_person("alice");
    let keytab = kdc.add_service(SPN);
    let password = format!("canary{:016x}{:016x}", random(), random());
    let args = json!({
        "name": "/krb", "keytab-file-data": encoded(&keytab), "ldap-url": "ldaps://127.0.0.1:1",
        "user-dn": "ou=people,dc=example", "bind-dn": "cn=x", "bind-dn-password": password,
    });
    let access_id = made(&admin, args);
    let token = kdc.token("alice", HOST);
    // The directory is not there, but the keytab was used.
    cluster.nobody().refused(503, "auth", login(&access_id, &token));
    admin.ok("auth-method-update-kerberos", json!({"name": "/krb"}));
    claims(&cluster.nobody(), login(&access_id, &kdc.token("alice", HOST)));
    let mut needles = Needles::of("the password", password.as_bytes())
        .and(Needles::of("the token", token.as_bytes()));
    let keys = aes256_keys(&keytab);
    assert!(!keys.is_empty());
    for key in keys {
        needles = needles.and(Needles::of("a key of the keytab", &key));
    }
    let nowhere = Vec::<String>::new();
    for node in cluster.blind() {
        assert_eq!(needles.found_below(&node.data), nowhere, "in files");
        let process = node.running();
        // Only root may look into the memory of roles.
        if rustix::process::geteuid().is_root() {
            assert_eq!(needles.found_in_memory_of(process.pid()), nowhere, "in memory");
        }
        for said in [process.out(), process.err()] {
            assert_eq!(needles.found_in(said.as_bytes()), Vec::<&str>::new(), "in what it printed");
        }
    }
    // At the gateway it is sealed: the files of configurations alone tell nothing.
    assert_eq!(needles.found_below(&cluster.gateway.data), nowhere);
    assert_eq!(kept(&cluster.gateway.data), 1);
}

/// The 32 bytes after kind 18 and length 32.
fn aes256_keys(keytab: &[u8]) -> Vec<Vec<u8>> {
    let places = (0..keytab.len()).filter(|at| keytab[*at..].starts_with(&[0, 18, 0, 32]));
    places.map(|at| keytab[at + 4..at + 36].to_vec()).collect()
}
