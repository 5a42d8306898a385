//! What a gateway is started with for its cluster: who may configure it, and its first defaults.
//! V2 gateways read the same from their environment.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Arg;
use keysherd_api::location;
use keysherd_base::{AccessId, ItemPath};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_gateway::{FirstDefaults, FirstSettings};
use keysherd_plane::gateway_access::Allowed;
use serde::Deserialize;

use super::settings::{Settings, option, wrong};
use crate::exit::Exit;
use crate::roles::process::given_file;

const ALLOWED: &str = "allowed-access-file";
/// Longest list, in bytes.
const ALLOWED_BYTES_MAX: u64 = 256 * 1024;

/// Each default: its flag, our variable, the V2 one.
const KEY: [&str; 3] =
    ["default-encryption-key", "KEYSHERD_DEFAULT_ENCRYPTION_KEY", "DEFAULT_ENCRYPTION_KEY"];
const LOCATION: [&str; 3] =
    ["default-secret-location", "KEYSHERD_DEFAULT_SECRET_LOCATION", "DEFAULT_SECRET_LOCATION"];
const SAML: [&str; 3] =
    ["default-saml-access-id", "KEYSHERD_DEFAULT_SAML_ACCESS_ID", "DEFAULT_SAML_ACCESS_ID"];
const OIDC: [&str; 3] =
    ["default-oidc-access-id", "KEYSHERD_DEFAULT_OIDC_ACCESS_ID", "DEFAULT_OIDC_ACCESS_ID"];
const CERTIFICATE: [&str; 3] = [
    "default-certificate-access-id",
    "KEYSHERD_DEFAULT_CERTIFICATE_ACCESS_ID",
    "DEFAULT_CERTIFICATE_ACCESS_ID",
];

/// The options.
pub(super) fn options() -> [Arg; 6] {
    let of =
        |[flag, variable, _]: [&'static str; 3], value, help| option(flag, value, variable, help);
    [
        option(
            ALLOWED,
            "FILE",
            "KEYSHERD_ALLOWED_ACCESS_FILE",
            "JSON list of who may configure the cluster, in the place of what earlier starts named",
        ),
        of(KEY, "PATH", "The default key of a cluster that has no defaults yet"),
        of(LOCATION, "FOLDER", "The default location of a cluster that has no defaults yet"),
        of(SAML, "ACCESS-ID", "The default SAML method of a cluster that has no defaults yet"),
        of(OIDC, "ACCESS-ID", "The default OIDC method of a cluster that has no defaults yet"),
        of(
            CERTIFICATE,
            "ACCESS-ID",
            "The certificate method that is shown, of a cluster that has no defaults yet",
        ),
    ]
}

/// One entry of the list, as V2 gateways have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    name: String,
    access_id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    sub_claims: BTreeMap<String, Vec<String>>,
    #[serde(default = "yes")]
    case_sensitive: bool,
    permissions: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Reads them.
///
/// # Errors
/// [`Exit::Configuration`] names the setting, its value and what is allowed.
pub(super) fn load(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<FirstSettings, Exit> {
    let text = |[flag, _, v2]: [&str; 3]| -> Result<Option<String>, Exit> {
        let set = settings.text(flag)?.or_else(|| env(v2));
        Ok(set.filter(|text| !text.is_empty()))
    };
    let access_id = |names: [&'static str; 3]| -> Result<Option<AccessId>, Exit> {
        let what = "an access id, such as p-abcdefghijkl";
        let given = text(names)?;
        given.map(|id| AccessId::parse(&id).map_err(|_| wrong(names[0], &id, what))).transpose()
    };
    let key = text(KEY)?;
    let key = key.map(|path| {
        ItemPath::parse(&path)
            .map_err(|_| wrong(KEY[0], &path, "the path of a key, such as /keys/a"))
    });
    let folder = text(LOCATION)?;
    let folder = folder.map(|path| {
        location(&path).map_err(|_| wrong(LOCATION[0], &path, "a folder, such as /team"))
    });
    let allowed = match settings.text(ALLOWED)? {
        Some(file) => {
            let bytes = given_file(Path::new(&file), ALLOWED_BYTES_MAX)
                .map_err(|why| Exit::Configuration(format!("--{ALLOWED} {file}: {why}")))?;
            Some((format!("--{ALLOWED} {file}"), bytes))
        }
        None => {
            let name = "ALLOWED_ACCESS_PERMISSIONS";
            let set = env(name).filter(|text| !text.trim().is_empty());
            set.map(|text| (name.to_owned(), text.into_bytes()))
        }
    };
    Ok(FirstSettings {
        allowed: allowed.map(|(name, bytes)| parse(&name, &bytes)).transpose()?,
        defaults: FirstDefaults {
            key: key.transpose()?,
            location: folder.transpose()?,
            saml: access_id(SAML)?,
            oidc: access_id(OIDC)?,
            certificate: access_id(CERTIFICATE)?,
        },
    })
}

/// The list; `name` is where it comes from.
fn parse(name: &str, bytes: &[u8]) -> Result<Vec<(String, Allowed)>, Exit> {
    let bad = |why: String| Exit::Configuration(format!("{name}: {why}"));
    let given: Vec<Given> = serde_json::from_slice(bytes).map_err(|error| {
        bad(format!(
            "{error}; it is a JSON list of objects with name, access_id, permissions and, where \
             several share the method, sub_claims"
        ))
    })?;
    let mut all: Vec<(String, Allowed)> = Vec::with_capacity(given.len());
    for Given { name, access_id, description, sub_claims, case_sensitive, permissions } in given {
        let of = |why: &str| bad(format!("'{}': {why}", name.escape_default()));
        if all.iter().any(|(known, _)| *known == name) {
            return Err(of("two have this name"));
        }
        if permissions.is_empty() {
            return Err(of("permissions are missing; 'admin' is all of them"));
        }
        let permission = |text: &String| {
            let known = GatewayPermission::from_name(text);
            known.ok_or_else(|| of(&format!("'{}' is no permission", text.escape_default())))
        };
        let allowed = Allowed {
            access_id: AccessId::parse(&access_id).map_err(|_| of("access_id is none"))?,
            description,
            sub_claims: SubClaims(sub_claims),
            case_sensitive,
            permissions: permissions.iter().map(permission).collect::<Result<_, _>>()?,
        };
        all.push((name, allowed));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"[{"name": "ops", "access_id": "p-0123456789ab",
        "sub_claims": {"team": ["ops"]}, "permissions": ["k8s_auth", "sra"]}]"#;

    #[test]
    fn a_list_of_a_v2_gateway_is_read() {
        let all = parse("X", GOOD.as_bytes()).unwrap();
        let (name, allowed) = &all[0];
        assert_eq!((name.as_str(), allowed.case_sensitive), ("ops", true));
        let permissions = [GatewayPermission::K8sAuth, GatewayPermission::SraConfig];
        assert_eq!(allowed.permissions, permissions);
        assert_eq!(parse("X", b"[]").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_with_a_list_is_named() {
        let changed = |from: &str, to: &str| GOOD.replace(from, to);
        for (text, told) in [
            (changed("\"k8s_auth\", \"sra\"", ""), "permissions are missing"),
            (changed("k8s_auth", "root"), "'root' is no permission"),
            (changed("p-0123456789ab", "me"), "access_id"),
            (changed("\"sub_claims\"", "\"subclaims\""), "subclaims"),
            (format!("[{0},{0}]", &GOOD[1..GOOD.len() - 1]), "two have this name"),
            ("{}".to_owned(), "JSON list"),
        ] {
            let exit = parse("ALLOWED", text.as_bytes()).unwrap_err().to_string();
            assert!(exit.contains(told) && exit.contains("ALLOWED"), "{exit}");
        }
    }
}
