//! What is stored of hosts, and what people read of it.

use keysherd_base::SecretString;

use super::*;

fn credential(password: &str) -> Credential {
    Credential::of_user("u", &SecretString::new(password.to_owned()))
}

fn hosts() -> Hosts {
    let first = OnHost { current: Some(credential("one")), ..OnHost::default() };
    let second = OnHost {
        current: Some(credential("two")),
        maybe: Some(credential("canary")),
        since: 7,
        behind: true,
        ..OnHost::default()
    };
    let new = OnHost { behind: true, ..OnHost::default() };
    let named = [("a:22", first), ("b:22", second), ("b:23", new)];
    Hosts(named.map(|(name, host)| (name.to_owned(), host)).into_iter().collect())
}

#[test]
fn what_is_stored_is_read_again_and_people_read_only_what_is_in_force() {
    let stored = hosts().stored();
    let again = Hosts::read(&Credential::from_json(stored.to_json().unwrap().expose()).unwrap());
    let again = again.unwrap().unwrap();
    assert_eq!(again.stored().members(), stored.members());
    let second = &again.0["b:22"];
    assert_eq!(second.maybe.as_ref().unwrap().password().unwrap().expose(), "canary");
    assert!(second.behind && second.since == 7 && !second.fresh && again.are_behind());
    let shown = Value::Object(again.all()).to_string();
    assert_eq!(
        shown,
        r#"{"linked_hosts":{"a:22":{"password":"one","username":"u"},"#.to_owned()
            + r#""b:22":{"password":"two","username":"u"}}}"#
    );
    assert!(Hosts::read(&credential("x")).unwrap().is_none(), "of one place");
}

#[test]
fn a_host_is_found_by_its_place_or_by_a_name_that_one_has() {
    let hosts = hosts();
    for name in ["b:22", "B:22", " b ", "b"] {
        assert_eq!(hosts.of_host(name).unwrap()["password"], "two", "{name}");
    }
    // Nothing was ever set on that one.
    for unknown in ["b:23", "c", "", "22"] {
        assert_eq!(hosts.of_host(unknown).unwrap_err().kind(), FaultKind::NotFound, "{unknown}");
    }
}
