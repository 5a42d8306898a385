//! Configurations over restarts, names and damage.

use keysherd_base::{FaultKind, Uid};
use keysherd_crypto::random::SystemRng;
use tempfile::TempDir;

use super::*;

const CANARY: &str = "canary-of-a-signing-key";

fn store(home: &TempDir) -> ConfigStore {
    ConfigStore::open(home.path(), SystemRng::handle()).unwrap()
}

fn account(n: u8) -> AccountId {
    AccountId(Uid([n; 16]))
}

fn id(n: u8) -> AccessId {
    AccessId::parse(&format!("p-aaaaaaaaaaaaa{}", char::from(b'a' + n))).unwrap()
}

fn config(owner: u8, name: &str, method: u8) -> Config {
    let body = Secret::new(format!("{CANARY} of {name}"));
    Config {
        account: account(owner),
        kind: "k8s",
        name: name.to_owned(),
        access_id: id(method),
        body,
    }
}

fn body(found: Option<SecretString>) -> Option<String> {
    found.map(|body| body.expose().clone())
}

#[test]
fn configurations_outlive_the_process_and_their_files_tell_nothing() {
    let home = TempDir::new().unwrap();
    let kept = store(&home);
    kept.keep(config(1, "prod", 0), None).unwrap();
    kept.keep(config(1, "test", 1), None).unwrap();
    assert!(kept.forget(account(1), "k8s", "test").unwrap());
    assert!(!kept.forget(account(1), "k8s", "test").unwrap());
    drop(kept);
    let again = store(&home);
    let found = again.of_method("k8s", "prod", &id(0)).unwrap();
    assert_eq!(body(found).unwrap(), format!("{CANARY} of prod"));
    assert!(again.of_method("k8s", "test", &id(1)).unwrap().is_none());
    let files: Vec<_> = std::fs::read_dir(home.path().join("configs")).unwrap().collect();
    assert_eq!(files.len(), 1);
    for file in files {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let holds = |needle: &str| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
        assert!(!holds(CANARY) && !holds("prod"), "{}", path.display());
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
    // Another key opens none of them, and the gateway starts all the same.
    std::fs::write(home.path().join(KEY_FILE), [8; 32]).unwrap();
    let other = store(&home);
    assert!(other.of_method("k8s", "prod", &id(0)).unwrap().is_none());
}

#[test]
fn whoever_only_looks_makes_nothing() {
    let home = TempDir::new().unwrap();
    let count = || std::fs::read_dir(home.path()).unwrap().count();
    assert!(ConfigStore::look(home.path()).unwrap().unwrap().is_empty());
    assert_eq!(count(), 0);
    store(&home).keep(config(1, "prod", 0), None).unwrap();
    let seen = ConfigStore::look(home.path()).unwrap().unwrap();
    let [(owner, kind, name, body)] = &seen[..] else { panic!("{}", seen.len()) };
    assert_eq!((*owner, &**kind, &**name), (account(1), "k8s", "prod"));
    assert_eq!(*body.expose(), format!("{CANARY} of prod"));
    // A backup that was put back without its key.
    let key = std::fs::read(home.path().join(KEY_FILE)).unwrap();
    std::fs::remove_file(home.path().join(KEY_FILE)).unwrap();
    assert!(ConfigStore::look(home.path()).unwrap().is_none());
    assert_eq!(count(), 1, "no key was made in the place of the true one");
    std::fs::write(home.path().join(KEY_FILE), key).unwrap();
    assert_eq!(ConfigStore::look(home.path()).unwrap().unwrap().len(), 1);
}

#[test]
fn accounts_do_not_see_or_displace_each_other() {
    let home = TempDir::new().unwrap();
    let kept = store(&home);
    kept.keep(config(1, "prod", 0), None).unwrap();
    kept.keep(config(2, "prod", 1), None).unwrap();
    assert_eq!(kept.get(account(2), "k8s", "prod").unwrap().unwrap().0, id(1));
    assert!(kept.get(account(3), "k8s", "prod").unwrap().is_none());
    assert!(!kept.forget(account(3), "k8s", "prod").unwrap());
    assert!(kept.of_method("k8s", "prod", &id(2)).unwrap().is_none());
    assert!(kept.of_method("ldap", "prod", &id(0)).unwrap().is_none());
    assert!(kept.of_method("k8s", "prod", &id(0)).unwrap().is_some());
}

#[test]
fn what_a_change_was_made_from_must_still_be_there() {
    let home = TempDir::new().unwrap();
    let kept = store(&home);
    let saying = |text: &str, method: u8| Config {
        body: Secret::new(text.to_owned()),
        ..config(1, "prod", method)
    };
    let read = || kept.get(account(1), "k8s", "prod").unwrap();
    let over = |config, read: Option<&(AccessId, SecretString)>| {
        kept.keep_over(config, read.map(|_| "prod"), read).map_err(|fault| fault.kind())
    };
    assert_eq!(over(saying("a", 0), None), Ok(()));
    let first = read();
    assert_eq!(over(saying("b", 0), first.as_ref()), Ok(()));
    assert_eq!(over(saying("c", 0), first.as_ref()), Err(FaultKind::Conflict));
    // The auth method that it signs for is part of it.
    assert_eq!(over(saying("a", 1), read().as_ref()), Ok(()));
    assert_eq!(over(saying("c", 0), first.as_ref()), Err(FaultKind::Conflict));
    assert_eq!(over(saying("c", 0), None), Err(FaultKind::Conflict));
    assert_eq!(body(read().map(|(_, body)| body)).as_deref(), Some("a"));
    assert!(kept.forget(account(1), "k8s", "prod").unwrap());
    assert_eq!(over(saying("c", 0), first.as_ref()), Err(FaultKind::Conflict));
}

#[test]
fn names_are_taken_once_and_can_change() {
    let home = TempDir::new().unwrap();
    let kept = store(&home);
    let put = |name: &str, replaces: Option<&str>| {
        kept.keep(config(1, name, 0), replaces).map_err(|fault| fault.kind())
    };
    assert_eq!(put("a", None), Ok(()));
    assert_eq!(put("a", None), Err(FaultKind::Conflict));
    assert_eq!(put("a", Some("a")), Ok(()));
    assert_eq!(put("b", Some("c")), Err(FaultKind::NotFound));
    assert_eq!(put("b", None), Ok(()));
    assert_eq!(put("b", Some("a")), Err(FaultKind::Conflict));
    assert_eq!(put("c", Some("a")), Ok(()));
    assert!(kept.get(account(1), "k8s", "a").unwrap().is_none());
    assert_eq!(put(&"n".repeat(NAME_BYTES_MAX + 1), None), Err(FaultKind::BadRequest));
    let mut long = config(1, "long", 0);
    long.body = Secret::new("x".repeat(BODY_BYTES_MAX + 1));
    assert_eq!(kept.keep(long, None).unwrap_err().kind(), FaultKind::BadRequest);
    for n in 0..CONFIGS_OF_ACCOUNT_MAX - 2 {
        assert_eq!(put(&format!("n{n}"), None), Ok(()));
    }
    assert_eq!(put("one more", None), Err(FaultKind::BadRequest));
    assert_eq!(put("d", Some("c")), Ok(()), "replacing makes it no more");
}

#[test]
fn one_account_leaves_room_for_others_and_its_offline_policies_for_the_rest() {
    let home = TempDir::new().unwrap();
    let kept = store(&home);
    let policy = |owner: u8, n: usize| {
        let config = Config { kind: OFFLINE_CONFIG, ..config(owner, &format!("p{n}"), 0) };
        kept.keep(config, None).map_err(|fault| fault.kind())
    };
    for n in 0..OFFLINE_POLICIES_MAX {
        assert_eq!(policy(2, n), Ok(()));
    }
    assert_eq!(policy(2, OFFLINE_POLICIES_MAX), Err(FaultKind::BadRequest));
    assert!(kept.forget(account(2), OFFLINE_CONFIG, "p0").unwrap());
    assert_eq!(policy(2, 0), Ok(()));
    let other = |owner: u8, n: usize| {
        kept.keep(config(owner, &format!("n{n}"), 0), None).map_err(|fault| fault.kind())
    };
    for n in 0..CONFIGS_OF_ACCOUNT_MAX - OFFLINE_POLICIES_MAX {
        assert_eq!(other(2, n), Ok(()));
    }
    assert_eq!(other(2, CONFIGS_OF_ACCOUNT_MAX), Err(FaultKind::BadRequest));
    // Whatever it does, it fills an eighth.
    for owner in 3..10 {
        for n in 0..CONFIGS_OF_ACCOUNT_MAX {
            assert_eq!(other(owner, n), Ok(()));
        }
    }
    assert_eq!(other(10, 0), Err(FaultKind::BadRequest), "the gateway has a bound as well");
}

#[test]
fn a_file_opens_under_its_own_name_only_and_damage_costs_one_configuration() {
    let home = TempDir::new().unwrap();
    let kept = store(&home);
    kept.keep(config(1, "first", 0), None).unwrap();
    kept.keep(config(1, "second", 1), None).unwrap();
    drop(kept);
    let dir = home.path().join("configs");
    let path = |name: &str| dir.join(file_name(account(1), "k8s", name));
    std::fs::copy(path("first"), path("second")).unwrap();
    let again = store(&home);
    assert!(again.get(account(1), "k8s", "first").unwrap().is_some());
    assert!(again.get(account(1), "k8s", "second").unwrap().is_none());
    // It can be made again over the damaged file.
    again.keep(config(1, "second", 1), None).unwrap();
    assert!(store(&home).get(account(1), "k8s", "second").unwrap().is_some());
}
