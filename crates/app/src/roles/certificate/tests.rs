//! Exchanges as they are seen from look to look, by a clock that the tests move.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keysherd_base::ManualClock;
use keysherd_crypto::pki::{IssuedCert, LocalCa};
use keysherd_crypto::random::SystemRng;
use tempfile::TempDir;

use super::*;
use crate::config::acme::AcmeSettings;

const DAY: i64 = 86_400;
const START: i64 = 1_800_000_000;

fn names() -> Vec<String> {
    vec!["localhost".to_owned()]
}

fn issued(days: i64) -> IssuedCert {
    issued_from(START - DAY, days)
}

/// Good from this second on, until so many days after the start.
fn issued_from(from: i64, days: i64) -> IssuedCert {
    let (from, rng) = (Timestamp::from_seconds(from), SystemRng::handle());
    let ca = LocalCa::create("test", from, from.plus_seconds(3_650 * DAY), &*rng).unwrap();
    ca.issue_server(&names(), from, Timestamp::from_seconds(START + days * DAY), &*rng).unwrap()
}

fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, file).unwrap();
}

struct World {
    certificate: Arc<Certificate>,
    clock: Arc<ManualClock>,
    files: PairFiles,
    _dir: TempDir,
}

/// With files of the operator that are good for so many days, or without files.
fn world(days: Option<i64>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let files = PairFiles { cert: dir.path().join("a.pem"), key: dir.path().join("a.key") };
    if let Some(days) = days {
        put(&files, &issued(days));
    }
    let settings = TlsSettings { files: days.map(|_| files.clone()), ..TlsSettings::default() };
    opened(dir, files, settings)
}

fn opened(dir: TempDir, files: PairFiles, settings: TlsSettings) -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(START)));
    let own = (DataDir::open(&dir.path().join("tls")).unwrap(), names());
    let opened = Certificate::open(&settings, own, clock.clone(), SystemRng::handle());
    World { certificate: opened.unwrap(), clock, files, _dir: dir }
}

fn put(files: &PairFiles, pair: &IssuedCert) {
    write(&files.cert, &pair.cert_pem);
    write(&files.key, pair.key_pem.expose());
}

/// Whole days from the start to the end of what clients see.
fn days(world: &World) -> i64 {
    (world.certificate.health().0.seconds() - START) / DAY
}

#[test]
fn an_exchange_that_is_half_done_is_not_taken_up_and_no_fault() {
    let world = world(Some(60));
    let next = issued(90);
    write(&world.files.cert, &next.cert_pem);
    world.certificate.look(false);
    assert_eq!((days(&world), world.certificate.health().1), (60, false), "it has not settled");
    write(&world.files.key, next.key_pem.expose());
    world.certificate.look(false);
    assert_eq!(days(&world), 60, "nor has this");
    world.certificate.look(false);
    assert_eq!((days(&world), world.certificate.health().1), (90, false));
}

#[test]
fn a_half_that_stays_is_a_fault_until_the_other_half_comes() {
    let world = world(Some(60));
    let next = issued(90);
    write(&world.files.cert, &next.cert_pem);
    for _ in 0..5 {
        world.certificate.look(false);
    }
    assert_eq!((days(&world), world.certificate.health().1), (60, true));
    assert_eq!(world.certificate.status()["new_one_refused"], true);
    write(&world.files.key, next.key_pem.expose());
    world.certificate.look(true);
    assert_eq!((days(&world), world.certificate.health().1), (90, false), "at once when told");
    fs::remove_file(&world.files.cert).unwrap();
    world.certificate.look(true);
    assert_eq!((days(&world), world.certificate.health().1), (90, true), "gone is no good either");
}

#[test]
fn authorities_of_clients_are_exchanged_also_while_the_pair_has_expired() {
    let dir = tempfile::tempdir().unwrap();
    let files = PairFiles { cert: dir.path().join("a.pem"), key: dir.path().join("a.key") };
    put(&files, &issued(60));
    let authorities = dir.path().join("clients.pem");
    write(&authorities, &issued(60).cert_pem);
    let clients = Some(ClientAuthority { file: authorities.clone(), required: true });
    let settings = TlsSettings { files: Some(files.clone()), clients, ..TlsSettings::default() };
    let world = opened(dir, files, settings);
    let refused = |world: &World| {
        world.certificate.look(false);
        world.certificate.look(false);
        world.certificate.health().1
    };
    world.clock.advance_seconds(61 * DAY);
    assert!(!refused(&world));
    write(&authorities, &issued(60).cert_pem);
    assert!(!refused(&world), "the new authorities are in force");
    write(&authorities, "none");
    assert!(refused(&world), "they are read at all");
    write(&authorities, &issued(60).cert_pem);
    assert!(!refused(&world));
    // Another pair has to be good.
    put(&world.files, &issued(30));
    assert!(refused(&world));
    assert_eq!(days(&world), 60);
}

#[test]
fn what_is_not_valid_yet_is_taken_up_once_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let files = PairFiles { cert: dir.path().join("a.pem"), key: dir.path().join("a.key") };
    let acme = AcmeSettings {
        directory: "https://acme.example/directory".to_owned(),
        names: names(),
        contact: None,
        ca: None,
    };
    let settings = TlsSettings { acme: Some(acme), ..TlsSettings::default() };
    let world = opened(dir, files, settings);
    // The clock of the authority is ahead.
    let pair = issued_from(START + 90, 40);
    let text = format!("{}\n{}", pair.key_pem.expose(), pair.cert_pem);
    world.certificate.own.dir().write("acme.pem", text.as_bytes()).unwrap();
    world.certificate.obtained();
    assert_eq!(world.certificate.status()["source"], "own");
    world.clock.advance_seconds(89);
    world.certificate.look(false);
    assert_eq!(
        (&world.certificate.status()["source"], world.certificate.health().1),
        (&"own".into(), true)
    );
    world.clock.advance_seconds(1);
    world.certificate.look(false);
    assert_eq!(
        (&world.certificate.status()["source"], world.certificate.health().1),
        (&"acme".into(), false)
    );
}

#[test]
fn what_the_gateway_makes_itself_is_renewed_while_it_runs() {
    let world = world(None);
    let first = days(&world);
    assert!((89..=90).contains(&first), "{first}");
    world.clock.advance_seconds(59 * DAY);
    world.certificate.look(false);
    assert_eq!(days(&world), first, "it has more than 30 days");
    world.clock.advance_seconds(2 * DAY);
    world.certificate.look(false);
    assert_eq!(days(&world), first + 61);
    assert_eq!(world.certificate.status()["source"], "own");
}

#[test]
fn only_a_cluster_has_administrators_who_may_set_it() {
    let account = AccountId(keysherd_base::Uid([1; 16]));
    let refused = |world: &World| world.certificate.set_by(account).unwrap_err().to_string();
    assert!(refused(&world(None)).contains("in no cluster"));
    assert!(refused(&world(Some(60))).contains("files of its operator"));
}
