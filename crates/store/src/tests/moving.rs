//! Moving folders: all or nothing, into and out of one another.

use keysherd_base::{Fault, FaultKind};

use super::fixture::*;
use crate::items::{self, Page, Scope};
use crate::{Store, auth_methods, folders, roles};

const LATER: keysherd_base::Timestamp = keysherd_base::Timestamp(NOW.0 + 1);

fn move_items(store: &Store, from: &str, to: &str) -> Result<usize, Fault> {
    let (from, to) = (folder(from), folder(to));
    change(store, move |tx| items::move_folder(tx, ACCOUNT, &from, &to, LATER))
}

fn names(store: &Store) -> Vec<String> {
    let page = Page { scope: Scope::All, after: None, modified_after: None, limit: usize::MAX };
    let found = see(store, |q| items::page(q, ACCOUNT, &page));
    found.into_iter().map(|item| item.path.as_str().to_owned()).collect()
}

/// Moves `from` to `to` among items with the names `before`, which must then have those of `after`.
fn check(before: &'static [&str], (from, to): (&str, &str), after: &[&str]) {
    let fixture = Fixture::new();
    let store = &fixture.store;
    change(store, move |tx| {
        before.iter().try_for_each(|name| items::insert(tx, &item(name)).map(drop))
    })
    .unwrap();
    let moved = move_items(store, from, to).unwrap();
    assert_eq!(names(store), after, "{from} to {to}");
    let changed =
        Page { scope: Scope::All, after: None, modified_after: Some(NOW), limit: usize::MAX };
    assert_eq!(see(store, |q| items::page(q, ACCOUNT, &changed)).len(), moved);
    // The folder column has moved along.
    for name in after {
        let parent = path(name).parent();
        let page = Page { scope: Scope::Directly(&parent), ..changed };
        let page = Page { modified_after: None, ..page };
        let found = see(store, |q| items::page(q, ACCOUNT, &page));
        assert!(found.iter().any(|item| item.path.as_str() == *name), "{name} in {parent}");
    }
}

#[test]
pub(super) fn everything_below_moves_and_nothing_else() {
    check(
        &["/a", "/a/1", "/a/b/2", "/ab/3", "/x/4"],
        ("/a", "/new/home"),
        &["/a", "/ab/3", "/new/home/1", "/new/home/b/2", "/x/4"],
    );
    check(&["/a/1", "/x/2"], ("/a", "/x"), &["/x/1", "/x/2"]);
    check(&["/a/1"], ("/none", "/x"), &["/a/1"]);
    check(&["/a/1"], ("/a", "/a"), &["/a/1"]);
}

#[test]
pub(super) fn folders_move_into_and_out_of_one_another() {
    check(&["/a/b/x", "/a/x"], ("/a", "/a/b"), &["/a/b/b/x", "/a/b/x"]);
    check(&["/a/b/b/x", "/a/b/x", "/a/y"], ("/a/b", "/a"), &["/a/b/x", "/a/x", "/a/y"]);
    check(&["/a/1", "/b/2"], ("/", "/all"), &["/all/a/1", "/all/b/2"]);
    check(&["/a/1", "/b/2"], ("/a", "/"), &["/1", "/b/2"]);
}

#[test]
pub(super) fn names_beyond_ascii_and_with_patterns_move_whole() {
    check(&["/日本/%_/é", "/日本語/x"], ("/日本", "/ä'b"), &["/ä'b/%_/é", "/日本語/x"]);
}

#[test]
pub(super) fn a_taken_path_stops_the_whole_move() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let before = ["/a/1", "/a/2", "/a/3", "/b/2"];
    change(store, move |tx| {
        before.iter().try_for_each(|name| items::insert(tx, &item(name)).map(drop))
    })
    .unwrap();
    let fault = move_items(store, "/a", "/b").unwrap_err();
    assert_eq!((fault.kind(), fault.public()), (FaultKind::Conflict, "/b/2 already exists"));
    assert_eq!(names(store), before);
}

#[test]
pub(super) fn a_path_that_gets_too_long_or_too_deep_stops_the_whole_move() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let long = format!("/a/{}", vec!["s".repeat(200); 4].join("/"));
    let name = long.clone();
    change(store, move |tx| items::insert(tx, &item(&name))).unwrap();
    let target = format!("/{}", "t".repeat(250));
    assert_eq!(move_items(store, "/a", &target).unwrap_err().kind(), FaultKind::BadRequest);
    let target = format!("/{}", vec!["d"; 62].join("/"));
    assert_eq!(move_items(store, "/a", &target).unwrap_err().kind(), FaultKind::BadRequest);
    assert_eq!(names(store), [long]);
}

#[test]
pub(super) fn explicit_folders_move_with_themselves() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    change(store, |tx| {
        for name in ["/a", "/a/b", "/a/b/c", "/ab"] {
            folders::insert(tx, &explicit_folder(name))?;
        }
        Ok(())
    })
    .unwrap();
    let move_it = |from: &str, to: &str| {
        let (from, to) = (folder(from), folder(to));
        change(store, move |tx| folders::move_folder(tx, ACCOUNT, &from, &to, LATER))
    };
    let names = || {
        see(store, |q| folders::all_below(q, ACCOUNT, &folder("/")))
            .into_iter()
            .map(|found| found.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(move_it("/a", "/a/b").unwrap(), 3);
    assert_eq!(names(), ["/a/b", "/a/b/b", "/a/b/b/c", "/ab"].map(folder));
    assert_eq!(move_it("/a/b", "/a").unwrap(), 3);
    assert_eq!(names(), ["/a", "/a/b", "/a/b/c", "/ab"].map(folder));
    assert_eq!(move_it("/a", "/ab").unwrap_err().kind(), FaultKind::Conflict);
    assert_eq!(move_it("/a", "/").unwrap(), 3);
    assert_eq!(names(), ["/ab", "/b", "/b/c"].map(folder), "the root is no explicit folder");
}

#[test]
pub(super) fn roles_and_methods_move_too() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let moved = change(store, |tx| {
        roles::insert(tx, &role("/ops/reader"))?;
        auth_methods::insert(tx, &method("/ops/ci", "p-aaaaaaaaaaaa"))?;
        let (from, to) = (folder("/ops"), folder("/infra"));
        let roles = roles::move_folder(tx, ACCOUNT, &from, &to, LATER)?;
        Ok((roles, auth_methods::move_folder(tx, ACCOUNT, &from, &to, LATER)?))
    });
    assert_eq!(moved.unwrap(), (1, 1));
    let role = see(store, |q| roles::by_path(q, ACCOUNT, &path("/infra/reader"))).unwrap();
    assert_eq!((role.path, role.modified), (path("/infra/reader"), LATER));
    assert!(see(store, |q| auth_methods::by_path(q, ACCOUNT, &path("/infra/ci"))).is_some());
}
