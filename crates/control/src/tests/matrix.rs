//! Who may do what where: roles by commands by places, printed as one table that is reviewed, and
//! what the administrator of another account gets from the very same requests.
//!
//! The places are a folder that the role's rules cover, one in it that they deny to one of the
//! roles, and one elsewhere.

use std::fmt::Write as _;

use keysherd_base::{AssocId, Fault, FaultKind, FolderPath};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::item::ItemState;
use keysherd_domain::role::{Capability, Rule, RuleKind};
use keysherd_plane::accounts::{AccountEdit, AccountGet};
use keysherd_plane::auth_methods::{MethodDelete, MethodGet, MethodUpdate, MethodsDelete};
use keysherd_plane::explain::AccessExplain;
use keysherd_plane::grants::ItemRef;
use keysherd_plane::groups::{GroupCreate, GroupList};
use keysherd_plane::items::{
    DeleteVersions, FolderCreate, FolderDelete, FolderGet, FolderUpdate, ItemDelete, ItemDescribe,
    ItemLockSet, ItemStateSet, ItemUnlock, ItemUpdate, ItemUpdateParts, MovedObjects, ObjectsMove,
};
use keysherd_plane::merge::RolesMerge;
use keysherd_plane::roles::{
    AssocCreate, AssocDelete, AssocGet, AssocUpdate, PermissionsDescribe, ReverseRbac, RoleCreate,
    RoleDelete, RoleGet, RoleUpdate, RolesDelete, RuleDelete, RuleSet,
};
use keysherd_plane::{Reply, Request};

use crate::testing::{GATEWAY, World, item, method, role, rule};

const PLACES: [&str; 3] = ["/team", "/team/locked", "/other"];
const ALL: &str = "read,create,update,delete,list";
/// In every object's name, so that it can be looked for in answers to strangers.
const MARKER: &str = "marked";
const SNAPSHOT: &str = include_str!("matrix.txt");

/// The roles of the table.
fn roles() -> Vec<(&'static str, Vec<Rule>)> {
    let items = |capability: &str| vec![rule(RuleKind::Item, "/team/*", capability)];
    let over = |kind: RuleKind| vec![rule(kind, "/team/*", ALL)];
    let mut denied = items(ALL);
    denied.push(rule(RuleKind::Item, "/team/locked/*", "deny"));
    let mut both = over(RuleKind::Role);
    both.extend(over(RuleKind::AuthMethod));
    let mut all = both.clone();
    all.extend(items(ALL));
    vec![
        ("no role", vec![]),
        ("items: list", items("list")),
        ("items: read", items("read")),
        ("items: create", items("create")),
        ("items: update", items("update")),
        ("items: delete", items("delete")),
        ("items: all", items(ALL)),
        ("items: all, locked denied", denied),
        ("roles: all", over(RuleKind::Role)),
        ("auth methods: all", over(RuleKind::AuthMethod)),
        ("roles, auth methods: all", both),
        ("items, roles, methods: all", all),
        ("audit: all", vec![rule(RuleKind::Search, "/*", "read")]),
        ("access reviews: all", vec![rule(RuleKind::ReverseRbac, "/*", "read")]),
    ]
}

fn at(place: &str, command: &str) -> String {
    format!("{place}/{MARKER}-{command}")
}

fn folder(path: &str) -> FolderPath {
    FolderPath::parse(path).unwrap()
}

fn about_items(place: &str) -> Vec<(&'static str, Request)> {
    let path = |command: &str| item(&at(place, command));
    let below = |command: &str| folder(&at(place, command));
    let delete = ItemDelete {
        path: path("delete-item"),
        versions: DeleteVersions::All,
        in_days: 0,
        immediately: true,
        force: false,
    };
    let lock = ItemLockSet { path: path("lock-item"), read: true, update: true, ttl_minutes: 5 };
    let state =
        ItemStateSet { path: path("set-item-state"), version: None, state: ItemState::Disabled };
    let described = ItemUpdateParts { description: Some("d".to_owned()), ..Default::default() };
    let change = ItemUpdate { path: path("update-item"), parts: described };
    let make = FolderCreate {
        path: below("folder-create"),
        description: String::new(),
        tags: Vec::new(),
        delete_protection: None,
    };
    let refolder = FolderUpdate {
        path: below("folder-update"),
        description: Some("d".to_owned()),
        add_tags: Vec::new(),
        remove_tags: Vec::new(),
        delete_protection: None,
    };
    let shift = ObjectsMove {
        objects: MovedObjects::Items,
        source: below("move-objects"),
        target: below("moved"),
    };
    let look = ItemDescribe { item: ItemRef::Path(path("describe-item")), with_versions: false };
    vec![
        ("describe-item", look.into()),
        ("update-item", change.into()),
        ("set-item-state", state.into()),
        ("lock-item", lock.into()),
        ("unlock-item", ItemUnlock { path: path("unlock-item") }.into()),
        ("delete-item", delete.into()),
        ("move-objects", shift.into()),
        ("folder-create", make.into()),
        ("folder-get", FolderGet { path: below("folder-get") }.into()),
        ("folder-update", refolder.into()),
        ("folder-delete", FolderDelete { path: below("folder-delete") }.into()),
    ]
}

fn about_identities(place: &str, assocs: &[AssocId; 3]) -> Vec<(&'static str, Request)> {
    let path = |command: &str| item(&at(place, command));
    let pattern = format!("{place}/x");
    let make = RoleCreate { path: path("create-role"), ..role("/x") };
    let update = RoleUpdate {
        path: path("update-role"),
        new_path: None,
        comment: Some("c".to_owned()),
        delete_protection: None,
        rules: Vec::new(),
    };
    let give = rule(RuleKind::Item, &pattern, "read");
    let rule_delete =
        RuleDelete { role: path("delete-role-rule"), kind: RuleKind::Item, path: pattern };
    let join = AssocCreate {
        role: path("assoc-role-am"),
        method: path("assoc-role-am"),
        sub_claims: SubClaims::default(),
        case_sensitive: true,
    };
    let [read, change, remove] = assocs.clone();
    let reassoc = AssocUpdate { id: change, sub_claims: None, case_sensitive: Some(false) };
    let key = SigningKey::generate(&SystemRng).unwrap();
    let create = method(&at(place, "create-method"), MethodShared::default(), &key);
    let remethod = MethodUpdate {
        path: path("update-method"),
        new_path: None,
        shared: Some(MethodShared::default()),
        kind: "api_key".to_owned(),
        settings: None,
        demand_second_factor: None,
    };
    vec![
        ("create-role", make.into()),
        ("get-role", RoleGet { path: path("get-role") }.into()),
        ("update-role", update.into()),
        ("set-role-rule", RuleSet { role: path("set-role-rule"), rule: give }.into()),
        ("delete-role-rule", rule_delete.into()),
        ("delete-role", RoleDelete { path: path("delete-role") }.into()),
        ("delete-roles", RolesDelete { folder: folder(&at(place, "delete-roles")) }.into()),
        ("assoc-role-am", join.into()),
        ("describe-role-am-assoc", AssocGet { id: read }.into()),
        ("update-assoc", reassoc.into()),
        ("delete-assoc", AssocDelete { id: remove }.into()),
        ("auth-method-create", create.into()),
        ("auth-method-get", MethodGet { path: path("get-method") }.into()),
        ("auth-method-update", remethod.into()),
        ("auth-method-delete", MethodDelete { path: path("delete-method") }.into()),
        (
            "delete-auth-methods",
            MethodsDelete { folder: folder(&at(place, "delete-methods")) }.into(),
        ),
    ]
}

fn about_the_account(place: &str) -> Vec<(&'static str, Request)> {
    let path = at(place, "describe-item");
    let (kind, capability) = (RuleKind::Item, Capability::Read);
    let explain =
        AccessExplain { kind, path: path.clone(), capability, bearer: None, all_rules: true };
    let group = GroupCreate {
        path: item(&at(place, "create-group")),
        alias: "g".to_owned(),
        description: String::new(),
        members: Vec::new(),
    };
    vec![
        ("describe-permissions", PermissionsDescribe { kind, path: path.clone() }.into()),
        ("reverse-rbac", ReverseRbac { kind, path }.into()),
        ("access-explain", explain.into()),
        ("get-account-settings", AccountGet.into()),
        ("update-account-settings", AccountEdit.into()),
        ("create-group", group.into()),
        ("list-group", GroupList { filter: None, after: None, limit: 9 }.into()),
        ("roles-merge", RolesMerge { roles: Vec::new(), into: None, apply: false }.into()),
    ]
}

/// Makes what the requests are about; gives the associations.
async fn furnish(world: &World, place: &str) -> [AssocId; 3] {
    let items = ["describe-item", "update-item", "set-item-state", "lock-item", "unlock-item"];
    let mut secrets: Vec<String> = items.iter().map(|command| at(place, command)).collect();
    secrets.push(at(place, "delete-item"));
    secrets.push(format!("{}/secret", at(place, "move-objects")));
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    world.secrets(&secrets).await;
    for command in ["folder-get", "folder-update", "folder-delete"] {
        let make = FolderCreate {
            path: folder(&at(place, command)),
            description: String::new(),
            tags: Vec::new(),
            delete_protection: None,
        };
        world.ask(&world.admin, make).await.unwrap();
    }
    let give = [rule(RuleKind::Item, &format!("{place}/x"), "read")];
    for command in ["get-role", "update-role", "delete-role-rule", "delete-role", "set-role-rule"] {
        let rules = if command == "delete-role-rule" { &give[..] } else { &[] };
        world.role(&at(place, command), rules).await;
    }
    world.role(&format!("{}/one", at(place, "delete-roles")), &[]).await;
    for command in ["get-method", "update-method", "delete-method", "delete-methods/one"] {
        world.api_key(&at(place, command), MethodShared::default()).await;
    }
    world.role(&at(place, "assoc-role-am"), &[]).await;
    world.api_key(&at(place, "assoc-role-am"), MethodShared::default()).await;
    let mut made = Vec::new();
    for command in ["read-assoc", "update-assoc", "delete-assoc"] {
        let name = at(place, command);
        world.role(&name, &[]).await;
        world.api_key(&name, MethodShared::default()).await;
        let join = crate::testing::assoc(&name, &name, SubClaims::default());
        made.push(world.ask(&world.admin, join).await.unwrap().id);
    }
    made.try_into().unwrap()
}

async fn call(world: &World, token: &str, request: Request) -> Result<Reply, Fault> {
    let plane = world.control.plane_for(GATEWAY);
    plane.call(world.caller(token), request).await
}

fn cell(outcome: &Result<Reply, Fault>) -> &'static str {
    match outcome.as_ref().map_err(Fault::kind) {
        Ok(_) => "yes",
        Err(FaultKind::Unauthorized) => "401",
        Err(FaultKind::Forbidden) => "403",
        Err(FaultKind::NotFound) => "404",
        Err(other) => panic!("an outcome that says nothing about rights: {other:?}"),
    }
}

fn requests(place: &str, assocs: &[AssocId; 3]) -> Vec<(&'static str, Request)> {
    let mut requests = about_items(place);
    requests.extend(about_identities(place, assocs));
    requests.extend(about_the_account(place));
    requests
}

#[tokio::test]
async fn roles_by_commands_by_places_are_as_reviewed() {
    let mut table = String::new();
    for (name, rules) in roles() {
        let world = World::new().await;
        let mut rows: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut furnished = Vec::new();
        for place in PLACES {
            furnished.push(furnish(&world, place).await);
        }
        let token = world.user("u", &rules).await;
        for (place, assocs) in PLACES.iter().zip(&furnished) {
            for (row, (command, request)) in requests(place, assocs).into_iter().enumerate() {
                let outcome = cell(&call(&world, &token, request).await);
                match rows.get_mut(row) {
                    Some((_, cells)) => cells.push(outcome),
                    None => rows.push((command, vec![outcome])),
                }
            }
        }
        writeln!(table, "{name}: {}", PLACES.join(" ")).unwrap();
        for (command, cells) in rows {
            writeln!(table, "  {command:<24} {}", cells.join(" ")).unwrap();
        }
        table.push('\n');
    }
    if table != SNAPSHOT {
        let place = std::env::temp_dir().join("keysherd-matrix.txt");
        std::fs::write(&place, &table).unwrap();
        let differs = table.lines().zip(SNAPSHOT.lines()).find(|(new, old)| new != old);
        panic!(
            "the matrix changed ({differs:?}); review {} and replace matrix.txt",
            place.display()
        );
    }
}

#[tokio::test]
async fn another_accounts_administrator_gets_what_they_would_get_if_nothing_were_there() {
    let full = World::new().await;
    let empty = World::new().await;
    let account = format!("{:?}", full.first.id);
    for place in PLACES {
        let assocs = furnish(&full, place).await;
        let [there, nowhere] = [stranger(&full).await, stranger(&empty).await];
        let asked = requests(place, &assocs).into_iter().zip(requests(place, &assocs));
        for ((command, request), (_, same)) in asked {
            let got = call(&full, &there, request).await;
            let expected = call(&empty, &nowhere, same).await;
            match (got, expected) {
                (Err(got), Err(expected)) => {
                    assert_eq!(got.kind(), expected.kind(), "{command}");
                    assert_eq!(got.public(), expected.public(), "{command}");
                    assert_ne!(got.kind(), FaultKind::Conflict, "{command} tells of a name");
                }
                (Ok(got), Ok(_)) => {
                    let text = format!("{got:?}");
                    let own = ["folder-create", "create-group", "list-group"].contains(&command);
                    assert!(own || !text.contains(MARKER), "{command}: {text}");
                    assert!(!text.contains(&account), "{command}: {text}");
                }
                (got, expected) => panic!("{command}: {got:?} instead of {expected:?}"),
            }
        }
    }
}

/// A token of the administrator of an account of its own.
async fn stranger(world: &World) -> String {
    let email = format!("{}@example.com", keysherd_base::Uid::random(&SystemRng).unwrap());
    let other = world.another_account(&email).await;
    world.login(&other.created.admin_access_id, &other.admin_key).await.unwrap().token
}
