//! What edits make of a document. That gateways share one is tested with whole processes.

use keysherd_api::Config;
use keysherd_base::{AccessId, Secret, Uid};

use super::*;

fn entry(name: &str, body: &str) -> Entry {
    Entry::new(Config {
        account: AccountId(Uid([1; 16])),
        kind: "k8s",
        name: name.to_owned(),
        access_id: AccessId::parse("p-0123456789ab").unwrap(),
        body: Secret::new(body.to_owned()),
    })
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn an_edit_adds_replaces_and_renames_one_entry() {
    let mut entries = Vec::new();
    put(&mut entries, &entry("a", "1"), None).unwrap();
    put(&mut entries, &entry("b", "1"), None).unwrap();
    let refused = put(&mut entries, &entry("a", "2"), None).unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Conflict);
    put(&mut entries, &entry("a", "2"), Some("a")).unwrap();
    assert_eq!(names(&entries), ["b", "a"]);
    assert_eq!(entries[1].body().expose(), "2");
    put(&mut entries, &entry("c", "3"), Some("a")).unwrap();
    assert_eq!(names(&entries), ["b", "c"]);
    // Renaming cannot swallow another one.
    let refused = put(&mut entries, &entry("b", "4"), Some("c")).unwrap_err();
    assert_eq!((refused.kind(), names(&entries)), (FaultKind::Conflict, vec!["b", "c"]));
}

#[test]
fn there_is_a_most_and_replacing_does_not_exceed_it() {
    let mut entries = Vec::new();
    for number in 0..CONFIGS_MAX {
        put(&mut entries, &entry(&number.to_string(), ""), None).unwrap();
    }
    let refused = put(&mut entries, &entry("one more", ""), None).unwrap_err();
    assert_eq!(refused.kind(), FaultKind::BadRequest);
    put(&mut entries, &entry("7", "new"), Some("7")).unwrap();
    assert_eq!(entries.len(), CONFIGS_MAX);
}

#[test]
fn a_document_of_another_shape_is_not_half_read() {
    let good = Document { format: FORMAT, entries: vec![entry("a", "1")] };
    let text = serde_json::to_string(&good).unwrap();
    let read: Document = serde_json::from_str(&text).unwrap();
    assert!(read.entries == good.entries && read.format == FORMAT);
    let more = text.replacen('{', r#"{"unknown":1,"#, 1);
    assert!(serde_json::from_str::<Document>(&more).is_err());
}
