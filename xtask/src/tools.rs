//! Programs the tasks need: found, or installed where that is allowed, or named when missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::console::say;
use crate::{process, root};

/// Oldest Node the JavaScript tests run on.
const NODE_MAJOR_MIN: u32 = 18;

/// Makes sure that Rust's formatter and linter are there.
///
/// # Errors
/// Says how to install them.
pub(crate) fn need_rust_components() -> Result<(), String> {
    for (component, program) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let there = || process::works(Command::new("cargo").args([program, "--version"]));
        if there() {
            continue;
        }
        let _ = process::run(Command::new("rustup").args(["component", "add", component]));
        if !there() {
            return Err(format!("cargo {program} is missing: rustup component add {component}"));
        }
    }
    Ok(())
}

/// Makes sure that there is a C compiler, which the cryptography and SQLite need.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_c_compiler() -> Result<(), String> {
    let there = || {
        let named = std::env::var("CC").ok();
        named
            .iter()
            .map(String::as_str)
            .chain(["cc", "gcc", "clang"])
            .any(|name| process::works(Command::new(name).arg("--version")))
    };
    need(there, "a C compiler", &["gcc", "libc6-dev"])
}

/// A Python with the `venv` module.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_python() -> Result<(), String> {
    let there = || process::works(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    need(there, "Python 3 with the module venv", &["python3", "python3-venv"])
}

/// SoftHSM2, the token in software on which the tests of PKCS#11 run.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_softhsm() -> Result<(), String> {
    let there = || process::works(Command::new("softhsm2-util").arg("--version"));
    need(there, "SoftHSM2", &["softhsm2"])
}

/// What the identity provider of the SAML tests signs with.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_xmlsec() -> Result<(), String> {
    need(|| process::works(Command::new("xmlsec1").arg("--version")), "xmlsec1", &["xmlsec1"])
}

/// The directory of the LDAP tests.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_slapd() -> Result<(), String> {
    let there = || Path::new("/usr/sbin/slapd").is_file() && works("ldapsearch", "-VV");
    need(there, "OpenLDAP with its tools", &["slapd", "ldap-utils"])
}

/// The domain controller of the tests of Active Directory.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_samba() -> Result<(), String> {
    let there = || {
        let setup = Path::new("/usr/share/samba/setup/provision.ldif").is_file();
        setup && Path::new("/usr/sbin/samba").is_file() && works("samba-tool", "--version")
    };
    need(there, "Samba as a domain controller", &["samba-ad-dc", "samba-ad-provision"])
}

/// The server of the SSH tests.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_sshd() -> Result<(), String> {
    let there = || Path::new("/usr/sbin/sshd").is_file() && works("ssh", "-V");
    need(there, "OpenSSH's server and client", &["openssh-server", "openssh-client"])
}

/// The database of the tests of many control nodes.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_postgres() -> Result<(), String> {
    let versions = || std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let there = || versions().any(|version| version.path().join("bin/initdb").is_file());
    need(there, "PostgreSQL with its tools", &["postgresql"])
}

/// A server on which temporary users are made.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_mariadb() -> Result<(), String> {
    let there = || {
        let folders = ["/usr/sbin", "/usr/libexec", "/usr/bin"];
        let server = folders.iter().any(|folder| Path::new(folder).join("mariadbd").is_file());
        server && works("mariadb", "--version")
    };
    need(there, "MariaDB", &["mariadb-server"])
}

/// Another one.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_redis() -> Result<(), String> {
    need(|| works("redis-server", "--version"), "Redis", &["redis-server"])
}

/// And a broker with such users.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_rabbitmq() -> Result<(), String> {
    let there = || Path::new("/usr/sbin/rabbitmq-server").is_file();
    need(there, "RabbitMQ", &["rabbitmq-server"])
}

/// What makes a cluster of PostgreSQL servers.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_patroni() -> Result<(), String> {
    let there = || works("patroni", "--version") && works("etcd", "--version");
    need(there, "Patroni with etcd", &["patroni", "etcd-server", "python3-etcd", "curl"])
}

/// The KDC of the Kerberos tests, and the client whose tokens they take.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_kerberos() -> Result<(), String> {
    let there = || {
        let negotiates = process::read(Command::new("curl").arg("--version"))
            .is_ok_and(|version| version.contains("SPNEGO"));
        let servers = ["krb5kdc", "kadmin.local", "kdb5_util"];
        let servers = servers.iter().all(|name| Path::new("/usr/sbin").join(name).is_file());
        negotiates && servers && Path::new("/usr/bin/kinit").is_file()
    };
    let packages = ["krb5-kdc", "krb5-admin-server", "krb5-user", "curl"];
    need(there, "MIT Kerberos with its KDC, and curl with SPNEGO", &packages)
}

/// What the tests of networks and proxies are made of.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_networks() -> Result<(), String> {
    let there = || works("ip", "-V") && works("nft", "--version") && works("tinyproxy", "-v");
    let packages = ["iproute2", "nftables", "tinyproxy-bin"];
    need(there, "iproute2, nftables and tinyproxy", &packages)
}

/// What gives processes of the tests other clocks.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_faketime() -> Result<(), String> {
    let there = || {
        let libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
        let file = |arch| format!("/usr/lib/{arch}/faketime/libfaketimeMT.so.1");
        libraries.iter().any(|arch| Path::new(&file(arch)).is_file())
    };
    need(there, "libfaketime", &["libfaketime"])
}

/// The receiver of the tests of log forwarding.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_rsyslog() -> Result<(), String> {
    let there = || {
        let drivers = "/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so";
        let other = "/usr/lib/aarch64-linux-gnu/rsyslog/lmnsd_gtls.so";
        let tls = Path::new(drivers).is_file() || Path::new(other).is_file();
        tls && Path::new("/usr/sbin/rsyslogd").is_file()
    };
    need(there, "rsyslog with TLS", &["rsyslog", "rsyslog-gnutls"])
}

/// What makes the certificates of the tests.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_openssl() -> Result<(), String> {
    need(|| works("openssl", "version"), "OpenSSL", &["openssl"])
}

/// The browser of the tests of browser logins.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_chromium() -> Result<(), String> {
    let there = || ["chromium", "chromium-browser"].iter().any(|name| works(name, "--version"));
    need(there, "Chromium", &["chromium"])
}

fn works(program: &str, flag: &str) -> bool {
    process::works(Command::new(program).arg(flag))
}

/// Node and npm.
///
/// # Errors
/// Says what to install.
pub(crate) fn need_node() -> Result<(), String> {
    let there = || {
        node_major() >= Some(NODE_MAJOR_MIN) && process::works(Command::new("npm").arg("--version"))
    };
    need(there, &format!("Node {NODE_MAJOR_MIN} or newer with npm"), &["nodejs", "npm"])
}

fn node_major() -> Option<u32> {
    let version = process::read(Command::new("node").arg("--version")).ok()?;
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs `packages` when `there` says no and this is Debian and the user is root.
fn need(there: impl Fn() -> bool, what: &str, packages: &[&str]) -> Result<(), String> {
    if there() {
        return Ok(());
    }
    let wish = format!("{what} is missing; on Debian: apt-get install {}", packages.join(" "));
    if !may_install() {
        return Err(wish);
    }
    say(&format!("installing {}", packages.join(", ")));
    let apt = || {
        let mut apt = Command::new("apt-get");
        // Servers are started by the tests that need them, not by their packages.
        apt.env("RUNLEVEL", "1");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=600"]);
        apt
    };
    process::run(apt().args(["--quiet", "update"]))?;
    let install = ["--quiet", "install", "--yes", "--no-install-recommends"];
    process::run(apt().args(install).args(packages))?;
    if there() { Ok(()) } else { Err(wish) }
}

fn may_install() -> bool {
    let root = process::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    root && process::works(Command::new("apt-get").arg("--version"))
}

/// A Python environment in the cache with what `requirements` names; makes it when it is not
/// there or was made for others. Returns its interpreter.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn python_environment(name: &str, requirements: &Path) -> Result<PathBuf, String> {
    let directory = root::cache()?.join("python").join(name);
    let interpreter = directory.join("bin/python");
    let wanted = root::read(requirements)?;
    if is_ready(&directory, &wanted) {
        return Ok(interpreter);
    }
    need_python()?;
    say(&format!("making a Python environment for {name}"));
    start_over(&directory)?;
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    let mut pip = Command::new(&interpreter);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    process::run(pip.arg("--requirement").arg(requirements))?;
    mark_ready(&directory, &wanted)?;
    Ok(interpreter)
}

/// The npm packages that the lock file in `source` names, in the cache; installs them when they
/// are not there or were installed for another lock file. Returns the directory.
///
/// # Errors
/// When they cannot be installed.
pub(crate) fn node_packages(name: &str, source: &Path) -> Result<PathBuf, String> {
    let directory = root::cache()?.join("node").join(name);
    let wanted = root::read(&source.join("package-lock.json"))?;
    need_node()?;
    if is_ready(&directory, &wanted) {
        return Ok(directory);
    }
    say(&format!("installing the npm packages for {name}"));
    start_over(&directory)?;
    for file in ["package.json", "package-lock.json"] {
        root::write(&directory.join(file), &root::read(&source.join(file))?)?;
    }
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    process::run(Command::new("npm").current_dir(&directory).args(arguments))?;
    mark_ready(&directory, &wanted)?;
    Ok(directory)
}

/// cargo-deny: the one in the cache or on the path; with `install`, built into the cache.
///
/// # Errors
/// When it has to be built and cannot be.
pub(crate) fn cargo_deny(install: bool) -> Result<Option<PathBuf>, String> {
    let tools = root::cache()?.join("tools");
    let cached = tools.join("bin/cargo-deny");
    let works = |path: &Path| process::works(Command::new(path).arg("--version"));
    for path in [cached.clone(), PathBuf::from("cargo-deny")] {
        if works(&path) {
            return Ok(Some(path));
        }
    }
    if !install {
        return Ok(None);
    }
    say("building cargo-deny; this takes some minutes, once");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--quiet", "--locked", "cargo-deny", "--version", "0.20.2", "--root"]);
    // Beside the other tools, so that the project's own build directory stays as it is.
    process::run(cargo.arg(&tools).env("CARGO_TARGET_DIR", tools.join("target")))?;
    let _ = std::fs::remove_dir_all(tools.join("target"));
    Ok(Some(cached))
}

const MARK: &str = ".keysherd-ready";

/// Whether `directory` was made, to its end, for `wanted`.
pub(crate) fn is_ready(directory: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(directory.join(MARK)).is_ok_and(|made_for| made_for == wanted)
}

/// Written last, so that a half-made directory is made again.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn mark_ready(directory: &Path, wanted: &str) -> Result<(), String> {
    root::write(&directory.join(MARK), wanted)
}

/// An empty directory in place of whatever was there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn start_over(directory: &Path) -> Result<(), String> {
    let failed = |error| format!("cannot make {}: {error}", directory.display());
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(failed)?;
    }
    std::fs::create_dir_all(directory).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_cannot_be_installed_is_named() {
        assert!(need(|| true, "x", &["x"]).is_ok());
        if !may_install() {
            let error = need(|| false, "a thing", &["thing", "thing-dev"]).unwrap_err();
            assert_eq!(error, "a thing is missing; on Debian: apt-get install thing thing-dev");
        }
    }

    #[test]
    fn a_half_made_directory_is_not_ready() {
        let directory = std::env::temp_dir().join(format!("keysherd-tools-{}", std::process::id()));
        start_over(&directory).unwrap();
        assert!(!is_ready(&directory, "a==1"));
        mark_ready(&directory, "a==1").unwrap();
        assert!(is_ready(&directory, "a==1") && !is_ready(&directory, "a==2"));
        start_over(&directory).unwrap();
        assert!(!is_ready(&directory, "a==1"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
