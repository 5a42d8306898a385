//! Answers as large as they get, and those that would be larger.

use serde_json::{Value, json};

use crate::kit::Site;

#[test]
fn values_are_read_together_up_to_32_mib() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    // Each character is two in JSON, so the answer outgrows what its values have.
    let value = "\"".repeat(1_000_000);
    let names: Vec<_> = (0..34).map(|n| format!("/large/{n}")).collect();
    for name in &names {
        admin.store(name, &value);
    }
    let read = admin.ok("get-secret-value", json!({ "names": names[..33] }));
    let read = read.as_object().unwrap();
    assert_eq!(read.len(), 33);
    assert!(read.values().all(|one| one == value.as_str()), "a value came back altered");
    let text = admin.refused(413, "get-secret-value", json!({ "names": names }));
    assert!(text.contains("more than 32 MiB"), "{text}");
    assert_eq!(admin.read(&names[33]), value, "alone it is not too much");
}

#[test]
fn a_page_of_large_items_ends_early_and_none_is_left_out() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let tags: Vec<_> = (0..100).map(|n| format!("{n:0>256}")).collect();
    let description = "d".repeat(16 * 1024);
    let names: Vec<_> = (0..850).map(|n| format!("/large/{n:03}")).collect();
    for name in &names {
        let described = json!({"description": description, "tags": tags});
        let mut args = json!({"name": name, "value": "v"});
        args.as_object_mut().unwrap().extend(described.as_object().unwrap().clone());
        admin.ok("create-secret", args);
    }
    let (mut found, mut pages, mut token) = (Vec::new(), 0, Value::Null);
    loop {
        let mut page = admin.ok("list-items", json!({"path": "/large", "pagination-token": token}));
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|item| item["item_name"].as_str().unwrap().to_owned()));
        pages += 1;
        token = page["next_page"].take();
        if page["has_next"] == false {
            break;
        }
    }
    assert_eq!((found, pages), (names, 2));
}
