//! Samba as the domain controller of an Active Directory, with its directory only. It listens at
//! the ports of LDAP and no others, on an address of this machine's own that nobody else has.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_targets::ldap::Session;
use keysherd_targets::{by_name as target_by_name, ldap_directory};
use keysherd_wire::Settings;
use tempfile::TempDir;

use super::super::windows_password;
use crate::testing::{kept, not_tested, target_of, way};

const SAMBA: &str = "/usr/sbin/samba";
const ADMIN: &str = "Admin-Password-1";
pub(crate) const USERS: &str = "cn=Users,dc=corp,dc=example";
/// What a domain has from the beginning that gets in the way of tests: nobody changes a password
/// twice a day.
const EASIER: &[&str] = &["--min-pwd-age=0"];

/// A running domain controller of `corp.example`. It ends with the process that started it,
/// however that ends.
pub(crate) struct Domain {
    address: Ipv4Addr,
    authority: String,
    _keeper: Child,
}

/// The controller; `None`, and said loudly, where none can run. In CI that fails.
pub(crate) fn domain() -> Option<&'static Domain> {
    static SHARED: OnceLock<Option<Domain>> = OnceLock::new();
    let found = SHARED.get_or_init(|| {
        let there = Path::new(SAMBA).is_file();
        assert!(there, "Samba is missing; on Debian: apt-get install {PACKAGES}");
        let Some(address) = free_address() else {
            let why = "only root starts Samba, whose ports are those of LDAP";
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
            not_tested(why);
            return None;
        };
        Some(Domain::start(address))
    });
    found.as_ref()
}

const PACKAGES: &str = "samba-ad-dc samba-ad-provision";

/// An address of this machine where nobody listens at the ports of LDAP.
fn free_address() -> Option<Ipv4Addr> {
    let [_, second, third, _] = std::process::id().to_be_bytes().map(|byte| byte % 127 + 64);
    let all = (2..=254).map(|last| Ipv4Addr::new(127, second, third, last));
    let free = |address: &Ipv4Addr| {
        [389, 636].iter().all(|port| TcpListener::bind((*address, *port)).is_ok())
    };
    all.take(8).find(free)
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

impl Domain {
    fn start(address: Ipv4Addr) -> Self {
        let dir = TempDir::with_prefix("keysherd-samba-").unwrap().keep();
        let at = dir.display();
        fs::write(dir.join("empty.conf"), "[global]\n").unwrap();
        let tool = || {
            let mut tool = Command::new("samba-tool");
            tool.arg("domain");
            tool
        };
        let mut provision = tool();
        provision.arg("provision").arg(format!("--configfile={at}/empty.conf"));
        provision.args([format!("--targetdir={at}/data"), format!("--host-ip={address}")]);
        provision.args(["--realm=CORP.EXAMPLE", "--domain=CORP", "--host-name=dc1"]);
        provision.args(["--server-role=dc", "--dns-backend=NONE"]);
        done(provision.arg(format!("--adminpass={ADMIN}")));
        let mut rules = tool();
        rules.args(["passwordsettings", "set"]).args(EASIER);
        done(rules.arg("-H").arg(dir.join("data/private/sam.ldb")));
        let authority = certificates(&dir, address);
        fs::write(dir.join("smb.conf"), configuration(&dir, address)).unwrap();
        let mut keeper = kept(&dir, ":", SAMBA);
        keeper.args(["-F", "--no-process-group", "--debug-stdout", "-M", "single"]);
        keeper.arg("-s").arg(dir.join("smb.conf"));
        let log = fs::File::create(dir.join("said")).unwrap();
        let keeper = keeper.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect((address, 636)).is_err() {
            let said = || fs::read_to_string(dir.join("said")).unwrap_or_default();
            assert!(Instant::now() < until, "the domain does not come up: {}", said());
            std::thread::yield_now();
        }
        Self { address, authority, _keeper: keeper }
    }

    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let url = format!("ldaps://{}", self.address);
        let plain = [
            ("server-type", "activedirectory"),
            ("ldap-url", url.as_str()),
            ("ldap-ca-cert", self.authority.as_str()),
            ("bind-dn", "cn=Administrator,cn=Users,dc=corp,dc=example"),
            ("bind-dn-password", ADMIN),
        ];
        target_of("ldap", &plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    /// The address without TLS from the first byte.
    pub(crate) fn plain_url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    pub(crate) async fn signs_in(&self, name: &str, password: &str) -> bool {
        let as_user = self.target(&[("bind-dn", name), ("bind-dn-password", password)]);
        target_by_name("ldap").unwrap().probe(&as_user, &way()).await.is_ok()
    }

    /// The administrator's session.
    pub(crate) async fn session(&self) -> Session {
        ldap_directory(&self.target(&[])).unwrap().connect(&way()).await.unwrap()
    }

    /// Makes an entry below [`USERS`] unless it is there: a user with a password, or a group.
    pub(crate) async fn entry(&self, name: &str, password: Option<&str>) -> String {
        let dn = format!("cn={name},{USERS}");
        let coded = password.map(windows_password);
        let mut attributes: Vec<(&str, Vec<&[u8]>)> =
            vec![("sAMAccountName", vec![name.as_bytes()])];
        let principal = format!("{name}@corp.example");
        match &coded {
            None => attributes.push(("objectClass", vec![b"group"])),
            Some(coded) => {
                attributes.push(("objectClass", vec![b"user"]));
                attributes.push(("userPrincipalName", vec![principal.as_bytes()]));
                attributes.push(("unicodePwd", vec![coded.expose()]));
                attributes.push(("userAccountControl", vec![b"512"]));
            }
        }
        self.session().await.add(&dn, &attributes, &[]).await.unwrap();
        dn
    }

    /// Gives somebody below [`USERS`] this password.
    pub(crate) async fn reset(&self, name: &str, password: &str) {
        let (dn, coded) = (format!("cn={name},{USERS}"), windows_password(password));
        self.session().await.replace_secret(&dn, "unicodePwd", None, &coded).await.unwrap();
    }

    pub(crate) async fn read(&self, dn: &str, attribute: &str) -> Option<Vec<String>> {
        self.session().await.read(dn, attribute).await.unwrap()
    }
}

/// Everything that it has is below its directory.
fn configuration(dir: &Path, address: Ipv4Addr) -> String {
    let at = dir.display();
    format!(
        "[global]\nnetbios name = DC1\nrealm = CORP.EXAMPLE\nworkgroup = CORP\n\
         server role = active directory domain controller\nserver services = ldap\n\
         interfaces = {address}/8\nbind interfaces only = yes\n\
         old password allowed period = 0\n\
         private dir = {at}/data/private\nstate directory = {at}/data/state\n\
         cache directory = {at}/data/cache\nlock directory = {at}/data\n\
         pid directory = {at}/data\nncalrpc dir = {at}/data/ncalrpc\n\
         winbindd socket directory = {at}/data/winbindd\n\
         ntp signd socket directory = {at}/data/ntp\nlog file = {at}/data/log\n\
         tls cafile = {at}/ca.pem\ntls certfile = {at}/cert.pem\ntls keyfile = {at}/key.pem\n"
    )
}

/// A certificate for the server; gives its authority's.
fn certificates(dir: &Path, address: Ipv4Addr) -> String {
    use std::os::unix::fs::PermissionsExt as _;

    let (rng, now) = (way().rng, SystemClock.now());
    let (begin, end) = (now.plus_seconds(-60), now.plus_seconds(86_400));
    let ca = LocalCa::create("a domain's authority", begin, end, rng.as_ref()).unwrap();
    let issued = ca.issue_server(&[address.to_string()], begin, end, rng.as_ref()).unwrap();
    fs::write(dir.join("ca.pem"), ca.cert_pem()).unwrap();
    fs::write(dir.join("cert.pem"), issued.cert_pem).unwrap();
    let key = dir.join("key.pem");
    fs::write(&key, issued.key_pem.expose()).unwrap();
    // It refuses a key that others could read.
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    ca.cert_pem().to_owned()
}
