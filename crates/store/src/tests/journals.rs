//! What is known of gateways' journals: forgotten without looking at all of them.

use super::fixture::*;
use crate::gateway_journals::FORGET;
use crate::store::database_file;

#[test]
fn what_is_old_is_found_by_its_index() {
    let Fixture { store, folder, .. } = Fixture::new();
    drop(store);
    let file = rusqlite::Connection::open(database_file(folder.path())).unwrap();
    let plan: Vec<String> = file
        .prepare(&format!("EXPLAIN QUERY PLAN {FORGET}"))
        .unwrap()
        .query_map([0], |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(plan.iter().any(|step| step.contains("gateway_journals_by_seen")), "{plan:?}");
    assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{plan:?}");
}
