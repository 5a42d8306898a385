//! Rotated secrets on what is no database, with every role a process of its own: made, rotated by
//! hand, and what a reader gets is what the target takes. On OpenLDAP, OpenSSH, a webhook, and moto
//! in the place of AWS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Identity;
use crate::kit::moto::Moto;
use crate::kit::sshd::{FIRST, ROOT, Sshd};
use crate::kit::{Api, Asked, Cluster, Node, Slapd, Stub, json_answer as answering, wait_until};

const SECRET: &str = "/rot/app";
const TARGET: &str = "/targets/app";

/// A gateway of a cluster, as it is after `prepare`.
struct Scene {
    cluster: Cluster,
    identity: Identity,
    admin: Api,
    /// Who may only read.
    reader: Api,
}

impl Scene {
    fn start(prepare: impl FnOnce(&mut Node)) -> Self {
        let mut cluster = Cluster::start();
        let identity = Identity::make(&cluster.admin());
        cluster.gateway.stop();
        identity.give(&mut cluster.gateway, &identity.access_key);
        prepare(&mut cluster.gateway);
        cluster.gateway.start(&cluster.site);
        wait_until("the gateway to be in its cluster", || {
            cluster.status()["cluster"]["connected"] == true
        });
        let admin = cluster.admin();
        let reader = admin.person_who_may("reader", &[("item-rule", "/rot/*", "read")]).api;
        Self { cluster, identity, admin, reader }
    }

    fn make(&self, kind: &str, args: Value) {
        let args = self.args(args);
        self.admin.ok(&format!("rotated-secret-create-{kind}"), args);
    }

    /// One that is not made; what is said then.
    fn is_not_made(&self, kind: &str, mut args: Value, secret: &str) -> String {
        args["name"] = "/rot/wrong".into();
        let command = format!("rotated-secret-create-{kind}");
        let refused = self.admin.call(&command, self.args(args));
        assert_eq!(refused.status / 100, 4, "{}", refused.text());
        assert!(!refused.text().contains(secret), "{}", refused.text());
        self.admin.refused(404, "describe-item", json!({"name": "/rot/wrong"}));
        refused.text()
    }

    fn args(&self, mut args: Value) -> Value {
        let map = args.as_object_mut().unwrap();
        map.entry("name").or_insert(SECRET.into());
        map.entry("target-name").or_insert(TARGET.into());
        args
    }

    /// What a reader gets.
    fn value(&self, name: &str) -> Value {
        self.reader.ok("get-rotated-secret-value", json!({"names": name}))["value"].take()
    }

    fn rotate(&self, name: &str) -> Value {
        self.reader.refused(401, "gateway-rotate-secret", json!({"name": name}));
        self.admin.ok("gateway-rotate-secret", json!({"name": name}));
        self.value(name)
    }

    /// Its audit log has each rotation, and holds.
    fn end(mut self, rotations: usize) {
        let search = json!({"action": "rotate_credentials"});
        let found = self.admin.ok("audit-search", search);
        assert_eq!(found["records"].as_array().unwrap().len(), rotations, "{found}");
        self.cluster.control.stop();
        self.cluster.audit(&["verify"]).expect(0);
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field}"))
}

#[test]
fn passwords_in_a_directory_rotate() {
    let name = "cn=app,dc=example";
    let directory = Slapd::with(&format!(
        "dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\ndc: example\n\
         o: example\n\ndn: {name}\nobjectClass: inetOrgPerson\ncn: app\nsn: a\n\
         userPassword: first-1\n"
    ));
    let scene = Scene::start(|_| ());
    let target = json!({
        "name": TARGET, "ldap-url": directory.tls_url, "ldap-ca-cert": directory.ca_pem,
        "bind-dn": "cn=root,dc=example", "bind-dn-password": "rootpw",
    });
    scene.admin.ok("target-create-ldap", target);
    let args = |password: &str| {
        json!({
            "rotator-type": "ldap", "rotated-username": "app", "rotated-password": password,
            "user-dn": "dc=example", "authentication-credentials": "use-target-creds",
        })
    };
    scene.is_not_made("ldap", args("canary-wrong"), "canary-wrong");
    scene.make("ldap", args("first-1"));
    assert_eq!(text(&scene.value(SECRET), "password"), "first-1");
    let new = scene.rotate(SECRET);
    assert_eq!(text(&new, "username"), "app");
    assert!(directory.signs_in(name, text(&new, "password")));
    assert!(!directory.signs_in(name, "first-1"));
    scene.end(1);
}

/// OpenSSH's client.
struct Client<'a> {
    machine: &'a Sshd,
    dir: TempDir,
}

impl Client<'_> {
    fn ssh(&self, user: &str, how: &[&str]) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes"]);
        ssh.args(["-p", &self.machine.port.to_string()]).args(how);
        ssh.args([&format!("{user}@127.0.0.1"), "true"]);
        ssh
    }

    fn takes_password(&self, user: &str, password: &str) -> bool {
        let asked = self.dir.path().join("asked");
        fs::write(&asked, "#!/bin/sh\nprintf '%s\\n' \"$PASSWORD_OF_USER\"\n").unwrap();
        fs::set_permissions(&asked, fs::Permissions::from_mode(0o700)).unwrap();
        let how = ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"];
        let mut ssh = self.ssh(user, &how);
        ssh.env("SSH_ASKPASS", asked).env("SSH_ASKPASS_REQUIRE", "force");
        ssh.env("PASSWORD_OF_USER", password).output().unwrap().status.success()
    }

    fn takes_key(&self, user: &str, key: &str) -> bool {
        let file = self.dir.path().join("key");
        fs::write(&file, key).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let how = ["-o", "PreferredAuthentications=publickey", "-i", file.to_str().unwrap()];
        self.ssh(user, &how).output().unwrap().status.success()
    }

    /// Gives a user a key; the private one.
    fn make_key(&self, user: &str) -> String {
        let file = self.dir.path().join("first");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file);
        assert!(keygen.status().unwrap().success());
        let home = self.machine.home.join(user);
        let keys = home.join(".ssh");
        fs::create_dir(&keys).unwrap();
        fs::copy(file.with_extension("pub"), keys.join("authorized_keys")).unwrap();
        let mut own = Command::new("chown");
        own.args(["-R", "--reference"]).arg(&home).arg(&keys);
        assert!(own.status().unwrap().success());
        fs::read_to_string(file).unwrap()
    }
}

#[test]
fn passwords_and_keys_of_a_machine_rotate() {
    let Some(machine) = Sshd::start("app keyed") else { return };
    let client = Client { machine: &machine, dir: tempfile::tempdir().unwrap() };
    let scene = Scene::start(|_| ());
    let target = json!({
        "name": TARGET, "host": "127.0.0.1", "port": machine.port.to_string(),
        "ssh-username": "root", "ssh-password": ROOT,
    });
    scene.admin.ok("target-create-ssh", target);
    let args = |host_key: &str| {
        json!({
            "rotator-type": "password", "rotated-username": "app", "rotated-password": FIRST,
            "host-key": host_key,
        })
    };
    // A machine that is another one gets no password, and whoever asks is told which one it is.
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let said = scene.is_not_made("ssh", args(other), FIRST);
    assert!(said.contains(&machine.fingerprint), "{said}");
    scene.make("ssh", args(&machine.fingerprint));
    let new = scene.rotate(SECRET);
    assert!(client.takes_password("app", text(&new, "password")));
    assert!(!client.takes_password("app", FIRST));

    let first = client.make_key("keyed");
    assert!(client.takes_key("keyed", &first));
    let args = json!({
        "name": "/rot/key", "rotator-type": "key", "rotated-username": "keyed",
        "key-data-base64": STANDARD.encode(&first), "host-key": machine.fingerprint,
    });
    scene.make("ssh", args);
    let new = scene.rotate("/rot/key");
    assert!(client.takes_key("keyed", text(&new, "private_key")));
    assert!(!client.takes_key("keyed", &first));
    scene.end(2);
}

/// A webhook that believes only gateways of one cluster, and takes what it made last and what it
/// was asked with.
#[derive(Default)]
struct Hook {
    gateway: Mutex<Option<(Api, String)>>,
    taken: Mutex<Vec<String>>,
}

impl Hook {
    fn answer(&self, asked: &Asked) -> (u16, Value) {
        let payload = asked.json()["payload"].as_str().unwrap().to_owned();
        if !self.believes(asked) || !self.takes(&payload) {
            return (403, json!({"message": "hook-says-no"}));
        }
        let mut taken = self.taken.lock().unwrap();
        let new = format!("{payload}+");
        *taken = vec![payload, new.clone()];
        (200, json!({"payload": new}))
    }

    fn believes(&self, asked: &Asked) -> bool {
        let gateway = self.gateway.lock().unwrap();
        let Some((api, access_id)) = gateway.as_ref() else { return false };
        let question = json!({
            "creds": asked.header("AkeylessCreds"), "expected_access_id": access_id,
            "expected_item_name": SECRET,
        });
        asked.line == "POST /sync/rotate"
            && api.call("validate-producer-credentials", question).status == 200
    }

    fn takes(&self, payload: &str) -> bool {
        self.taken.lock().unwrap().iter().any(|taken| taken == payload)
    }
}

#[test]
fn what_a_webhook_makes_rotates() {
    let hook = Arc::<Hook>::default();
    let own = hook.clone();
    let stub = Stub::new(answering(move |asked: &Asked| own.answer(asked)));
    let scene = Scene::start(|gateway| {
        let trusted = gateway.write_secret("hook.pem", &stub.ca_pem);
        gateway.take_env("SSL_CERT_FILE", &trusted);
    });
    let gateway = (scene.cluster.nobody(), scene.identity.access_id.clone());
    *hook.gateway.lock().unwrap() = Some(gateway);
    scene.admin.ok("target-create-web", json!({"name": TARGET, "url": stub.url}));
    let wrong = json!({"custom-payload": "canary-first", "timeout-sec": 0});
    scene.is_not_made("custom", wrong, "canary-first");
    scene.make("custom", json!({"custom-payload": "canary-first"}));

    // A hook that does not take it changes nothing, and nothing of it is said.
    let refused = scene.admin.call("gateway-rotate-secret", json!({"name": SECRET}));
    assert!(!refused.is_success());
    for secret in ["canary-first", "hook-says-no"] {
        assert!(!refused.text().contains(secret), "{}", refused.text());
    }
    assert_eq!(scene.value(SECRET), json!({"payload": "canary-first"}));
    hook.taken.lock().unwrap().push("canary-first".to_owned());
    for times in 1..=2 {
        let new = scene.rotate(SECRET);
        assert_eq!(text(&new, "payload"), format!("canary-first{}", "+".repeat(times)));
        assert!(hook.takes(text(&new, "payload")));
    }
    assert!(!hook.takes("canary-first"));
    scene.end(3);
}

#[test]
fn access_keys_rotate() {
    let moto = Moto::start();
    let (id, key) = moto.access_key();
    let scene = Scene::start(|gateway| {
        for name in ["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"] {
            gateway.take_env(name, &moto.url);
        }
    });
    let target = json!({
        "name": TARGET, "access-key-id": id, "access-key": key, "region": "us-east-1",
    });
    scene.admin.ok("target-create-aws", target);
    let args = |key: &str| {
        let region = "us-east-1";
        json!({"rotator-type": "api-key", "api-id": id, "api-key": key, "aws-region": region})
    };
    scene.is_not_made("aws", args("canary-wrong"), "canary-wrong");
    // Nor one whose target could not sign in any more.
    let said = scene.is_not_made("aws", args(&key), &key);
    assert!(said.contains("rotator-type"), "{said}");
    assert!(moto.takes(&id, &key));
    scene.make("aws", json!({"rotator-type": "target", "aws-region": "us-east-1"}));
    let new = scene.rotate(SECRET);
    let shown = &new["target_value"];
    let (new_id, new_key) =
        (text(shown, "aws_access_key_id"), text(shown, "aws_secret_access_key"));
    assert!(moto.takes(new_id, new_key) && !moto.takes(&id, &key));
    // What was removed does not come back.
    let back = json!({"name": SECRET, "old-version": 1});
    let said = scene.admin.refused(400, "rollback-secret", back);
    assert!(said.contains("does not have that access key any more"), "{said}");
    assert_eq!(scene.value(SECRET), new);
    scene.end(2);
}
