//! Listings through the API: filters, folders, and walking many pages.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::{Api, Site};

/// Items for three pages.
const MANY: usize = 2_500;
/// Items of one page.
const PAGE: usize = 1_000;

fn names(listing: &Value) -> Vec<String> {
    let items = listing["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["item_name"].as_str().unwrap().to_owned()).collect()
}

/// Walks all pages as official clients do: until one is empty.
fn walk(api: &Api, mut args: Value) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = api.ok("list-items", args.clone());
        let found = names(&page);
        let next = page["next_page"].as_str().unwrap().to_owned();
        if found.is_empty() {
            assert_eq!((next.as_str(), &page["has_next"]), ("", &json!(false)), "{page}");
            return pages;
        }
        let token: Value = serde_json::from_slice(&STANDARD.decode(&next).unwrap()).unwrap();
        assert_eq!(token["i"], found[found.len() - 1].as_str());
        assert_eq!(page["has_next"], found.len() == PAGE && pages.len() < 2, "{}", pages.len());
        pages.push(found);
        assert!(pages.len() < 10, "the walk does not end");
        args["pagination-token"] = next.into();
    }
}

#[test]
fn thousands_of_items_come_in_pages_or_all_at_once() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let expected: BTreeSet<_> = (0..MANY).map(|n| format!("/many/{n:04}")).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let admin = admin.clone();
            scope.spawn(move || {
                for n in (thread..MANY).step_by(8) {
                    admin.store(&format!("/many/{n:04}"), "v");
                }
            });
        }
    });
    let sorted: Vec<_> = expected.iter().cloned().collect();
    for filter in [json!({}), json!({"path": "/many/"}), json!({"filter": "/many/"})] {
        let all = admin.ok("list-items", filter.clone());
        assert_eq!(names(&all), sorted, "{filter}");
        assert_eq!((&all["has_next"], &all["next_page"]), (&json!(false), &json!("")));
        let mut paged = filter.clone();
        paged["auto-pagination"] = "disabled".into();
        let pages = walk(&admin, paged);
        let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
        assert_eq!((lengths, pages.concat()), (vec![PAGE, PAGE, MANY - 2 * PAGE], sorted.clone()));
    }
    // A filter inside the pages skips without losing any.
    let some = walk(&admin, json!({"filter": "7", "auto-pagination": "disabled"})).concat();
    let wanted: Vec<_> = sorted.iter().filter(|name| name.contains('7')).cloned().collect();
    assert_eq!(some, wanted);
    // So does a caller who sees few of them.
    let rules = [("item-rule", "/many/1*", "read"), ("item-rule", "/many/15*", "deny")];
    let person = admin.person_who_may("/people/p", &rules).api;
    let wanted: Vec<_> = sorted
        .iter()
        .filter(|name| name.starts_with("/many/1") && !name.starts_with("/many/15"))
        .cloned()
        .collect();
    let seen = walk(&person, json!({"auto-pagination": "disabled"})).concat();
    assert_eq!(seen, wanted);
    assert_eq!(names(&person.ok("list-items", json!({}))), wanted);
    // All of them in one read, and all of them gone in one call.
    let read = json!({ "names": sorted[..PAGE] });
    assert_eq!(admin.ok("get-secret-value", read).as_object().unwrap().len(), PAGE);
    admin.refused(400, "get-secret-value", json!({ "names": sorted[..=PAGE] }));
    let deleted = admin.ok("delete-items", json!({"path": "/many"}));
    assert_eq!(deleted["deleted_items"].as_array().unwrap().len(), MANY);
    assert_eq!(admin.ok("list-items", json!({}))["items"], Value::Null);
}

#[test]
fn a_listing_shows_a_folder_or_everything_and_obeys_filters() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for name in ["/a/one", "/a/two", "/a/b/three", "/a/b/c/four", "/ab/five", "/six"] {
        admin.store(name, "v");
    }
    admin.ok("create-dfc-key", json!({"name": "/a/key", "alg": "AES128GCM", "tag": ["t1"]}));
    admin.ok("folder-create", json!({"name": "/a/empty"}));
    let password = json!({
        "name": "/a/login", "value": "", "type": "password", "username": "u", "password": "p",
        "tags": ["t1", "t2"],
    });
    admin.ok("create-secret", password);
    let list = |args: Value| {
        let listed = admin.ok("list-items", args);
        let folders = listed["folders"].as_array().cloned().unwrap_or_default();
        let folders: Vec<_> = folders.iter().map(|f| f.as_str().unwrap().to_owned()).collect();
        (names(&listed), folders)
    };
    assert_eq!(list(json!({"path": "/a"})).0, ["/a/key", "/a/login", "/a/one", "/a/two"]);
    assert_eq!(list(json!({"path": "a/"})).1, ["/a/b/", "/a/empty/"]);
    assert_eq!(
        list(json!({"path": "/"})),
        (vec!["/six".to_owned()], vec!["/a/".to_owned(), "/ab/".to_owned()])
    );
    assert_eq!(list(json!({"path": "/none"})), (vec![], vec![]));
    assert_eq!(list(json!({})).0.len(), 8);
    assert_eq!(list(json!({"type": ["key"]})).0, ["/a/key"]);
    assert_eq!(
        list(json!({"type": ["static-secret"], "filter": "/b/"})).0,
        ["/a/b/c/four", "/a/b/three"]
    );
    assert_eq!(
        list(json!({"type": ["key", "static-secret"], "tag": "t1"})).0,
        ["/a/key", "/a/login"]
    );
    assert_eq!(list(json!({"tag": "t"})).0, Vec::<String>::new(), "tags match exactly");
    assert_eq!(list(json!({"sub-types": ["password"]})).0, ["/a/login"]);
    assert_eq!(list(json!({"filter": "o"})).0.len(), 4);
    assert_eq!(list(json!({"modified-after": 4_000_000_000_i64})).0, Vec::<String>::new());
    // Folders in which nothing may be seen do not show.
    let person = admin.person_who_may("/people/p", &[("item-rule", "/a/b/c/*", "list")]).api;
    let listed = person.ok("list-items", json!({"path": "/"}));
    assert_eq!((names(&listed), &listed["folders"]), (vec![], &json!(["/a/"])));
    let listed = person.ok("list-items", json!({"path": "/a/"}));
    assert_eq!((names(&listed), &listed["folders"]), (vec![], &json!(["/a/b/"])));
    let listed = person.ok("list-items", json!({"path": "/ab/"}));
    assert_eq!((names(&listed), &listed["folders"]), (vec![], &Value::Null));
}

#[test]
fn roles_and_methods_are_listed_in_pages_too() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for n in 0..30 {
        admin.new_role(&format!("/team/{n:02}"), &[]);
        admin.ok("auth-method-create-api-key", json!({"name": format!("/team/{n:02}")}));
    }
    for (command, list, field) in [
        ("list-roles", "roles", "role_name"),
        ("auth-method-list", "auth_methods", "auth_method_name"),
    ] {
        let listed = admin.ok(command, json!({"filter": "team/"}));
        let found = listed[list].as_array().unwrap();
        assert_eq!(found.len(), 30, "{command}");
        assert_eq!(found[3][field], "team/03", "{command}");
        let middle = STANDARD.encode(json!({"i": "/team/19"}).to_string());
        let rest = json!({"filter": "team/", "pagination-token": middle});
        let rest = admin.ok(command, rest)[list].take();
        assert_eq!((rest.as_array().unwrap().len(), &rest[0][field]), (10, &json!("team/20")));
        let last = listed["next_page"].as_str().unwrap();
        let after = json!({"filter": "team/", "pagination-token": last});
        let after = admin.ok(command, after);
        assert_eq!((&after[list], &after["next_page"]), (&Value::Null, &json!("")), "{command}");
        for bad in ["x", "e30=", &STANDARD.encode("{}"), &STANDARD.encode(r#"{"i": 5}"#)] {
            admin.refused(400, command, json!({"pagination-token": bad}));
        }
    }
    let kinds = admin.ok("auth-method-list", json!({"type": ["email"]}))["auth_methods"].take();
    assert_eq!(kinds.as_array().unwrap().len(), 1, "{kinds}");
}
