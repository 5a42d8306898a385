//! People of a directory, a real OpenLDAP: the gateway binds as them and tells control who it was.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::mounts::not_tested;
use crate::kit::samba::{ADMIN, Samba, USERS};
use crate::kit::{Api, Server, Site, Slapd};

const ENTRIES: &str = "\
dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n\
dn: ou=people,dc=example\nobjectClass: organizationalUnit\nou: people\n\n\
dn: ou=groups,dc=example\nobjectClass: organizationalUnit\nou: groups\n\n\
dn: uid=alice,ou=people,dc=example\nobjectClass: inetOrgPerson\nuid: alice\nuid: al\n\
cn: Alice\nsn: A\nuserPassword: alice-password\n\n\
dn: uid=bob,ou=people,dc=example\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: B\n\
userPassword: bob-password\n\n\
dn: cn=ops,ou=groups,dc=example\nobjectClass: groupOfNames\ncn: ops\n\
member: uid=alice,ou=people,dc=example\n";

struct Setting {
    site: Site,
    server: Server,
    admin: Api,
    directory: Slapd,
    access_id: String,
    signing_key: String,
}

impl Setting {
    fn new() -> Self {
        let site = Site::new();
        let server = site.start();
        let admin = server.admin();
        let directory = Slapd::with(ENTRIES);
        let made = admin.ok("auth-method-create-ldap", json!({"name": "/ldap/people"}));
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (access_id, signing_key) = (text("access_id"), text("prv_key"));
        let setting = Self { site, server, admin, directory, access_id, signing_key };
        setting.configure(&setting.directory.tls_url);
        setting
    }

    fn config(&self, url: &str) -> Value {
        json!({
            "access-id": self.access_id, "signing-key-data": self.signing_key, "ldap-url": url,
            "ldap-ca-cert": self.directory.ca_pem, "user-dn": "ou=people,dc=example",
            "bind-dn": "cn=root,dc=example", "bind-dn-password": "rootpw",
            "group-dn": "ou=groups,dc=example",
        })
    }

    fn configure(&self, url: &str) {
        self.admin.ok("gateway-update-ldap-auth-config", self.config(url));
    }

    fn login(&self, name: &str, password: &str) -> Value {
        json!({
            "access-type": "ldap", "access-id": self.access_id, "username": name,
            "ldap-password": password,
        })
    }

    #[track_caller]
    fn claims(&self, name: &str, password: &str) -> Value {
        let answer = self.server.nobody().ok("auth", self.login(name, password));
        let bearer = self.server.nobody().with_token(answer["token"].as_str().unwrap());
        bearer.ok("describe-sub-claims", json!({}))["sub_claims"].take()
    }
}

#[test]
fn people_sign_in_with_the_name_and_groups_of_the_directory() {
    let setting = Setting::new();
    for url in [&setting.directory.tls_url, &setting.directory.plain_url] {
        setting.configure(url);
        // All spellings and aliases are one person.
        for name in ["alice", "ALICE", "al", " Al "] {
            let claims = setting.claims(name, "alice-password");
            assert_eq!(claims["users"], json!(["al"]), "{claims}");
            assert_eq!(claims["client_unique_id"], json!(["al"]), "{claims}");
            assert_eq!(claims["groups"], json!(["ops"]), "{claims}");
            assert_eq!(claims["dn"], json!(["uid=alice,ou=people,dc=example"]));
        }
        assert!(setting.claims("bob", "bob-password").get("groups").is_none());
    }
    let shown = setting.admin.ok("gateway-get-ldap-auth-config", json!({}));
    assert_eq!(shown["ldap_user_dn"], "ou=people,dc=example");
    let text = shown.to_string();
    assert!(!text.contains("rootpw") && !text.contains("PRIVATE"), "{text}");
    // A name that is put into the distinguished name needs no search.
    let mut config = setting.config(&setting.directory.tls_url);
    config["user-dn"] = "uid={{.Username}},ou=people,dc=example".into();
    setting.admin.ok("gateway-update-ldap-auth-config", config);
    assert_eq!(setting.claims("Bob", "bob-password")["users"], json!(["bob"]));
    let injected = setting.login("bob,ou=people,dc=example", "bob-password");
    setting.server.nobody().refused(401, "auth", injected);
}

#[test]
fn wrong_passwords_empty_ones_and_injections_are_refused() {
    let setting = Setting::new();
    setting.claims("bob", "bob-password");
    for (name, password) in [
        ("alice", "wrong"),
        ("alice", "bob-password"),
        ("nobody", "alice-password"),
        ("*", "alice-password"),
        ("al*", "alice-password"),
        ("alice)(uid=*", "alice-password"),
        ("*)(|(uid=*", "alice-password"),
        ("alice\\", "alice-password"),
        ("uid=alice,ou=people,dc=example", "alice-password"),
        ("alice\u{0}", "alice-password"),
        ("", "alice-password"),
    ] {
        let reply = setting.server.nobody().call("auth", setting.login(name, password));
        assert!(matches!(reply.status, 400 | 401), "{name:?}: {} {}", reply.status, reply.text());
    }
    // With an empty password a directory takes everybody for nobody, and says yes.
    for password in ["", "\u{0}"] {
        let reply = setting.server.nobody().call("auth", setting.login("alice", password));
        assert!(matches!(reply.status, 400 | 401), "{password:?}: {}", reply.text());
    }
    // Another authority's certificate, and a directory that is not there.
    let mut config = setting.config(&setting.directory.tls_url);
    let other = Slapd::with(ENTRIES);
    config["ldap-ca-cert"] = other.ca_pem.as_str().into();
    setting.admin.ok("gateway-update-ldap-auth-config", config);
    let login = setting.login("bob", "bob-password");
    setting.server.nobody().refused(503, "auth", login.clone());
    setting.configure("ldaps://127.0.0.1:1");
    setting.server.nobody().refused(503, "auth", login.clone());
    setting.admin.ok("gateway-update-ldap-auth-config", json!({"ldap-enable": "false"}));
    setting.server.nobody().refused(401, "auth", login);
}

/// Who chooses the directory chooses who people are: that takes the key that signs for them.
#[test]
fn another_directory_takes_the_signing_key_again() {
    let setting = Setting::new();
    let mine = Slapd::with(&ENTRIES.replace("bob-password", "a-password-of-mine"));
    let update = |args: Value| setting.admin.call("gateway-update-ldap-auth-config", args);
    let other = setting.admin.ok("auth-method-create-ldap", json!({"name": "/ldap/other"}));
    for (what, args) in [
        ("place", json!({"ldap-url": mine.tls_url, "ldap-ca-cert": mine.ca_pem})),
        ("authority", json!({"ldap-ca-cert": mine.ca_pem})),
        ("people", json!({"user-dn": "ou=groups,dc=example"})),
        ("names", json!({"user-attribute": "sn"})),
        ("groups", json!({"group-filter": "(cn=*)"})),
        ("method", json!({"access-id": other["access_id"]})),
    ] {
        let mut args = args;
        args["bind-dn-password"] = "rootpw".into();
        let reply = update(args);
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        assert!(reply.text().contains("signing-key-data"), "{what}: {}", reply.text());
    }
    let impostor = setting.login("bob", "a-password-of-mine");
    setting.server.nobody().refused(401, "auth", impostor.clone());
    assert_eq!(setting.claims("bob", "bob-password")["users"], json!(["bob"]));
    // What says nothing of people needs no key; with it, everything can change.
    for args in [json!({"ldap-enable": "true"}), json!({"bind-dn-password": "rootpw"})] {
        assert_eq!(update(args).status, 201);
    }
    let mut config = setting.config(&mine.tls_url);
    config["ldap-ca-cert"] = mine.ca_pem.as_str().into();
    assert_eq!(update(config).status, 201);
    setting.server.nobody().ok("auth", impostor);
}

#[test]
fn guesses_at_a_person_are_counted_whatever_they_are_called() {
    let setting = Setting::new();
    let nobody = setting.server.nobody();
    for name in ["alice", "ALICE", "al", " al ", "alice"] {
        nobody.refused(401, "auth", setting.login(name, "a-wrong-password"));
    }
    // Not even the right password is tried, under no name of hers.
    for name in ["alice", "AL", "Alice", "al"] {
        let reply = nobody.call("auth", setting.login(name, "alice-password"));
        assert_eq!(reply.status, 429, "{name}: {}", reply.text());
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    assert_eq!(setting.claims("bob", "bob-password")["users"], json!(["bob"]));
    // A name that nobody has is locked just so.
    for _ in 0..5 {
        nobody.refused(401, "auth", setting.login("nobody", "a-wrong-password"));
    }
    nobody.refused(429, "auth", setting.login("Nobody", "a-wrong-password"));
    // A directory that is away locks nobody.
    setting.configure("ldaps://127.0.0.1:1");
    for _ in 0..7 {
        nobody.refused(503, "auth", setting.login("carol", "a-wrong-password"));
    }
    setting.configure(&setting.directory.tls_url);
    nobody.refused(401, "auth", setting.login("carol", "a-wrong-password"));

    let args = json!({"access-id": setting.access_id, "status": "failed", "limit": 1000});
    let found = setting.admin.ok("audit-search", args)["records"].take();
    let found = found.as_array().unwrap();
    let refused = found.iter().find(|record| record["status"] == 401).unwrap();
    assert_eq!(refused["action"], "authenticate", "{refused}");
    assert_eq!(refused["access_type"], "ldap", "{refused}");
    assert_eq!(refused["remote_addr"], "127.0.0.1", "{refused}");
    assert!(found.iter().any(|record| record["status"] == 429), "{found:#?}");
    let args = json!({"access-id": setting.access_id, "action": "login_locked"});
    let locked = setting.admin.ok("audit-search", args)["records"].take();
    assert_eq!(locked.as_array().unwrap().len(), 2, "{locked}");
    let users: Vec<_> = locked.as_array().unwrap().iter().map(user_of).collect();
    assert_eq!(users, ["nobody", "al"], "newest first");
    let log = setting.admin.ok("audit-search", json!({"limit": 1000})).to_string();
    assert!(log.contains("login_locked") && !log.contains("a-wrong-password"), "{log}");
    assert!(!log.contains("alice-password"));
}

#[test]
fn guesses_at_one_time_are_no_more_than_guesses_in_a_row() {
    let setting = Setting::new();
    let guess = || {
        let login = setting.login("alice", "a-wrong-password");
        setting.server.nobody().call("auth", login).status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..25).map(|_| scope.spawn(guess)).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let tried = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(tried, 5, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    setting.server.nobody().refused(429, "auth", setting.login("alice", "alice-password"));
}

/// Makes people and groups there. What is left of an account that is off, or must change its
/// password, is their password.
fn populate(domain: &Samba, site: &Site) {
    let quoted: Vec<u8> =
        "\"Right-password-1\"".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let password = STANDARD.encode(quoted);
    let person = |name: &str, more: &str| {
        format!(
            "dn: cn=The {name},{USERS}\nobjectClass: user\nsAMAccountName: {name}\n\
             userPrincipalName: {name}@corp.example\nunicodePwd:: {password}\n\
             userAccountControl: 512\n{more}\n"
        )
    };
    let change = |name: &str, what: &str| {
        let of = format!("dn: cn=The {name},{USERS}\nchangetype: modify\n");
        let (attribute, _) = what.split_once(':').unwrap();
        format!("{of}replace: {attribute}\n{what}\n\n")
    };
    let entries = person("Alice", "")
        + &person("off", "")
        + &person("must", "")
        + &person("over", "accountExpires: 116444736000000000\n")
        + &format!("dn: cn=ops,{USERS}\nobjectClass: group\nmember: cn=The Alice,{USERS}\n\n")
        + &format!("dn: cn=others,{USERS}\nobjectClass: group\nmember: cn=The off,{USERS}\n\n")
        + &change("off", "userAccountControl: 514")
        + &change("must", "pwdLastSet: 0");
    fs::write(site.path("entries.ldif"), entries).unwrap();
    fs::write(site.path("domain.pem"), &domain.authority).unwrap();
    let mut add = Command::new("ldapmodify");
    add.args(["-a", "-x", "-D", ADMIN.0, "-w", ADMIN.1, "-H"]);
    add.arg(format!("ldaps://{}", domain.address)).arg("-f").arg(site.path("entries.ldif"));
    let added = add.env("LDAPTLS_CACERT", site.path("domain.pem")).output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
}

#[test]
fn people_of_an_active_directory_sign_in() {
    let setting = Setting::new();
    let domain = match Samba::start() {
        Ok(domain) => domain,
        Err(why) => return not_tested(why),
    };
    populate(&domain, &setting.site);
    let config = |scheme: &str, more: Value| {
        let mut config = setting.config(&format!("{scheme}://{}", domain.address));
        let own = json!({
            "ldap-ca-cert": domain.authority, "bind-dn": ADMIN.0, "bind-dn-password": ADMIN.1,
            "user-dn": "dc=corp,dc=example", "user-attribute": "sAMAccountName",
            "group-dn": "dc=corp,dc=example",
        });
        for (name, value) in own.as_object().unwrap().iter().chain(more.as_object().unwrap()) {
            config[name] = value.clone();
        }
        setting.admin.ok("gateway-update-ldap-auth-config", config);
    };
    for scheme in ["ldaps", "ldap"] {
        config(scheme, json!({}));
        for name in ["Alice", "alice", " ALICE "] {
            let claims = setting.claims(name, "Right-password-1");
            assert_eq!(claims["users"], json!(["alice"]), "{claims}");
            assert_eq!(claims["groups"], json!(["ops"]), "{claims}");
            let dn = claims["dn"][0].as_str().unwrap().to_lowercase();
            assert_eq!(dn, format!("cn=the alice,{USERS}").to_lowercase());
        }
    }
    for (name, password) in [
        ("alice", "wrong"),
        ("off", "Right-password-1"),
        ("over", "Right-password-1"),
        ("must", "Right-password-1"),
        ("ali*", "Right-password-1"),
    ] {
        setting.server.nobody().refused(401, "auth", setting.login(name, password));
    }
    // By the whole name.
    config("ldaps", json!({"user-attribute": "userPrincipalName"}));
    let claims = setting.claims("Alice@corp.example", "Right-password-1");
    assert_eq!(claims["users"], json!(["alice@corp.example"]), "{claims}");
    assert_eq!(claims["groups"], json!(["ops"]), "{claims}");
}

fn user_of(record: &Value) -> &str {
    record["request_parameters"]["user"].as_str().unwrap()
}
