//! The rights of accounts that are made: a role that is there, or what somebody wrote in YAML, of
//! which names, namespaces and subjects are replaced. Nothing in it reaches beyond the namespace.

use keysherd_base::Fault;
use keysherd_wire::bad_setting;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::fields::ROLE_NAME;
use super::{predefined, written};
use crate::Settings;

const GROUP: &str = "rbac.authorization.k8s.io";
/// Most documents of a text in YAML.
const DOCUMENTS_MAX: usize = 8;

/// The rights of an account.
#[derive(Debug)]
pub(super) enum Rights<'a> {
    /// Those of a role that is there.
    Predefined { name: &'a str, kind: &'static str },
    /// Those of a role that is there or is made beside, as somebody wrote it.
    Written { role: Option<Map<String, Value>>, refers_to: Option<(String, String)> },
}

/// The rights that the settings give.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn rights(settings: &Settings) -> Result<Rights<'_>, Fault> {
    match (predefined(settings)?, written(settings)?) {
        (Some((name, kind)), None) => {
            path_segment(ROLE_NAME.name(), name)?;
            Ok(Rights::Predefined { name, kind })
        }
        (None, Some((field, text))) => read(field, text),
        (None, None) => Err(bad_setting(
            ROLE_NAME.name(),
            "accounts that are made need a role, or one written in k8s-rolebinding-yaml-def",
        )),
        (Some(_), Some((field, _))) => {
            Err(bad_setting(field, "k8s-predefined-role-name is there already"))
        }
    }
}

fn read(field: &'static str, text: &str) -> Result<Rights<'static>, Fault> {
    let bad = |why: &str| bad_setting(field, why);
    let (mut role, mut binding) = (None, None);
    for (number, document) in yaml_serde::Deserializer::from_str(text).enumerate() {
        if number == DOCUMENTS_MAX {
            return Err(bad("it has more than 8 documents"));
        }
        // The error's text could quote what is written.
        let value = Value::deserialize(document).map_err(|_| bad("it is no YAML"))?;
        let mut object = match value {
            Value::Null => continue,
            Value::Object(object) => object,
            _ => return Err(bad("each document must be an object")),
        };
        let version = object.remove("apiVersion");
        if version.as_ref().and_then(Value::as_str) != Some("rbac.authorization.k8s.io/v1") {
            return Err(bad("apiVersion must be rbac.authorization.k8s.io/v1"));
        }
        let place = match object.remove("kind").as_ref().and_then(Value::as_str) {
            Some("Role") => &mut role,
            Some("RoleBinding") => &mut binding,
            _ => return Err(bad("it may have a Role and a RoleBinding, which are in a namespace")),
        };
        if place.replace(object).is_some() {
            return Err(bad("it may have one Role and one RoleBinding"));
        }
    }
    let binding = binding.ok_or_else(|| bad("it has no RoleBinding"))?;
    let refers = |name: &str| binding.get("roleRef")?.get(name)?.as_str().map(str::to_owned);
    let (kind, name) = (refers("kind"), refers("name"));
    let (Some(kind), Some(name)) = (kind, name) else {
        return Err(bad("the RoleBinding has no roleRef with kind and name"));
    };
    let own = role.as_ref().and_then(|role| role.get("metadata")?.get("name")?.as_str());
    match (kind.as_str(), own) {
        ("Role", Some(own)) if own == name => Ok(Rights::Written { role, refers_to: None }),
        (_, Some(_)) => Err(bad("the RoleBinding does not refer to the Role beside it")),
        ("Role" | "ClusterRole", None) if role.is_none() => {
            path_segment(field, &name)?;
            Ok(Rights::Written { role, refers_to: Some((kind, name)) })
        }
        (_, None) => Err(bad("the Role has no name, or roleRef is none of a Role")),
    }
}

impl Rights<'_> {
    /// The role, if one is made, and the binding of the account to it.
    pub(super) fn objects(self, namespace: &str, name: &str) -> (Option<Value>, Value) {
        let metadata = || json!({"name": name, "namespace": namespace});
        let (role, kind, role_name) = match self {
            Self::Predefined { name, kind } => (None, kind.to_owned(), name.to_owned()),
            Self::Written { refers_to: Some((kind, name)), .. } => (None, kind, name),
            Self::Written { role, refers_to: None } => {
                // Of what is written only its rules are taken.
                let rules = role.and_then(|mut role| role.remove("rules"));
                let role = json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                    "metadata": metadata(), "rules": rules,
                });
                (Some(role), "Role".to_owned(), name.to_owned())
            }
        };
        let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": namespace});
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": metadata(),
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role_name},
            "subjects": [subject],
        });
        (role, binding)
    }
}

/// Demands the name of a namespace (a label of RFC 1123).
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn label(field: &str, text: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (1..=63).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-');
    fits.then_some(()).ok_or_else(|| bad_setting(field, "it is no name of a namespace"))
}

/// Demands the name of an account (labels with dots between).
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(super) fn subdomain(field: &str, text: &str) -> Result<(), Fault> {
    let fits = text.len() <= 253 && text.split('.').all(|part| label(field, part).is_ok());
    fits.then_some(()).ok_or_else(|| bad_setting(field, "it is no name of a service account"))
}

/// Demands the name of a role.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
fn path_segment(field: &str, text: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_graphic() && !['/', '%'].contains(&c);
    let fits = (1..=253).contains(&text.len()) && text.chars().all(plain);
    let fits = fits && !matches!(text, "." | "..");
    fits.then_some(()).ok_or_else(|| bad_setting(field, "it is no name of a role"))
}
