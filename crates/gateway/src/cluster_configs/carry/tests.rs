//! What a cluster has after something was brought into it. That it arrives is tested with whole
//! processes.

use keysherd_api::Config;
use keysherd_base::Secret;
use keysherd_crypto::random::SystemRng;
use serde_json::json;

use super::*;

const ACCOUNT: AccountId = AccountId(Uid([1; 16]));

fn id(text: &str) -> AccessId {
    AccessId::parse(text).unwrap()
}

fn source() -> AccessId {
    id("p-0123456789ab")
}

fn target() -> AccessId {
    id("p-0123456789cd")
}

fn entry(kind: &'static str, name: &str, access_id: &AccessId, body: &str) -> Entry {
    Entry::new(Config {
        account: ACCOUNT,
        kind,
        name: name.to_owned(),
        access_id: access_id.clone(),
        body: Secret::new(body.to_owned()),
    })
}

fn log_target(from: u64, enabled: bool, host: &str) -> Entry {
    let body = json!({
        "enabled": enabled, "sink": "syslog", "json": true, "pull_seconds": 10,
        "filter": keysherd_audit::Filter::default(), "settings": {"host": host},
        "begin": {"id": Uid([3; 16]), "from": from},
        "place_key": "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=",
    });
    entry(FORWARDER, "", &id("p-0123456789ee"), &body.to_string())
}

fn carried(entries: Vec<Entry>) -> CarriedConfig {
    CarriedConfig {
        format: FORMAT,
        account: ACCOUNT,
        access_id: source(),
        cluster: "prod".to_owned(),
        number: 3,
        version: 7,
        entries,
    }
}

fn brought(carried: &CarriedConfig, old: &[Entry], own: &AccessId, here: bool) -> Vec<Entry> {
    wanted(carried, old, own, here, &SystemRng).unwrap()
}

#[test]
fn what_is_the_cluster_s_own_becomes_the_other_cluster_s_and_the_rest_stays() {
    let k8s = entry("k8s", "prod", &id("p-0123456789ff"), "{}");
    let config = carried(vec![entry("tls", "", &source(), "{}"), k8s.clone()]);
    let new = brought(&config, &[], &target(), false);
    assert_eq!(new[0].access_id, target());
    assert!(new[1] == k8s);
    let kinds: Vec<_> = changes(&[], &new).into_iter().map(|it| (it.kind, it.what)).collect();
    let added = |kind: &str| (kind.to_owned(), ChangeKind::Added);
    assert_eq!(kinds, [added("k8s"), added("tls")]);
    // A second time, nothing changes.
    assert_eq!(changes(&new, &brought(&config, &new, &target(), false)), []);
    // What the cluster had beside it is gone, what differs is changed.
    let old = [entry("ldap", "", &target(), "{}"), entry("k8s", "prod", &target(), "{\"a\":1}")];
    let told = changes(&old, &brought(&config, &old, &target(), false));
    let told: Vec<_> = told.iter().map(|it| (it.kind.as_str(), it.what)).collect();
    let expected =
        [("k8s", ChangeKind::Changed), ("ldap", ChangeKind::Removed), ("tls", ChangeKind::Added)];
    assert_eq!(told, expected);
}

#[test]
fn log_targets_of_another_cluster_are_off_and_begin_at_their_own_place() {
    let config = carried(vec![log_target(500, true, "siem")]);
    let new = brought(&config, &[], &target(), false);
    let made = Forwarder::from_json("", &new[0].body()).unwrap();
    assert!(!made.enabled);
    let begin = made.begin.unwrap();
    assert_eq!(begin.from, 1);
    assert_ne!(begin.id, Uid([3; 16]), "the wish of another cluster, which it has followed");
    let key = made.place_key.unwrap();
    assert!(*key.expose() != [5; 32], "what the other cluster signs its places with");
    // Switched on and brought in again, it stays on, where it is.
    let on = [log_target(9, true, "siem")];
    assert!(brought(&config, &on, &target(), false) == on);
    // Another receiver is another target.
    let other = [log_target(9, true, "other")];
    let new = brought(&config, &other, &target(), false);
    assert!(!Forwarder::from_json("", &new[0].body()).unwrap().enabled);
    // Back in its own cluster it is what it was.
    assert!(brought(&config, &[], &source(), true) == config.entries);
}

#[test]
fn a_later_cluster_of_the_same_name_is_another_one() {
    let config = carried(vec![log_target(500, true, "siem"), entry("tls", "", &source(), "{}")]);
    assert!(config.is_of(3, &source(), "prod"));
    for (number, id, name) in
        [(4, source(), "prod"), (3, target(), "prod"), (3, source(), "staging")]
    {
        assert!(!config.is_of(number, &id, name), "{number} {id} {name}");
    }
    // It was deleted and registered again, and somebody made something new in it.
    let old = [entry("ldap", "", &source(), "{}"), entry("tls", "", &source(), "{\"new\":1}")];
    let new = brought(&config, &old, &source(), false);
    assert!(!Forwarder::from_json("", &new[0].body()).unwrap().enabled);
    let why = against(&config, None, &changes(&old, &new)).unwrap();
    assert!(why.contains("2 would be lost"), "{why}");
}

#[test]
fn what_loses_something_takes_being_told_to_and_nothing_else_does() {
    let config = carried(vec![entry("tls", "", &source(), "{}")]);
    let of = |old: &[Entry], newer| against(&config, newer, &changes(old, &config.entries));
    assert_eq!(of(&[], None), None);
    assert_eq!(of(&config.entries, None), None);
    let more = [&config.entries[..], &[entry("k8s", "", &source(), "{}")]].concat();
    assert!(of(&more, None).unwrap().contains("1 would be lost"));
    // Whatever versions say: control may have been set back to a backup.
    assert!(of(&[entry("tls", "", &source(), "{\"new\":1}")], None).is_some());
    // What somebody took away since would be there again.
    assert!(of(&[], Some(8)).unwrap().contains("has version 8 by now"));
}

#[test]
fn a_configuration_is_read_as_it_was_written_and_nothing_else_is() {
    let config = carried(vec![entry("k8s", "prod", &source(), "canary")]);
    let bytes = config.to_bytes().unwrap();
    assert_eq!(CarriedConfig::from_bytes(&bytes).unwrap(), config);
    let text = String::from_utf8(bytes.expose().clone()).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    for bad in [
        text.replacen("\"format\":2", "\"format\":1", 1),
        text.replacen('{', "{\"more\":1,", 1),
        text[..text.len() - 1].to_owned(),
        "{}".to_owned(),
    ] {
        let refused = CarriedConfig::from_bytes(&SecretBytes::new(bad.into_bytes())).unwrap_err();
        assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    }
    let mut foreign = config;
    foreign.entries[0].account = AccountId(Uid([9; 16]));
    assert!(wanted(&foreign, &[], &target(), false, &SystemRng).is_err());
}
