//! Listing: order, pages, folders, and names that look like patterns or statements.

use keysherd_base::{FolderPath, Timestamp};

use super::fixture::*;
use crate::items::{self, Page, Scope};
use crate::{Store, folders};

fn list(store: &Store, page: &Page<'_>) -> Vec<String> {
    see(store, |q| items::page(q, ACCOUNT, page))
        .into_iter()
        .map(|item| item.path.as_str().to_owned())
        .collect()
}

fn all_in(scope: Scope<'_>) -> Page<'_> {
    Page { scope, after: None, modified_after: None, limit: usize::MAX }
}

fn insert(store: &Store, names: &'static [&str]) {
    change(store, move |tx| {
        names.iter().try_for_each(|name| items::insert(tx, &item(name)).map(drop))
    })
    .unwrap();
}

#[test]
pub(super) fn names_are_taken_literally() {
    // In the order of their bytes.
    const NAMES: &[&str] = &[
        "/\"quoted\"",
        "/%",
        "/%/x",
        "/'; DROP TABLE items; --",
        "/*",
        "/_",
        "/back\\slash/%_",
        "/tab le/naïve/日本",
        "/{{claim}}",
    ];
    let fixture = Fixture::new();
    let store = &fixture.store;
    insert(store, NAMES);
    assert_eq!(list(store, &all_in(Scope::All)), NAMES);
    for name in NAMES {
        let found = see(store, |q| items::by_path(q, ACCOUNT, &path(name)));
        assert_eq!(found.unwrap().path.as_str(), *name);
    }
    assert_eq!(list(store, &all_in(Scope::Below(&folder("/%")))), ["/%/x"]);
    assert_eq!(list(store, &all_in(Scope::Below(&folder("/_")))), [""; 0]);
    assert_eq!(list(store, &all_in(Scope::Directly(&folder("/back\\slash")))), ["/back\\slash/%_"]);
    let names = see(store, |q| folders::names_in(q, ACCOUNT, &folder("/")));
    assert_eq!(names, ["/%", "/back\\slash", "/tab le"].map(folder));
}

#[test]
pub(super) fn scopes_and_times_select() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    insert(store, &["/a", "/a-b/x", "/a/1", "/a/b/2", "/a/b/c/3", "/a0", "/b"]);
    let a = folder("/a");
    assert_eq!(list(store, &all_in(Scope::Below(&a))), ["/a/1", "/a/b/2", "/a/b/c/3"]);
    assert_eq!(list(store, &all_in(Scope::Directly(&a))), ["/a/1"]);
    assert_eq!(list(store, &all_in(Scope::Directly(&folder("/")))), ["/a", "/a0", "/b"]);
    let mut changed = see(store, |q| items::by_path(q, ACCOUNT, &path("/a/b/2"))).unwrap();
    changed.modified = NOW.plus_seconds(5);
    change(store, move |tx| items::update(tx, &changed)).unwrap();
    for scope in [Scope::All, Scope::Directly(&folder("/a/b"))] {
        let page = Page { modified_after: Some(NOW), ..all_in(scope) };
        assert_eq!(list(store, &page), ["/a/b/2"]);
    }
    let later = Page { modified_after: Some(Timestamp(i64::MAX)), ..all_in(Scope::All) };
    assert_eq!(list(store, &later), [""; 0]);
}

#[test]
pub(super) fn a_hundred_thousand_items_are_listed_in_order() {
    const COUNT: usize = 100_000;
    const FOLDERS: usize = 100;
    let fixture = Fixture::new();
    let store = &fixture.store;
    change(store, |tx| {
        // Inserted in an order that is not the one of their names.
        for n in 0..COUNT {
            let n = n * 7_919 % COUNT;
            items::insert(tx, &item(&format!("/big/f{:02}/{n:06}", n % FOLDERS)))?;
        }
        items::insert(tx, &item("/zzz")).map(drop)
    })
    .unwrap();

    let mut seen = Vec::new();
    let big = folder("/big");
    loop {
        let after = seen.last().map(String::as_str);
        let page = Page { after, limit: 10_000, ..all_in(Scope::Below(&big)) };
        let next = list(store, &page);
        if next.is_empty() {
            break;
        }
        seen.extend(next);
    }
    assert_eq!(seen.len(), COUNT);
    assert!(seen.is_sorted_by(|one, next| one < next));

    let third = FolderPath::parse("/big/f03").unwrap();
    let page = Page { after: Some("/big/f03/050003"), limit: 3, ..all_in(Scope::Directly(&third)) };
    let expected = ["/big/f03/050103", "/big/f03/050203", "/big/f03/050303"];
    assert_eq!(list(store, &page), expected);

    let names = see(store, |q| folders::names_in(q, ACCOUNT, &folder("/big")));
    assert_eq!(names.len(), FOLDERS);
    assert!(names.is_sorted());
    assert_eq!(see(store, |q| folders::names_in(q, ACCOUNT, &folder("/"))), [folder("/big")]);
}
