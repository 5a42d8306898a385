//! The objects the walk's commands are about: each name of each command has its own.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{AccountId, Uid};
use keysherd_fragments::order::{FreezeScope, OrderAction};
use serde_json::{Value, json};

use super::members::{
    base64, engine, engine_of, kind_of, own_arguments, rotated, rotator_of, target_of,
};
use crate::kit::postgres::{PASSWORD, shared};
use crate::kit::{Api, Server, Spec, order, owner_key, random};

/// The kinds of targets with commands of their own; all others are databases.
const KINDS: &[&str] = &[
    "artifactory",
    "aws",
    "azure",
    "dockerhub",
    "eks",
    "f5-big-ip",
    "gcp",
    "github",
    "gitlab",
    "gke",
    "globalsign",
    "globalsign-atlas",
    "godaddy",
    "hashi-vault",
    "k8s",
    "ldap",
    "linked",
    "openai",
    "ping",
    "rabbitmq",
    "salesforce",
    "ssh",
    "web",
    "windows",
    "zerossl",
];

/// What the arguments need to know.
pub(crate) struct Objects {
    /// A text that is in every object's description and value, and in no argument.
    pub(crate) marker: String,
    pub(crate) key: &'static str,
    pub(crate) key_id: i64,
    pub(crate) ciphertext: String,
    /// An association for each name of a command about one.
    pub(crate) assocs: BTreeMap<String, String>,
    /// The root of a tree for each name of a command about one.
    pub(crate) uid_roots: BTreeMap<String, String>,
    /// Temporary credentials for each name of a command about some.
    pub(crate) leases: BTreeMap<String, String>,
    pub(crate) owner_password: String,
    /// What gateways' configurations have to say.
    pub(crate) signer: Value,
    /// The same for a directory.
    pub(crate) directory: Value,
    /// Access id and key of one who may read the audit log and nothing else.
    pub(crate) log_reader: (String, String),
    /// A service account's key file, in base64.
    pub(crate) key_file: String,
    /// The certificate of an authority, in base64.
    pub(crate) authority: String,
    /// An order of the owner that changes nothing.
    pub(crate) order: String,
}

impl Objects {
    /// Makes them all.
    pub(crate) fn make(server: &Server, admin: &Api, list: &[Spec]) -> Self {
        let marker = format!("marker-{:016x}", random());
        let key = "/walk-key";
        let args = json!({"name": key, "alg": "AES256GCM", "description": marker});
        admin.ok("create-dfc-key", args);
        let encrypted = admin.ok("encrypt", json!({"key-name": key, "plaintext": marker}));
        let directory = directory(admin);
        let mut objects = Self {
            marker,
            key,
            key_id: admin.describe(key)["item_id"].as_i64().unwrap(),
            ciphertext: encrypted["result"].as_str().unwrap().to_owned(),
            assocs: BTreeMap::new(),
            uid_roots: BTreeMap::new(),
            leases: BTreeMap::new(),
            signer: signer(admin),
            log_reader: log_reader(admin),
            key_file: key_file(&directory),
            directory,
            owner_password: server.bootstrap.owner_password(),
            authority: base64(&std::fs::read(&server.bootstrap.ca_file).unwrap()),
            order: harmless_order(server),
        };
        for spec in list {
            for (name, _) in spec.names() {
                objects.make_for(admin, spec, name);
            }
        }
        objects
    }

    fn make_for(&mut self, admin: &Api, spec: &Spec, name: &str) {
        if self.make_for_ways_in(admin, spec, name) {
            return;
        }
        let at = |leaf: &str| format!("/walk/{name}/{leaf}");
        let marker = self.marker.as_str();
        let described = |path: String| json!({"name": path, "description": marker});
        match spec.noun.as_str() {
            "Items" => {
                for path in [at("secret"), at("source/secret")] {
                    let mut args = described(path.clone());
                    args["value"] = marker.into();
                    admin.ok("create-secret", args);
                    admin.add_version(&path, &format!("{marker} again"));
                }
                if name.ends_with("assoc-target-item") {
                    make_target(admin, described(at("to")), "web", None);
                }
                if name == "delete-assoc-target-item" {
                    let (item, target) = (at("secret"), at("to"));
                    let args =
                        json!({"name": item, "target-name": target, "sra-association": true});
                    admin.ok("assoc-target-item", args);
                }
            }
            "Targets" => {
                let kind = KINDS.iter().filter(|kind| name.contains(*kind));
                // The names of some begin like others.
                let kind = kind.max_by_key(|kind| kind.len()).unwrap_or(&"db");
                make_target(admin, described(at("target")), kind, None);
            }
            "Dynamic secrets" => {
                let id = make_dynamic_secret(admin, spec, name, &described);
                self.leases.extend(id.map(|id| (name.to_owned(), id)));
            }
            "Rotated secrets" => make_rotated_secret(admin, name, &described),
            "Folders" => drop(admin.ok("folder-create", described(at("folder")))),
            "Roles" => {
                admin.ok("create-role", described(at("role")));
                let rule = ("item-rule", format!("/walk/{name}/*"), "list");
                let rule = (rule.0, rule.1.as_str(), rule.2);
                admin.ok("set-role-rule", crate::kit::rule_args(&at("role"), rule));
                admin.ok("auth-method-create-api-key", described(at("method")));
                if spec.has("assoc-id") {
                    let args = json!({"role-name": at("role"), "am-name": at("method")});
                    let made = admin.ok("assoc-role-am", args);
                    let id = made["assoc_id"].as_str().unwrap().to_owned();
                    self.assocs.insert(name.to_owned(), id);
                }
            }
            "Groups" => {
                let mut args = described(at("group"));
                args["group-alias"] = format!("walk-{name}").into();
                admin.ok("create-group", args);
            }
            "Keys" if spec.has("name") && spec.right().is_some_and(|(_, c)| c != "create") => {
                let mut args = described(at("key"));
                args["alg"] = "AES256GCM".into();
                admin.ok("create-dfc-key", args);
            }
            "Gateway" if name.contains("k8s-auth-config") => {
                let mut args = self.signer.clone();
                args["name"] = name.into();
                admin.ok("gateway-create-k8s-auth-config", args);
            }
            "Keys" | "Session" | "Account" | "Audit" | "Gateway" => {}
            noun => panic!("the walk makes no objects for commands about {noun}: add some"),
        }
    }

    /// The same for auth methods, if the command is about those.
    fn make_for_ways_in(&mut self, admin: &Api, spec: &Spec, name: &str) -> bool {
        let at = |leaf: &str| format!("/walk/{name}/{leaf}");
        let marker = self.marker.as_str();
        let described = |path: String| json!({"name": path, "description": marker});
        match spec.noun.as_str() {
            "Auth methods" if name.ends_with("-universal-identity") => {
                admin.ok("auth-method-create-universal-identity", described(at("method")));
            }
            "Universal identity" => {
                admin.ok("auth-method-create-universal-identity", described(at("method")));
                let method = json!({"auth-method-name": at("method")});
                admin.ok("uid-generate-token", method.clone());
                let tree = admin.ok("uid-list-children", method);
                let id = tree["root"]["id"].as_str().unwrap().to_owned();
                self.uid_roots.insert(name.to_owned(), id);
            }
            "Auth methods" => {
                let mut args = described(at("method"));
                let kind = kind_of(name).filter(|_| name.contains("update")).unwrap_or("api-key");
                if kind != "api-key" {
                    args.as_object_mut().unwrap().extend(own_arguments(kind, &self.authority));
                }
                admin.ok(&format!("auth-method-create-{kind}"), args);
            }
            _ => return false,
        }
        true
    }
}

fn make_target(admin: &Api, mut args: Value, kind: &str, db_type: Option<&str>) {
    args.as_object_mut().unwrap().extend(target_of(kind, db_type));
    admin.ok(&format!("target-create-{kind}"), args);
}

/// With a target of its own; gives the id of its temporary credentials, where the command wants
/// some.
fn make_dynamic_secret(
    admin: &Api,
    spec: &Spec,
    name: &str,
    described: &dyn Fn(String) -> Value,
) -> Option<String> {
    let at = |leaf: &str| format!("/walk/{name}/{leaf}");
    let kind = engine_of(name).unwrap_or_else(|| "postgresql".to_owned());
    let of = engine(&kind);
    let mut args = described(at("dynamic"));
    if let Some((target, db_type)) = of.target {
        make_target(admin, described(at("target")), &target, db_type.as_deref());
        args["target-name"] = at("target").into();
    }
    args.as_object_mut().unwrap().extend(of.fields);
    admin.ok(&of.create, args);
    let value = || admin.ok("dynamic-secret-get-value", json!({"name": at("dynamic")}));
    spec.has("tmp-creds-id").then(|| value()["id"].as_str().unwrap().to_owned())
}

/// With a target of its own, and somebody there whose password can change.
fn make_rotated_secret(admin: &Api, name: &str, described: &dyn Fn(String) -> Value) {
    let at = |leaf: &str| format!("/walk/{name}/{leaf}");
    let kind = rotator_of(name).unwrap_or("postgresql");
    let (target, db_type, fields) = rotated(kind);
    make_target(admin, described(at("target")), &target, db_type.as_deref());
    let mut args = described(at("rotated"));
    args["target-name"] = at("target").into();
    args.as_object_mut().unwrap().extend(fields);
    if ["gateway-rotate-secret", "rotated-secret-check"].contains(&name) {
        let user = format!("walk_rotated_{:x}", random());
        shared().sql("postgres", &format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'"));
        args["rotated-username"] = user.into();
        args["rotated-password"] = PASSWORD.into();
    }
    admin.ok(&format!("rotated-secret-create-{kind}"), args);
}

/// Everything an administrator sees of the account.
pub(crate) fn everything(admin: &Api) -> Value {
    let items = without_uses(admin.ok("list-items", json!({})));
    let secrets = items["items"].as_array().unwrap().iter();
    let secrets: Vec<_> = secrets.filter(|item| item["item_type"] == "STATIC_SECRET").collect();
    let names: Vec<_> = secrets.iter().map(|item| item["item_name"].clone()).collect();
    json!({
        "values": admin.ok("get-secret-value", json!({"names": names, "version": -20})),
        "items": items,
        "targets": without_uses(admin.ok("target-list", json!({}))),
        "folders": admin.ok("list-items", json!({"path": "/walk/"}))["folders"],
        "roles": without_uses(admin.ok("list-roles", json!({}))),
        "groups": admin.ok("list-group", json!({})),
        "methods": without_uses(admin.ok("auth-method-list", json!({}))),
        "settings": admin.ok("get-account-settings", json!({})),
    })
}

/// The same for a directory that is not asked.
fn directory(admin: &Api) -> Value {
    let made = admin.ok("auth-method-create-ldap", json!({"name": "/walk-ldap"}));
    json!({
        "access-id": made["access_id"], "signing-key-data": made["prv_key"],
        "ldap-url": "ldaps://127.0.0.1:6360", "user-dn": "ou=people",
    })
}

/// A service account's key file with the key of a directory's auth method.
fn key_file(directory: &Value) -> String {
    let pem = STANDARD.decode(directory["signing-key-data"].as_str().unwrap()).unwrap();
    let pem = String::from_utf8(pem).unwrap();
    let file = json!({"client_email": "logs@project.example", "private_key": pem});
    base64(file.to_string().as_bytes())
}

/// One whom the gateway reads the audit log as, and a target that it does not send to.
fn log_reader(admin: &Api) -> (String, String) {
    let (name, person) = ("/walk-log-reader", admin.new_person("/walk-log-reader"));
    admin.ok("create-role", json!({"name": name, "audit-access": "all"}));
    admin.associate(name, &person);
    let (id, key) = (person.access_id, person.access_key);
    admin
        .ok("gateway-update-log-reader", json!({"reader-access-id": id, "reader-access-key": key}));
    admin.ok("gateway-update-log-forwarding-stdout", json!({"enable": "false"}));
    (id, key)
}

/// An auth method that a gateway signs for, its key, and a cluster that is not asked.
fn signer(admin: &Api) -> Value {
    let made = admin.ok("auth-method-create-k8s", json!({"name": "/walk-k8s"}));
    json!({
        "access-id": made["access_id"], "signing-key": made["prv_key"],
        "k8s-host": "https://127.0.0.1:6443",
    })
}

/// The same without the times of last uses, which reading changes.
fn without_uses(mut answer: Value) -> Value {
    let lists = answer.as_object_mut().unwrap().values_mut().filter_map(Value::as_array_mut);
    for object in lists.flatten().filter_map(Value::as_object_mut) {
        object.retain(|name, _| !name.starts_with("access_date"));
    }
    answer
}

/// Unfreezes a key that there is not.
fn harmless_order(server: &Server) -> String {
    let data = server.bootstrap.ca_file.parent().and_then(Path::parent).unwrap();
    let scope = FreezeScope::Key { account: AccountId(Uid([1; 16])), id: Uid([2; 16]) };
    order(data, 0, OrderAction::Unfreeze { scope }, &owner_key(data))
}
