//! Credentials that look alike.

use keysherd_base::{FaultKind, SecretString};

use super::*;

fn one(id: &str, label: &str, begins: &str, ends: &str) -> Listed {
    let text = str::to_owned;
    Listed { id: text(id), label: text(label), begins: text(begins), ends: text(ends) }
}

fn there(all: Vec<Listed>) -> There {
    There { all, field: "api-id" }
}

fn credential(id: &str, text: &str) -> Credential {
    Credential::of_user(id, &SecretString::new(text.to_owned()))
}

#[test]
fn one_is_found_by_its_id_or_else_by_what_is_shown_of_it() {
    let there = there(vec![
        one("a", "by hand", "sk-1", "xyz"),
        one("b", "keysherd after a", "sk-2", "xyz"),
        one("c", "", "", ""),
        one("d", "keysherd after a", "sk-2", "abc"),
        one("e", "keysherd after e", "sk-1", "xyz"),
    ]);
    assert_eq!(there.find(&credential("b", "sk-2 xyz")).unwrap(), Some("b"));
    assert_eq!(there.find(&credential("c", "anything")).unwrap(), Some("c"), "nothing is shown");
    for text in ["anything", "sk-2 abc", "sk-1 xyz", ""] {
        let fault = there.find(&credential("b", text)).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Conflict, "{text}");
        assert!(fault.public().contains("api-id") && !fault.public().contains("sk-"), "{fault}");
    }
    assert_eq!(there.find(&credential("f", "sk-1 xyz")).unwrap(), None);
    assert_eq!(there.find(&credential("", "sk-2 abc")).unwrap(), Some("d"));
    assert_eq!(there.find(&credential("", "other")).unwrap(), None, "nothing shown is no match");
    let fault = there.find(&credential("", "sk-1 xyz")).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Conflict);
    assert!(fault.public().contains("api-id") && !fault.public().contains("sk-1"), "{fault}");
    assert_eq!(there.after("a").collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(there.after("e").count(), 0, "never the one itself");
}

#[test]
fn what_looks_like_the_old_one_is_not_taken_for_it() {
    let label = label("a");
    let listed = || vec![one("b", &label, "new", ""), one("x", "", "old", "")];
    let (old, new) = (credential("", "old one"), credential("b", "new one"));
    // It is gone already, and somebody else's begins like it.
    assert_eq!(there(listed()).find_old(&new, &old).unwrap(), None);
    let mut all = listed();
    all.push(one("a", "", "old", ""));
    assert_eq!(there(all).find_old(&new, &old).unwrap(), Some("a"));
    // What has its id and looks otherwise is another one.
    let mut all = listed();
    all.push(one("a", "", "else", ""));
    assert_eq!(there(all).find_old(&new, &old).unwrap(), None);
    // The current one was given by hand: nobody knows what it came after.
    let given = credential("x", "old other");
    assert_eq!(there(listed()).find_old(&given, &old).unwrap(), None, "not the current one");
    assert_eq!(there(listed()).find_old(&given, &new).unwrap(), Some("b"));
    assert_eq!(there(listed()).find_old(&new, &new).unwrap(), None);
    // The id of either is that of another one.
    for (current, old) in [
        (credential("b", ""), &new),
        (credential("x", "new one"), &old),
        (credential("b", "new one"), &credential("x", "else")),
    ] {
        let fault = there(listed()).find_old(&current, old).unwrap_err();
        assert!(fault.public().contains("api-id"), "{fault}");
    }
}
