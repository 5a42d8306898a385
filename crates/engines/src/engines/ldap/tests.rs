//! Entries in a real OpenLDAP: made, signed in with, in their group, and removed.

mod active_directory;
mod places;
mod samba;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keysherd_base::{Clock as _, FaultKind, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_targets::by_name as target_by_name;
use tempfile::TempDir;

pub(crate) use self::samba::{Domain, USERS, domain};
use super::*;
use crate::testing::{Caller, free_port, kept, settings, target_of, way};
use crate::{NOT_REACHED, Way};

const ADMIN: &str = "admin-password";
/// Who may write entries, and no group.
const MAKER: &str = "cn=maker,ou=people,dc=example";
const HOSTILE_GROUP: &str = r"cn=a\2Cb\2B\22c\5C*\28,dc=example";
const ENTRIES: &str = "\
dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\no: x\n
dn: ou=temporary,dc=example\nobjectClass: organizationalUnit\n
dn: cn=alice,dc=example\nobjectClass: inetOrgPerson\nsn: a\nuid: alice\n
dn: cn=dbas,dc=example\nobjectClass: groupOfNames\nmember: cn=root,dc=example\n
dn: ou=people,dc=example\nobjectClass: organizationalUnit\n
dn: ou=fixed,ou=people,dc=example\nobjectClass: organizationalUnit\n
dn: cn=alone,dc=example\nobjectClass: groupOfUniqueNames\nuniqueMember: cn=x,dc=example\n
dn: cn=unix,dc=example\nobjectClass: posixGroup\ngidNumber: 7\n
dn: cn=a\\2Cb\\2B\\22c\\5C*\\28,dc=example\nobjectClass: groupOfNames\nmember: cn=root,dc=example\n
";

/// What Active Directory keeps passwords in, for entries that have it here.
const WINDOWS: &str = "\
attributetype ( 1.2.840.113556.1.4.90 NAME 'unicodePwd' EQUALITY octetStringMatch \
SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )\n\
objectclass ( 1.3.6.1.4.1.4203.666.1.1 NAME 'windowsPerson' AUXILIARY MAY unicodePwd )\n";

/// A running directory. It ends with the process that started it, however that ends.
pub(crate) struct Running {
    plain: String,
    tls: String,
    authority: String,
    _keeper: Child,
}

pub(crate) fn shared() -> &'static Running {
    static SHARED: OnceLock<Running> = OnceLock::new();
    SHARED.get_or_init(Running::start)
}

impl Running {
    fn start() -> Self {
        let dir = TempDir::with_prefix("keysherd-slapd-").unwrap().keep();
        let file = |name: &str| dir.join(name).display().to_string();
        let rng = way().rng;
        let now = SystemClock.now();
        let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(86_400));
        let ca = LocalCa::create("a directory's authority", begin, end, rng.as_ref()).unwrap();
        let names = ["127.0.0.1".to_owned()];
        let issued = ca.issue_server(&names, begin, end, rng.as_ref()).unwrap();
        fs::write(file("ca.pem"), ca.cert_pem()).unwrap();
        fs::write(file("cert.pem"), &issued.cert_pem).unwrap();
        fs::write(file("key.pem"), issued.key_pem.expose()).unwrap();
        fs::create_dir(file("data")).unwrap();
        let at = dir.display();
        let schema = |name: &str| format!("include /etc/ldap/schema/{name}.schema\n");
        let config = ["core", "cosine", "nis", "inetorgperson"].map(schema).concat()
            + WINDOWS
            + &format!(
                "modulepath /usr/lib/ldap\nmoduleload back_mdb\n\
                 TLSCACertificateFile {at}/ca.pem\nTLSCertificateFile {at}/cert.pem\n\
                 TLSCertificateKeyFile {at}/key.pem\n\
                 database mdb\nsuffix dc=example\nrootdn cn=root,dc=example\nrootpw {ADMIN}\n\
                 directory {at}/data\n\
                 access to dn.subtree=\"ou=fixed,ou=people,dc=example\" attrs=userPassword \
                 by * auth\n\
                 access to attrs=userPassword,unicodePwd by self =xw by * auth\n\
                 access to dn.subtree=\"ou=temporary,dc=example\" \
                 by dn.exact=\"{MAKER}\" write by * read\n\
                 access to * by * read\n"
            );
        fs::write(file("slapd.conf"), config).unwrap();
        fs::write(file("entries.ldif"), ENTRIES).unwrap();
        let mut add = Command::new("/usr/sbin/slapadd");
        let added = add.args(["-f", &file("slapd.conf"), "-l", &file("entries.ldif")]).output();
        let added = added.expect("OpenLDAP is missing; on Debian: apt-get install slapd");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let plain = format!("ldap://127.0.0.1:{}", free_port());
        let tls = format!("ldaps://127.0.0.1:{}", free_port());
        let mut keeper = kept(&dir, ":", "/usr/sbin/slapd");
        keeper.args(["-f", &file("slapd.conf"), "-d", "0", "-h", &format!("{plain} {tls}")]);
        let keeper = keeper.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let authority = ca.cert_pem().to_owned();
        let running = Self { plain, tls, authority, _keeper: keeper };
        let until = Instant::now() + Duration::from_secs(300);
        let place = running.tls.trim_start_matches("ldaps://");
        while std::net::TcpStream::connect(place).is_err() {
            assert!(Instant::now() < until, "the directory does not come up");
            std::thread::yield_now();
        }
        running
    }

    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let plain = [
            ("ldap-url", self.tls.as_str()),
            ("ldap-ca-cert", self.authority.as_str()),
            ("bind-dn", "cn=root,dc=example"),
            ("bind-dn-password", ADMIN),
        ];
        target_of("ldap", &plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    pub(crate) async fn signs_in(&self, dn: &str, password: &str) -> bool {
        let as_user = self.target(&[("bind-dn", dn), ("bind-dn-password", password)]);
        target_by_name("ldap").unwrap().probe(&as_user, &way()).await.is_ok()
    }

    /// Makes somebody.
    pub(crate) async fn person(&self, dn: &str, more: &[(&str, &[u8])], password: &str) {
        let directory = ldap_directory(&self.target(&[])).unwrap();
        let mut session = directory.connect(&way()).await.unwrap();
        let classes: &[&[u8]] = &[b"top", b"inetOrgPerson", b"windowsPerson"];
        let mut attributes = vec![("objectClass", classes.to_vec()), ("sn", vec![b"x".as_slice()])];
        attributes.extend(more.iter().map(|(name, value)| (*name, vec![*value])));
        session.add(dn, &attributes, &[]).await.unwrap();
        session.set_password(dn, &SecretString::new(password.to_owned())).await.unwrap();
    }

    pub(crate) async fn read(&self, dn: &str, attribute: &str) -> Option<Vec<String>> {
        let directory = ldap_directory(&self.target(&[])).unwrap();
        let mut session = directory.connect(&way()).await.unwrap();
        session.read(dn, attribute).await.unwrap()
    }
}

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)]) -> Self {
        let plain = [("user-dn", "ou=temporary,dc=example")];
        let given: Vec<_> = plain.iter().chain(given).copied().collect();
        Self { settings: settings(&Ldap, &given), target: shared().target(&[]), way: way() }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "ldap", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        Ldap.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        Ldap.check(&self.settings, self.scene().target.as_ref())
    }
}

fn password_of(created: &Created) -> String {
    created.value["password"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_signs_in_and_is_in_its_group_until_it_is_removed() {
    let directory = shared();
    for (attribute, group, members) in [
        ("cn", "cn=dbas,dc=example", "member"),
        ("uid", "cn=alone,dc=example", "uniqueMember"),
        ("uid", "cn=unix,dc=example", "memberUid"),
        ("cn", HOSTILE_GROUP, "member"),
    ] {
        let stage = Stage::new(&[("user-attribute", attribute), ("group-dn", group)]);
        assert!(stage.check().unwrap().is_empty());
        let (plan, other) = (stage.plan(), stage.plan());
        let made = Ldap.create(&stage.scene(), &plan).await.unwrap();
        let kept = Ldap.create(&stage.scene(), &other).await.unwrap();
        let dn = |plan: &Plan| format!("{attribute}={},ou=temporary,dc=example", plan.handle);
        assert_eq!(made.value["user"], plan.handle.as_str());
        assert!(directory.signs_in(&dn(&plan), &password_of(&made)).await);
        assert!(!directory.signs_in(&dn(&plan), "wrong").await);
        // The directory keeps it as it keeps passwords, and the entry may not make others.
        let stored = directory.read(&dn(&plan), "userPassword").await.unwrap();
        assert!(stored.iter().all(|hash| hash.starts_with("{SSHA}")), "{stored:?}");
        let value = if members == "memberUid" { plan.handle.clone() } else { dn(&plan) };
        let there = directory.read(group, members).await.unwrap();
        assert!(there.contains(&value), "{there:?}");
        for _ in 0..2 {
            let warned = Ldap.revoke(&stage.scene(), &plan.handle).await.unwrap();
            assert_eq!(warned, Vec::<String>::new());
        }
        assert!(!directory.signs_in(&dn(&plan), &password_of(&made)).await);
        assert_eq!(directory.read(&dn(&plan), "cn").await, None);
        assert!(!directory.read(group, members).await.unwrap().contains(&value));
        assert!(directory.signs_in(&dn(&other), &password_of(&kept)).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nobody_behind() {
    let directory = shared();
    for (more, kind, said) in [
        (("group-dn", "cn=none,dc=example"), FaultKind::BadRequest, "no such group"),
        (("group-dn", "ou=temporary,dc=example"), FaultKind::BadRequest, "with 65"),
        (("user-dn", "ou=none,dc=example"), FaultKind::BadRequest, "with 32"),
        (("user-dn", "not=a,,name"), FaultKind::BadRequest, "with 34"),
    ] {
        let stage = Stage::new(&[more]);
        let plan = stage.plan();
        let fault = Ldap.create(&stage.scene(), &plan).await.err().unwrap();
        assert_eq!(fault.kind(), kind, "{fault}");
        assert!(fault.public().contains(said), "{fault}");
        assert!(!format!("{fault:?}").contains(plan.password.expose().as_str()));
        let dn = format!("cn={},ou=temporary,dc=example", plan.handle);
        assert_eq!(directory.read(&dn, "cn").await, None);
    }
    // Somebody who may not make entries.
    let able = Stage::new(&[]);
    let poor = able.plan();
    let made = Ldap.create(&able.scene(), &poor).await.unwrap();
    let dn = format!("cn={},ou=temporary,dc=example", poor.handle);
    let as_poor = [("bind-dn", dn.as_str()), ("bind-dn-password", &password_of(&made))];
    let stage = Stage { target: directory.target(&as_poor), ..Stage::new(&[]) };
    let fault = Ldap.create(&stage.scene(), &stage.plan()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    for handle in ["", "alice", "alice,dc=example", "x\n.aaaaaaaaaaaaaaaa"] {
        assert!(Ldap.revoke(&able.scene(), handle).await.is_err(), "{handle}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_goes_whatever_its_group_says() {
    let directory = shared();
    directory.person(MAKER, &[], "Maker-password-1").await;
    let as_maker = [("bind-dn", MAKER), ("bind-dn-password", "Maker-password-1")];
    let group = [("group-dn", "cn=dbas,dc=example")];
    let able = Stage::new(&group);
    let poor = Stage { target: directory.target(&as_maker), ..Stage::new(&group) };
    let plan = able.plan();
    let made = Ldap.create(&able.scene(), &plan).await.unwrap();
    let dn = format!("cn={},ou=temporary,dc=example", plan.handle);
    assert!(directory.signs_in(&dn, &password_of(&made)).await);
    let fault = Ldap.revoke(&poor.scene(), &plan.handle).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    assert!(fault.public().contains("the group"), "{fault}");
    assert_eq!(directory.read(&dn, "cn").await, None);
    // The next try has the group before it only.
    let members = async || directory.read("cn=dbas,dc=example", "member").await.unwrap();
    assert!(members().await.contains(&dn));
    assert!(Ldap.revoke(&able.scene(), &plan.handle).await.unwrap().is_empty());
    assert!(!members().await.contains(&dn));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_have_an_entry_are_in_the_group_for_a_while() {
    let directory = shared();
    let given = [
        ("user-dn", "dc=example"),
        ("user-attribute", "uid"),
        ("external-username", "true"),
        ("group-dn", "cn=dbas,dc=example"),
    ];
    let stage = Stage::new(&given);
    let plan = |claims: &[(&str, &str)]| Ldap.plan(&stage.scene(), &Caller::with(claims).wish());
    let alice = plan(&[("ext_username", "alice")]).unwrap();
    let made = Ldap.create(&stage.scene(), &alice).await.unwrap();
    assert_eq!(made.value["user"], "alice");
    assert!(!made.value.contains_key("password"));
    let members = async || directory.read("cn=dbas,dc=example", "member").await.unwrap();
    let dn = "cn=alice,dc=example".to_owned();
    assert!(members().await.contains(&dn));
    for _ in 0..2 {
        Ldap.revoke(&stage.scene(), &alice.handle).await.unwrap();
        assert!(!members().await.contains(&dn));
    }
    assert_eq!(directory.read(&dn, "uid").await, Some(vec!["alice".to_owned()]));
    // Names that are more than a name, and people whom the directory does not know.
    for hostile in ["*", "alice)(uid=*", "alice,dc=example", "al\nice", "\u{e4}lice", "", "a\0"] {
        let fault = plan(&[("ext_username", hostile)]).err().unwrap();
        assert!(fault.public().contains("ext_username"), "{hostile}: {fault}");
    }
    assert!(plan(&[]).err().unwrap().public().contains("does not have"));
    let nobody = plan(&[("ext_username", "nobody")]).unwrap();
    let fault = Ldap.create(&stage.scene(), &nobody).await.err().unwrap();
    assert!(fault.public().contains("no entry"), "{fault}");
    assert_eq!(fault.code(), NOT_REACHED);
    let without = Stage::new(&given[..3]);
    assert!(without.check().unwrap_err().public().contains("group-dn"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_reached_by_tls_whose_certificate_is_checked() {
    let directory = shared();
    let ldap = target_by_name("ldap").unwrap();
    let probe =
        async |more: &[(&'static str, &str)]| ldap.probe(&directory.target(more), &way()).await;
    probe(&[]).await.unwrap();
    // StartTLS, and without encryption on this very machine.
    probe(&[("ldap-url", directory.plain.as_str())]).await.unwrap();
    probe(&[("ldap-url", directory.plain.as_str()), ("ldap-ca-cert", "")]).await.unwrap();
    let now = SystemClock.now();
    let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(3_600));
    let other = LocalCa::create("another", begin, end, way().rng.as_ref()).unwrap();
    for url in [&directory.tls, &directory.plain] {
        let wrong = [("ldap-url", url.as_str()), ("ldap-ca-cert", other.cert_pem())];
        let fault = probe(&wrong).await.unwrap_err();
        assert!(fault.public().contains("ldap-ca-cert"), "{fault}");
    }
    let fault = probe(&[("bind-dn-password", "canary-wrong")]).await.unwrap_err();
    assert!(fault.public().contains("49") && !format!("{fault:?}").contains("canary"), "{fault:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (field, value) in [
        ("user-dn", "nowhere"),
        ("user-dn", "ou=a\nb"),
        ("group-dn", "dbas"),
        ("user-attribute", "cn=*)(x"),
        ("external-username", "maybe"),
        ("custom-username-template", "{{"),
    ] {
        let stage = Stage::new(&[(field, value)]);
        let fault = stage.check().unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let ldap = target_by_name("ldap").unwrap();
    for (field, value) in [
        ("ldap-url", "https://directory.example"),
        ("ldap-url", "ldapi:///var/run/ldapi"),
        ("ldap-url", "ldaps://a:b@directory.example"),
        ("ldap-url", "ldaps://directory.example/dc=x?uid"),
        ("ldap-ca-cert", "no certificate"),
        ("server-type", "Novell"),
        ("bind-dn", "a\nb"),
    ] {
        let fault = ldap.check(&shared().target(&[(field, value)])).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
}

#[test]
fn active_directory_has_its_own_way_with_names_and_passwords() {
    assert_eq!(windows_password("aB1").expose(), b"\"\0a\0B\x001\0\"\0");
    assert_eq!(domain_of("ou=x, dc=corp,DC=Example"), "corp.Example");
    let target = shared().target(&[("server-type", "activedirectory")]);
    let stage = Stage { target, ..Stage::new(&[]) };
    let plan = stage.plan();
    assert!(plan.handle.len() <= WINDOWS_NAME_BYTES_MAX, "{}", plan.handle);
    assert!(crate::is_handle(&plan.handle));
}
