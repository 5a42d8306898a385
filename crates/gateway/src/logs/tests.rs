//! Attack 22 at the gateway: logs that are cut, put back or written anew are named.

use keysherd_base::{SecretBytes, Timestamp};
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::{Bundle, Caps, ManagerEntry};
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::messages::Status;
use keysherd_plane::BoxFuture;

use super::*;
use crate::links::{ManagerLink, Unreachable};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32].into())
}

/// A manager that has nothing but a log, of which tests make what they like.
struct LogOnly {
    entries: Mutex<Vec<[u8; 32]>>,
    store: Mutex<Uid>,
}

impl LogOnly {
    fn with(entries: &[u8]) -> Arc<Self> {
        let entries = entries.iter().map(|entry| [*entry; 32]).collect();
        Arc::new(Self { entries: Mutex::new(entries), store: Mutex::new(Uid([7; 16])) })
    }

    fn set(&self, entries: &[u8]) {
        *self.entries.lock().unwrap() = entries.iter().map(|entry| [*entry; 32]).collect();
    }

    fn note(&self) -> Vec<u8> {
        let entries = self.entries.lock().unwrap();
        let end = entries.iter().fold(Checkpoint::default(), |at, hash| at.after_hash(hash));
        end.sign(&self.store.lock().unwrap(), &key(2))
    }
}

impl ManagerLink for LogOnly {
    fn call(&self, request: Vec<u8>) -> BoxFuture<'_, Result<SecretBytes, Unreachable>> {
        let answer = match ManagerRequest::from_bytes(&request).unwrap() {
            ManagerRequest::Status => ManagerAnswer::Status(Status {
                manager: index(),
                bundle_version: 1,
                key_versions: 0,
                checkpoint: self.note(),
            }),
            ManagerRequest::LogProof { from, to } => {
                let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
                match self.entries.lock().unwrap().get(range) {
                    Some(hashes) => ManagerAnswer::LogProof(hashes.concat()),
                    None => ManagerAnswer::Refused(Refusal::NotInLog),
                }
            }
            other => panic!("nobody asks this: {other:?}"),
        };
        Box::pin(std::future::ready(Ok(answer.to_secret_bytes())))
    }
}

fn index() -> ManagerIndex {
    ManagerIndex::new(1).unwrap()
}

/// A gateway that knows this one manager.
fn managers(log: &Arc<LogOnly>) -> Arc<Managers> {
    let bundle = Bundle {
        deployment: Uid([1; 16]),
        version: 1,
        issued_at: Timestamp(0),
        accounts: Vec::new(),
        managers: vec![ManagerEntry {
            index: index(),
            key: key(2).public(),
            tls_spki_sha256: [2; 32],
            former_keys: Vec::new(),
            address: String::new(),
        }],
        permit_keys: Vec::new(),
        clusters: Vec::new(),
        groups: Vec::new(),
        account_caps: Caps::UNLIMITED,
        cache_ttl_seconds_max: 60,
        destroy_delay_seconds: 0,
        witnesses: Vec::new(),
        recovery_key: None,
        controls: Vec::new(),
    };
    let pinned = PinnedBundle::open(key(1).public(), bundle.seal(&key(1))).unwrap();
    let links: crate::managers::Links = vec![(index(), log.clone())];
    Arc::new(Managers::new(key(3), Arc::new(pinned), links))
}

async fn found(managers: &Arc<Managers>) -> Option<LogFinding> {
    check(managers, index()).await;
    managers.logs.findings().first().map(|(_, finding)| *finding)
}

#[tokio::test]
async fn an_honest_log_that_grows_is_never_named() {
    let log = LogOnly::with(&[1]);
    let managers = managers(&log);
    assert_eq!(found(&managers).await, None);
    log.set(&[1, 2, 3, 4]);
    managers.logs.saw(index(), &key(2).public(), &log.note());
    log.set(&[1, 2, 3, 4, 5]);
    assert_eq!(found(&managers).await, None);
    // Answers come in any order.
    log.set(&[1, 2]);
    let late = log.note();
    log.set(&[1, 2, 3, 4, 5]);
    managers.logs.saw(index(), &key(2).public(), &late);
    assert_eq!(found(&managers).await, None);
}

#[tokio::test]
async fn t_log_truncation_detected() {
    let log = LogOnly::with(&[1, 2, 3]);
    let managers = managers(&log);
    assert_eq!(found(&managers).await, None);
    log.set(&[1, 2]);
    assert_eq!(found(&managers).await, Some(LogFinding::Cut));
    // It is named from then on, whatever it shows.
    log.set(&[1, 2, 3, 4]);
    assert_eq!(found(&managers).await, Some(LogFinding::Cut));
}

#[tokio::test]
async fn t_log_fork_detected() {
    // Put back, and grown past where it was before anybody looked.
    let log = LogOnly::with(&[1, 2, 3]);
    let managers_of = managers(&log);
    assert_eq!(found(&managers_of).await, None);
    log.set(&[1, 2, 9, 9, 9]);
    assert_eq!(found(&managers_of).await, Some(LogFinding::Rewritten));
    // Two positions of one size are enough by themselves.
    let log = LogOnly::with(&[1, 2, 3]);
    let managers_of = managers(&log);
    assert_eq!(found(&managers_of).await, None);
    log.set(&[1, 2, 4]);
    managers_of.logs.saw(index(), &key(2).public(), &log.note());
    assert_eq!(managers_of.logs.findings(), [(index(), LogFinding::Rewritten)]);
    // The same manager with the log of another store.
    let log = LogOnly::with(&[1, 2, 3]);
    let managers_of = managers(&log);
    assert_eq!(found(&managers_of).await, None);
    *log.store.lock().unwrap() = Uid([8; 16]);
    assert_eq!(found(&managers_of).await, Some(LogFinding::Replaced));
}

#[tokio::test]
async fn what_was_proven_is_remembered_by_the_next_process() {
    let home = tempfile::tempdir().unwrap();
    let log = LogOnly::with(&[1, 2, 3]);
    let first = managers(&log);
    first.logs.keep_in(home.path(), &first);
    assert_eq!(found(&first).await, None);
    drop(first);
    log.set(&[1, 2]);
    // The control: one that remembers nothing has nothing to say.
    assert_eq!(found(&managers(&log)).await, None);
    let second = managers(&log);
    second.logs.keep_in(home.path(), &second);
    assert_eq!(found(&second).await, Some(LogFinding::Cut));
    let evidence = std::fs::read_to_string(home.path().join("evidence/log-cut-1-3.txt")).unwrap();
    assert!(evidence.contains("what: log-cut\nmanager: 1\n"), "{evidence}");
    assert_eq!(evidence.matches("\u{2014} keysherd-fragments/").count(), 2);
}
