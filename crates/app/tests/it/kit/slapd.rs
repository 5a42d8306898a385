//! OpenLDAP's server in a directory of its own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::loopback::{free_port, write_certificates};
use super::poll::wait_until;

const SLAPD: &str = "/usr/sbin/slapd";

/// A running directory of `dc=example`; ended on drop.
pub(crate) struct Slapd {
    /// With StartTLS.
    pub(crate) plain_url: String,
    /// With TLS from the first byte.
    pub(crate) tls_url: String,
    /// The certificate of its authority, in PEM.
    pub(crate) ca_pem: String,
    child: Child,
    _dir: TempDir,
}

impl Slapd {
    /// A directory with these entries, in LDIF.
    pub(crate) fn with(entries: &str) -> Self {
        assert!(Path::new(SLAPD).exists(), "slapd is missing; on Debian: apt-get install slapd");
        let dir = TempDir::with_prefix("keysherd-slapd-").unwrap();
        let ca_pem = write_certificates(dir.path(), "a directory's authority");
        write_configuration(dir.path());
        fs::write(dir.path().join("entries.ldif"), entries).unwrap();
        let mut add = Command::new("/usr/sbin/slapadd");
        add.arg("-f").arg(dir.path().join("slapd.conf"));
        let added = add.arg("-l").arg(dir.path().join("entries.ldif")).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let (plain, tls) = (free_port(), free_port());
        let plain_url = format!("ldap://127.0.0.1:{plain}");
        let tls_url = format!("ldaps://127.0.0.1:{tls}");
        let mut command = Command::new(SLAPD);
        command.arg("-f").arg(dir.path().join("slapd.conf"));
        command.args(["-d", "0", "-h", &format!("{plain_url} {tls_url}")]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let slapd = Self { plain_url, tls_url, ca_pem, child, _dir: dir };
        wait_until("the directory to answer", || {
            let mut ask = Command::new("ldapwhoami");
            let asked = ask.args(["-x", "-H", &slapd.plain_url]).output();
            asked.is_ok_and(|asked| asked.status.success())
        });
        slapd
    }

    /// Whether somebody gets in with this password.
    pub(crate) fn signs_in(&self, name: &str, password: &str) -> bool {
        let mut ask = Command::new("ldapwhoami");
        ask.args(["-x", "-H", &self.plain_url, "-D", name, "-w", password]);
        ask.output().unwrap().status.success()
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_configuration(dir: &Path) {
    let at = dir.display();
    fs::create_dir(dir.join("data")).unwrap();
    let text = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\n\
         moduleload back_mdb\nTLSCACertificateFile {at}/ca.pem\n\
         TLSCertificateFile {at}/cert.pem\nTLSCertificateKeyFile {at}/key.pem\n\
         database mdb\nsuffix dc=example\nrootdn cn=root,dc=example\nrootpw rootpw\n\
         directory {at}/data\nindex objectClass eq\n"
    );
    fs::write(dir.join("slapd.conf"), text).unwrap();
}
