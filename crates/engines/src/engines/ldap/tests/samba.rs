//! One domain for all tests, which is Samba's.

use std::sync::OnceLock;

use keysherd_base::Fault;
use keysherd_targets::ldap::Session;
use keysherd_targets::{by_name as target_by_name, ldap_directory};
use keysherd_wire::Settings;

use super::super::windows_password;
use crate::testing::samba::{ADMIN, Samba};
use crate::testing::{not_tested, target_of, way};

pub(crate) use crate::testing::samba::USERS;

/// A running domain controller of `corp.example`.
pub(crate) struct Domain(Samba);

/// The controller; `None`, and said loudly, where none can run.
pub(crate) fn domain() -> Option<&'static Domain> {
    static SHARED: OnceLock<Option<Domain>> = OnceLock::new();
    let found = SHARED.get_or_init(|| Samba::start().map(Domain).map_err(not_tested).ok());
    found.as_ref()
}

impl Domain {
    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let url = format!("ldaps://{}", self.0.address);
        let plain = [
            ("server-type", "activedirectory"),
            ("ldap-url", url.as_str()),
            ("ldap-ca-cert", self.0.authority.as_str()),
            ("bind-dn", ADMIN.0),
            ("bind-dn-password", ADMIN.1),
        ];
        target_of("ldap", &plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    /// The address without TLS from the first byte.
    pub(crate) fn plain_url(&self) -> String {
        format!("ldap://{}", self.0.address)
    }

    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Result<(), Fault> {
        let as_user = self.target(&[("bind-dn", name), ("bind-dn-password", password)]);
        target_by_name("ldap").unwrap().probe(&as_user, &way()).await
    }

    pub(crate) async fn signs_in(&self, name: &str, password: &str) -> bool {
        self.sign_in(name, password).await.is_ok()
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
