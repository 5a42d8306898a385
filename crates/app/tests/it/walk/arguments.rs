//! Arguments that make sense, for every command under every name it is served by.
//!
//! Whoever adds a command with a field that is not in the table is told so by the walk.

use serde_json::{Value, json};

use super::members::{
    engine, engine_of, kind_of, log_target, own_arguments, rotated, rotator_of, target,
};
use super::objects::Objects;
use crate::kit::Spec;

/// The body of a call of `spec` under `name`.
pub(crate) fn arguments(spec: &Spec, name: &str, objects: &Objects) -> Value {
    let own = kind_of(name).map(|kind| own_arguments(kind, &objects.authority));
    let receiver = || log_target(name, &objects.key_file);
    let secret = || {
        let mut of = engine(&engine_of(name)?);
        if of.target.is_some() {
            of.fields.insert("target-name".to_owned(), format!("/walk/{name}/target").into());
        }
        Some(of.fields)
    };
    let changing = || {
        let (_, _, mut fields) = rotated(rotator_of(name)?);
        // What it is about cannot be changed later.
        fields.retain(|field, _| field != "rotator-type" || name.contains("create"));
        Some(fields)
    };
    let found = own.or_else(receiver).or_else(|| target(name)).or_else(secret).or_else(changing);
    let mut body = found.unwrap_or_default();
    for field in spec.fields.iter().filter(|field| field.required) {
        if !body.contains_key(&field.documented) {
            body.insert(field.documented.clone(), value(spec, name, &field.name, objects));
        }
    }
    for field in optional(&spec.name) {
        assert!(spec.has(field), "{} has no field {field} any more", spec.name);
        body.insert((*field).to_owned(), value(spec, name, field, objects));
    }
    match spec.body.as_str() {
        "array" => Value::Array(vec![body.into()]),
        _ => body.into(),
    }
}

/// Fields that are not required, without which the command would have nothing to do.
fn optional(command: &str) -> &'static [&'static str] {
    match command {
        "create-secret" | "update-secret-val" => &["value"],
        "delete-items" => &["path"],
        "assoc-target-item" => &["sra-association"],
        "delete-assoc-target-item" => &["target-name"],
        "describe-item" => &["name"],
        "reencrypt" => &["names"],
        "encrypt" | "decrypt" => &["key-name"],
        "uid-create-child-token" => &["auth-method-name", "uid-token-id"],
        "uid-list-children" | "uid-revoke-token" => &["auth-method-name"],
        "update-account-settings" => &["phone"],
        "update-guard-rails" => &["rail"],
        "update-aws-target-details" => &["session-token"],
        "update-db-target-details" => &["pwd"],
        "update-ldap-target-details" => &["bind-dn"],
        "update-ssh-target-details" => &["ssh-password"],
        "update-web-target-details" => &["url"],
        "dynamic-secret-tmp-creds-delete" => &["tmp-creds-id"],
        "gateway-create-allowed-access" | "gateway-update-allowed-access" => &["permissions"],
        "gateway-update-offline-policy" => &["path"],
        "gateway-update-ldap-auth-config" => {
            &["access-id", "signing-key-data", "ldap-url", "user-dn"]
        }
        _ => &[],
    }
}

fn value(spec: &Spec, name: &str, field: &str, objects: &Objects) -> Value {
    let at = |leaf: &str| json!(format!("/walk/{name}/{leaf}"));
    // Those whose gateway keeps something are for administrators, and create all the same.
    let creates = spec.right().is_some_and(|(_, capability)| capability == "create")
        || kind_of(name).is_some_and(|_| name.contains("create"));
    match (spec.noun.as_str(), field) {
        ("Items" | "Keys" | "Auth methods" | "Roles", "name") if creates => at("new"),
        ("Folders", "name") if creates => at("new-folder"),
        ("Items", "name") => at("secret"),
        ("Items", "target-name") => at("to"),
        ("Items", "sra-association") => json!(true),
        ("Items", "names") => json!([at("secret")]),
        ("Items", "path") => at(""),
        ("Items", "value") => json!("a new value"),
        ("Items", "old-version") => json!(1),
        ("Items", "desired-state") => json!("Disabled"),
        ("Items", "source") => at("source"),
        ("Items", "target") => at("target"),
        ("Folders", "name") => at("folder"),
        ("Targets" | "Dynamic secrets" | "Rotated secrets", "name") if creates => at("new"),
        ("Targets" | "Dynamic secrets" | "Rotated secrets", field) => {
            of_engines(spec, name, field, objects)
        }
        ("Keys", "name") => at("key"),
        ("Keys", "alg") => json!("AES256GCM"),
        ("Keys", "key-name") => json!(objects.key),
        ("Keys", "item-id") => json!(objects.key_id),
        ("Keys", "plaintext") => json!("a message"),
        ("Keys", "ciphertext") => json!(objects.ciphertext),
        ("Keys", "data") if name.starts_with("decrypt") => json!(objects.ciphertext),
        ("Keys", "data") => json!("a message"),
        ("Auth methods", "name") => at("method"),
        ("Auth methods", "path") => at(""),
        ("Universal identity", "auth-method-name") => at("method"),
        ("Universal identity", "uid-token-id" | "revoke-token") => json!(objects.uid_roots[name]),
        ("Universal identity", "revoke-type") => json!("revokeSelf"),
        ("Roles", "name" | "role-name") => at("role"),
        ("Roles", "am-name") => at("method"),
        ("Roles", "assoc-id") => json!(objects.assocs[name]),
        ("Roles", "path") if name == "delete-roles" => at(""),
        ("Groups", "name") if name == "create-group" => at("new"),
        ("Groups", "name") => at("group"),
        ("Groups", "group-alias") if name == "create-group" => json!("walk-new"),
        ("Groups", "group-alias") => json!(format!("walk-{name}")),
        ("Roles", "path") => json!(format!("/walk/{name}/*")),
        ("Roles", "type") => json!("item"),
        ("Roles", "capability") => json!(["read"]),
        ("Session" | "Account", "current-password") => json!(objects.owner_password),
        ("Session", "new-password") => json!("wrinkle mascot overjoyed tubular"),
        ("Account", "name") => at("person"),
        ("Account", "otp") => json!("123456"),
        ("Auth methods", "email") => json!(format!("{name}@example.com")),
        ("Account", "phone") => json!("1234"),
        ("Account", "rail") => json!({"items-at-root": "warn"}),
        ("Gateway", field) => of_gateways(spec, name, field, objects),
        _ => none(spec, field),
    }
}

/// The same for targets and dynamic secrets.
fn of_engines(spec: &Spec, name: &str, field: &str, objects: &Objects) -> Value {
    match (spec.noun.as_str(), field) {
        ("Targets", "name") => json!(format!("/walk/{name}/target")),
        ("Targets", "path") => json!(format!("/walk/{name}/")),
        ("Targets", "pwd" | "session-token" | "ssh-password") => json!("another"),
        ("Targets", "bind-dn") => json!("cn=another,dc=example"),
        ("Targets", "url") => json!("https://example.org"),
        ("Dynamic secrets", "name") => json!(format!("/walk/{name}/dynamic")),
        ("Dynamic secrets", "tmp-creds-id") => json!(objects.leases[name]),
        ("Dynamic secrets", "new-ttl-min") => json!(10),
        ("Rotated secrets", "name" | "names") => json!(format!("/walk/{name}/rotated")),
        ("Rotated secrets", "type") => json!("rotated-secret"),
        ("Rotated secrets", "target-name") => json!(format!("/walk/{name}/target")),
        _ => none(spec, field),
    }
}

/// The same for gateways.
fn of_gateways(spec: &Spec, name: &str, field: &str, objects: &Objects) -> Value {
    match field {
        "access-id" if name.contains("allowed") => objects.signer[field].clone(),
        "name" if name.contains("allowed") => json!(name),
        "permissions" => json!("k8s_auth"),
        "cluster-name" => json!("nowhere"),
        "reader-access-id" => json!(objects.log_reader.0),
        "reader-access-key" => json!(objects.log_reader.1),
        "max-minutes" => json!(10),
        "path" => json!(["/walk/*"]),
        "order" => json!(objects.order),
        "name" if name.contains("create") => json!(format!("{name} again")),
        "name" if name.contains("auth-config") => json!(name),
        "name" => json!(objects.key),
        field if name.contains("ldap") => objects.directory[field].clone(),
        "access-id" | "signing-key" | "k8s-host" => objects.signer[field].clone(),
        _ => none(spec, field),
    }
}

fn none(spec: &Spec, field: &str) -> ! {
    panic!(
        "the walk has no value to try for field {field} of command {}: add one to the table in {}",
        spec.name,
        file!()
    )
}
