//! People of a Kerberos realm, with a real KDC: the gateway opens their tickets with its keytab and
//! tells control who it was.

mod gateways;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::kit::kerberos::{Kdc, encoded};
use crate::kit::{Api, Server, Site, Slapd, finish, keysherd, next_second, records, wait_until};

/// The gateway as its clients call it.
const HOST: &str = "gw.example";
const SPN: &str = "HTTP/gw.example";
const REALM: &str = "EXAMPLE.TEST";

const ENTRIES: &str = "\
dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n\
dn: ou=people,dc=example\nobjectClass: organizationalUnit\nou: people\n\n\
dn: ou=groups,dc=example\nobjectClass: organizationalUnit\nou: groups\n\n\
dn: uid=alice,ou=people,dc=example\nobjectClass: inetOrgPerson\nuid: alice\n\
cn: Alice\nsn: A\nuserPassword: alice-password\n\n\
dn: cn=ops,ou=groups,dc=example\nobjectClass: groupOfNames\ncn: ops\n\
member: uid=alice,ou=people,dc=example\n\n\
dn: cn=a\\;b\\,c,ou=groups,dc=example\nobjectClass: groupOfNames\ncn: a;b,c\n\
member: uid=alice,ou=people,dc=example\n";

struct Setting {
    site: Site,
    server: Server,
    admin: Api,
    kdc: Kdc,
    keytab: String,
    access_id: String,
}

impl Setting {
    fn new() -> Self {
        let site = Site::new();
        let server = site.start();
        let admin = server.admin();
        let kdc = Kdc::start(REALM);
        kdc.add_person("alice");
        let keytab = encoded(&kdc.add_service(SPN));
        let access_id = made(&admin, json!({"name": "/krb/people", "keytab-file-data": keytab}));
        // Tokens that were made before the server started are refused as if they had been used.
        next_second();
        Self { site, server, admin, kdc, keytab, access_id }
    }

    fn login(&self, token: &str) -> Value {
        login(&self.access_id, token)
    }

    fn claims(&self, token: &str) -> Value {
        claims(&self.server.nobody(), self.login(token))
    }

    fn refused(&self, token: &str) {
        self.server.nobody().refused(401, "auth", self.login(token));
    }
}

/// Makes a method; gives its access id.
fn made(admin: &Api, args: Value) -> String {
    let made = admin.ok("auth-method-create-kerberos", args);
    assert!(made.get("prv_key").is_none(), "the private key stays at the gateway: {made}");
    made["access_id"].as_str().unwrap().to_owned()
}

fn login(access_id: &str, token: &str) -> Value {
    json!({"access-type": "kerberos", "access-id": access_id, "kerberos-token": token})
}

#[track_caller]
fn claims(nobody: &Api, login: Value) -> Value {
    let answer = nobody.ok("auth", login);
    let bearer = nobody.with_token(answer["token"].as_str().unwrap());
    bearer.ok("describe-sub-claims", json!({}))["sub_claims"].take()
}

#[test]
fn people_of_a_realm_sign_in_with_their_tickets() {
    let setting = Setting::new();
    let token = setting.kdc.token("alice", HOST);
    let claims = setting.claims(&token);
    assert_eq!(claims["principal"], json!(["alice@EXAMPLE.TEST"]), "{claims}");
    assert_eq!(claims["client_unique_id"], json!(["alice@EXAMPLE.TEST"]), "{claims}");
    assert_eq!(claims["realm"], json!([REALM]));
    assert_eq!(claims["username"], json!(["alice"]));
    // The same token counts once, and another one of the same ticket is another one.
    setting.refused(&token);
    let ticket = setting.kdc.sign_in("alice", "2m");
    let (one, other) = (ticket.token(HOST), ticket.token(HOST));
    setting.claims(&one);
    let before = SystemClock.now();
    let mut wanted = setting.login(&other);
    wanted["gateway-spn"] = SPN.into();
    let answer = setting.server.nobody().ok("auth", wanted);
    // No token outlives the ticket.
    let bearer = setting.server.nobody().with_token(answer["token"].as_str().unwrap());
    let valid = bearer.ok("validate-token", json!({}));
    let until: jiff::Timestamp = valid["expiration"].as_str().unwrap().parse().unwrap();
    let life = until.as_millisecond() - before.0;
    assert!((1..=120_000).contains(&life), "{valid}");
    // Shown is the key that verifies, and nothing of the keytab.
    let shown = setting.admin.ok("auth-method-get", json!({"name": "/krb/people"}));
    let rules = &shown["access_info"]["kerberos_access_rules"];
    assert_eq!(rules["unique_identifier"], "principal");
    let key = STANDARD.decode(rules["sign_public_key"].as_str().unwrap()).unwrap();
    assert!(key.starts_with(b"-----BEGIN PUBLIC KEY-----"));
    assert!(!shown.to_string().contains(&setting.keytab[..40]), "{shown}");
}

#[test]
fn the_command_line_takes_a_token_from_standard_input() {
    let setting = Setting::new();
    let mut command = keysherd(&setting.site.home());
    command.env("KEYSHERD_URL", &setting.server.bootstrap.url);
    command.env("KEYSHERD_CA_FILE", &setting.server.bootstrap.ca_file);
    command.args(["auth", "--access-type", "kerberos", "--access-id", &setting.access_id]);
    command.arg("--kerberos-token-stdin");
    let token = setting.kdc.token("alice", HOST);
    let signed_in = finish(&mut command, token.as_bytes()).expect(0);
    assert!(signed_in.out.contains("t-"), "{}", signed_in.out);
}

#[test]
fn t_kerberos_tokens_of_others_and_changed_ones() {
    let setting = Setting::new();
    setting.claims(&setting.kdc.token("alice", HOST));
    // For another service of the realm.
    setting.kdc.add_service("HTTP/other.example");
    setting.refused(&setting.kdc.token("alice", "other.example"));
    // Of another realm, and of another KDC that says it is this one.
    for realm in ["EVIL.TEST", REALM] {
        let other = Kdc::start(realm);
        other.add_person("alice");
        other.add_service(SPN);
        setting.refused(&other.token("alice", HOST));
    }
    // For the right service, but another one was meant.
    let mut wanted = setting.login(&setting.kdc.token("alice", HOST));
    wanted["gateway-spn"] = "HTTP/other.example".into();
    setting.server.nobody().refused(401, "auth", wanted);
    // Changed in its last third, where the sealed parts are.
    let token = STANDARD.decode(setting.kdc.token("alice", HOST)).unwrap();
    for part in [token.len() / 2, token.len() - 40, token.len() - 1] {
        let mut changed = token.clone();
        changed[part] ^= 1;
        setting.refused(&encoded(&changed));
    }
    setting.refused(&encoded(&token[..token.len() - 1]));
    // And after all that it is good once, as no failure used it up.
    setting.claims(&encoded(&token));
    // After its ticket is over.
    let late = setting.kdc.sign_in("alice", "15s").token(HOST);
    let over = SystemClock.now().plus_seconds(16);
    wait_until("the ticket to be over", || SystemClock.now() > over);
    setting.refused(&late);
}

#[test]
fn t_kerberos_other_methods_and_bad_arguments() {
    let setting = Setting::new();
    let nobody = setting.server.nobody();
    let token = setting.kdc.token("alice", HOST);
    // A method without this keytab, one of another kind, one that nobody made.
    let other_keys = encoded(&setting.kdc.add_service("HTTP/third.example"));
    let third = json!({"name": "/krb/third", "keytab-file-data": other_keys});
    let third = made(&setting.admin, third);
    let k8s = setting.admin.ok("auth-method-create-k8s", json!({"name": "/k8s"}));
    for id in [third.as_str(), k8s["access_id"].as_str().unwrap(), "p-aaaaaaaaaaaaaa"] {
        nobody.refused(401, "auth", login(id, &token));
    }
    // The same keytab at another method: a token that was used at one is used.
    let twin = json!({"name": "/krb/twin", "keytab-file-data": setting.keytab});
    let twin = made(&setting.admin, twin);
    setting.claims(&token);
    nobody.refused(401, "auth", login(&twin, &token));
    let fresh = setting.kdc.token("alice", HOST);
    nobody.ok("auth", login(&twin, &fresh));
    setting.refused(&fresh);
    for bad in ["?", "", &"A".repeat(90_000), "not base64 at all"] {
        nobody.refused(400, "auth", setting.login(bad));
    }
    // What is no token, in base64.
    for bad in ["YQ==", "YIIB", &"YAAA".repeat(1_000), "bgA="] {
        setting.refused(bad);
    }
    // Whoever hands out a keytab has given it away.
    for field in ["keytab-data", "krb5-conf-data", "kerberos-username"] {
        let mut given = setting.login(&setting.kdc.token("alice", HOST));
        given[field] = "x".into();
        let text = nobody.refused(400, "auth", given);
        assert!(text.contains(field) && text.contains("kerberos-token"), "{text}");
    }
    let recorded = records(&setting.site);
    let failed = recorded.iter().filter(|record| {
        record["access_id"] == setting.access_id.as_str() && record["status"] == 401
    });
    // Of several in a row the first is recorded by itself.
    assert!(failed.count() >= 1, "{recorded:#?}");
    assert!(!json!(recorded).to_string().contains(&token[..60]), "a token is in the audit log");
}

#[test]
fn t_kerberos_names_that_could_be_mistaken() {
    let setting = Setting::new();
    // As MIT's tools write the name "x@EXAMPLE.TEST" in one part.
    let odd = "x\\@EXAMPLE.TEST";
    setting.kdc.add_person(odd);
    setting.refused(&setting.kdc.token(odd, HOST));
    for (name, username) in [("alice/admin", "alice/admin"), ("alice,admin", "alice,admin")] {
        setting.kdc.add_person(name);
        let claims = setting.claims(&setting.kdc.token(name, HOST));
        assert_eq!(claims["username"], json!([username]), "{claims}");
        assert_eq!(claims["principal"], json!([format!("{username}@{REALM}")]), "{claims}");
    }
}

fn with_directory(setting: &Setting, directory: &Slapd) -> Value {
    json!({
        "name": "/krb/people", "ldap-url": directory.tls_url, "ldap-ca-cert": directory.ca_pem,
        "user-dn": "ou=people,dc=example", "group-dn": "ou=groups,dc=example",
        "bind-dn": "cn=root,dc=example", "bind-dn-password": "rootpw",
        "unique-identifier": "dn", "subclaims-delimiters": [";"],
        "keytab-file-data": setting.keytab,
    })
}

#[test]
fn groups_come_from_a_directory() {
    let setting = Setting::new();
    let directory = Slapd::with(ENTRIES);
    let args = with_directory(&setting, &directory);
    setting.admin.ok("auth-method-update-kerberos", args.clone());
    let claims = setting.claims(&setting.kdc.token("alice", HOST));
    // Cut at the delimiter, and not at the comma.
    assert_eq!(claims["groups"], json!(["a", "b,c", "ops"]), "{claims}");
    assert_eq!(claims["dn"], json!(["uid=alice,ou=people,dc=example"]));
    assert_eq!(claims["client_unique_id"], claims["dn"]);
    // Whom the directory does not know by that very name is not let in.
    for name in ["bob", "alice/admin", "*", "alice)(uid=*", " alice"] {
        setting.kdc.add_person(name);
        setting.refused(&setting.kdc.token(name, HOST));
    }
    // The searcher's password stays for this directory alone.
    let without = |change: &dyn Fn(&mut Value)| {
        let mut changed = args.clone();
        let map = changed.as_object_mut().unwrap();
        map.remove("bind-dn-password");
        map.remove("keytab-file-data");
        change(&mut changed);
        changed
    };
    setting.admin.ok("auth-method-update-kerberos", without(&|_| {}));
    setting.claims(&setting.kdc.token("alice", HOST));
    let elsewhere = without(&|args| args["ldap-url"] = "ldaps://127.0.0.1:1".into());
    let text = setting.admin.refused(400, "auth-method-update-kerberos", elsewhere.clone());
    assert!(text.contains("bind-dn-password"), "{text}");
    let nameless = without(&|args| drop(args.as_object_mut().unwrap().remove("bind-dn")));
    setting.admin.refused(400, "auth-method-update-kerberos", nameless);
    let mut anonymous = without(&|args| args["ldap-anonymous-search"] = true.into());
    setting.admin.refused(400, "auth-method-update-kerberos", anonymous.clone());
    anonymous.as_object_mut().unwrap().remove("bind-dn");
    setting.admin.ok("auth-method-update-kerberos", anonymous);
    setting.claims(&setting.kdc.token("alice", HOST));
    // A directory that does not answer is no refusal.
    let mut away = elsewhere;
    away["bind-dn-password"] = "x".into();
    setting.admin.ok("auth-method-update-kerberos", away);
    let login = setting.login(&setting.kdc.token("alice", HOST));
    setting.server.nobody().refused(503, "auth", login);
    let update = json!({"name": "/krb/people"});
    setting.admin.ok("auth-method-update-kerberos", update);
    assert!(setting.claims(&setting.kdc.token("alice", HOST)).get("groups").is_none());
}

/// The same keytab with room where an entry was.
fn with_hole(keytab: &str, bytes: usize) -> String {
    let mut keytab = STANDARD.decode(keytab).unwrap();
    keytab.extend((-i32::try_from(bytes).unwrap()).to_be_bytes());
    keytab.resize(keytab.len() + bytes, 0);
    encoded(&keytab)
}

#[test]
fn methods_without_what_they_need_are_not_made() {
    let setting = Setting::new();
    let create = |more: Value| {
        let mut args = json!({"name": "/krb/bad", "keytab-file-data": setting.keytab});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        setting.admin.refused(400, "auth-method-create-kerberos", args)
    };
    for (more, told) in [
        (json!({"keytab-file-data": ""}), "keytab-file-data"),
        (json!({"keytab-file-data": "BQI="}), "keytab-file-data"),
        (json!({"keytab-file-data": "/etc/krb5.keytab"}), "keytab-file-data"),
        (json!({"keytab-file-path": "/etc/krb5.keytab"}), "keytab-file-path"),
        (json!({"krb5-conf-path": "/etc/krb5.conf"}), "krb5-conf-path"),
        (json!({"krb5-conf-data": "nothing"}), "krb5-conf-data"),
        (json!({"krb5-conf-data": "[libdefaults]\ndefault_realm = OTHER"}), "OTHER"),
        (json!({"user-dn": "ou=people"}), "ldap-url"),
        (
            json!({"ldap-url": "http://x", "user-dn": "x", "ldap-anonymous-search": true}),
            "ldap-url",
        ),
    ] {
        let text = create(more.clone());
        assert!(text.contains(told), "{more}: {text}");
    }
    // What this gateway cannot keep is not there at control either.
    let directory = Slapd::with(ENTRIES);
    let mut long = with_directory(&setting, &directory);
    long["ldap-ca-cert"] = directory.ca_pem.repeat(38_000 / directory.ca_pem.len()).into();
    long["name"] = "/krb/bad".into();
    long["keytab-file-data"] = with_hole(&setting.keytab, 18_000).into();
    let text = create(long);
    assert!(text.contains("longer than"), "{text}");
    setting.admin.refused(404, "auth-method-get", json!({"name": "/krb/bad"}));
    // Of the realm that krb5.conf names.
    let args = json!({
        "name": "/krb/people", "krb5-conf-data": "[libdefaults]\n default_realm = EXAMPLE.TEST\n",
    });
    setting.admin.ok("auth-method-update-kerberos", args);
    setting.claims(&setting.kdc.token("alice", HOST));
    // For administrators alone, whatever they may do with auth methods.
    let rights = [("auth-method-rule", "/*", "create,read,update,delete,list")];
    let person = setting.admin.person_who_may("/people/maker", &rights);
    let args = json!({"name": "/krb/theirs", "keytab-file-data": setting.keytab});
    person.api.refused(401, "auth-method-create-kerberos", args);
    person.api.refused(401, "auth-method-update-kerberos", json!({"name": "/krb/people"}));
    let refused = records(&setting.site).into_iter().filter(|record| {
        record["action"] == "auth_method_create_kerberos"
            && record["access_id"] == person.access_id.as_str()
    });
    assert_eq!(refused.count(), 1);
}
