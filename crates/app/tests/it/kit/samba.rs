//! Samba as the domain controller of an Active Directory, with its directory only. It listens at
//! the ports of LDAP and no others, on an address of this machine's own that nobody else has. The
//! tests of engines use this file, too.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pki::LocalCa;
use keysherd_crypto::random::SystemRng;
use tempfile::TempDir;

use super::installed::step;
use super::kept::kept;

const SAMBA: &str = "/usr/sbin/samba";
/// Who may do everything there, and the password.
pub(crate) const ADMIN: (&str, &str) =
    ("cn=Administrator,cn=Users,dc=corp,dc=example", "Admin-Password-1");
/// Wrong passwords after which an account is locked.
const GUESSES: u32 = 10;
/// Where people and groups are.
pub(crate) const USERS: &str = "cn=Users,dc=corp,dc=example";

/// A running domain controller of `corp.example`. It ends with the process that started it,
/// however that ends.
pub(crate) struct Samba {
    pub(crate) address: Ipv4Addr,
    /// The certificate of its authority, in PEM.
    pub(crate) authority: String,
    _keeper: Child,
}

impl Samba {
    /// A new domain.
    ///
    /// # Errors
    /// Says why none can run here. In CI that fails.
    pub(crate) fn start() -> Result<Self, &'static str> {
        let packages = "samba-ad-dc samba-ad-provision";
        let there = Path::new(SAMBA).is_file();
        assert!(there, "Samba is missing; on Debian: apt-get install {packages}");
        let why = "only root starts Samba, whose ports are those of LDAP";
        let Some(address) = free_address() else {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
            return Err(why);
        };
        let dir = TempDir::with_prefix("keysherd-samba-").unwrap().keep();
        provision(&dir, address);
        let authority = certificates(&dir, address);
        fs::write(dir.join("smb.conf"), configuration(&dir, address)).unwrap();
        let mut keeper = kept(&dir, ":", SAMBA);
        keeper.args(["-F", "--no-process-group", "--debug-stdout", "-M", "single"]);
        keeper.arg("-s").arg(dir.join("smb.conf"));
        let log = fs::File::create(dir.join("said")).unwrap();
        let keeper = keeper.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(300);
        while TcpStream::connect((address, 636)).is_err() {
            let said = || fs::read_to_string(dir.join("said")).unwrap_or_default();
            assert!(Instant::now() < until, "the domain does not come up: {}", said());
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(Self { address, authority, _keeper: keeper })
    }
}

/// An address of this machine where nobody listens at the ports of LDAP.
fn free_address() -> Option<Ipv4Addr> {
    let [_, second, third, _] = std::process::id().to_be_bytes().map(|byte| byte % 127 + 64);
    let all = (2..=254).map(|last| Ipv4Addr::new(127, second, third, last));
    let free = |address: &Ipv4Addr| {
        [389, 636].iter().all(|port| TcpListener::bind((*address, *port)).is_ok())
    };
    all.take(8).find(free)
}

/// Makes the domain's data.
fn provision(dir: &Path, address: Ipv4Addr) {
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
    step(provision.arg(format!("--adminpass={}", ADMIN.1)));
    let mut rules = tool();
    // As it is made, nobody changes their own password twice a day, and everybody may guess.
    rules.args(["passwordsettings", "set", "--min-pwd-age=0"]);
    rules.arg(format!("--account-lockout-threshold={GUESSES}")).arg("-H");
    step(rules.arg(dir.join("data/private/sam.ldb")));
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
    let (rng, now) = (SystemRng::handle(), SystemClock.now());
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
