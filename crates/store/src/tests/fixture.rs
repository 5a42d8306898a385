//! A store in a temporary folder with a clock that stands still, and sample values to keep in it.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, mpsc};

use keysherd_audit::{Draft, Record, action};
use keysherd_base::{
    AccessId, AccountId, AssocId, DisplayId, Fault, FolderPath, ItemId, ItemPath, KeyId,
    ManualClock, Timestamp, Uid,
};
use keysherd_domain::account::{Account, AccountSettings};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail, MethodShared, SecondFactor};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::folder::Folder;
use keysherd_domain::item::{Item, ItemKind, ItemState, ItemVersion, SecretKind, ValueFormat};
use keysherd_domain::role::{Assoc, Capabilities, Capability, Role, Rule, RuleKind};

use super::on_server;
use crate::{AuditReader, Query, Store, StoreConfig, Tx, accounts, audit};

pub(crate) const NOW: Timestamp = Timestamp(1_767_607_872_000);
pub(crate) const ACCOUNT: AccountId = AccountId(Uid([1; 16]));
pub(crate) const OTHER: AccountId = AccountId(Uid([2; 16]));
pub(crate) const KEY: KeyId = Uid([3; 16]);

/// A store and what it stands on.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: tempfile::TempDir,
}

impl Fixture {
    /// A store with the accounts [`ACCOUNT`] and [`OTHER`].
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let store = Store::open(config(folder.path(), &clock)).unwrap();
        change(&store, |tx| {
            accounts::insert(tx, &account(ACCOUNT))?;
            accounts::insert(tx, &account(OTHER))
        })
        .unwrap();
        Self { store, clock, folder }
    }
}

pub(crate) fn config(folder: &Path, clock: &Arc<ManualClock>) -> StoreConfig {
    let mut config = embedded(folder, clock);
    config.database = on_server::is_meant().then(|| on_server::database_of(folder));
    config
}

/// A store in a folder, wherever those of this thread are.
pub(crate) fn embedded(folder: &Path, clock: &Arc<ManualClock>) -> StoreConfig {
    let mut config = StoreConfig::new(folder, toy_hash, Arc::new(toy_sign), clock.clone());
    config.reserve_bytes = 256 * 1024;
    config
}

/// Reads the chains without opening the store.
pub(crate) fn audit_reader(folder: &Path) -> AuditReader {
    match on_server::is_meant() {
        true => AuditReader::open_database(on_server::database_of(folder)).unwrap(),
        false => AuditReader::open(folder).unwrap(),
    }
}

/// Not a cryptographic hash, but one whose output changes with every input byte: four FNV-1a lanes.
pub(crate) fn toy_hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut lanes = [1_u64, 2, 3, 4].map(|lane| 0xcbf2_9ce4_8422_2325 ^ lane);
    for byte in parts.iter().copied().flatten() {
        for lane in &mut lanes {
            *lane = (*lane ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let mut out = [0; 32];
    for (chunk, lane) in out.chunks_exact_mut(8).zip(lanes) {
        chunk.copy_from_slice(&lane.to_be_bytes());
    }
    out
}

pub(crate) fn toy_sign(body: &[u8]) -> [u8; 64] {
    let half = toy_hash(&[b"key", body]);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&half);
    signature[32..].copy_from_slice(&half);
    signature
}

pub(crate) fn toy_verify(body: &[u8], signature: &[u8; 64]) -> bool {
    toy_sign(body) == *signature
}

/// Waits for a future of the store.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Runs a change without a record.
pub(crate) fn change<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&Tx) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    wait(store.commit(Vec::new(), job))
}

/// As [`change`], which must succeed.
pub(crate) fn done<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&Tx) -> Result<T, Fault> + Send + 'static,
) -> T {
    change(store, job).unwrap()
}

/// Reads on a snapshot of its own.
pub(crate) fn see<T>(store: &Store, read: impl FnOnce(&dyn Query) -> Result<T, Fault>) -> T {
    store.read(|reader| read(reader)).unwrap()
}

pub(crate) fn draft(account: AccountId) -> Draft {
    Draft::new(account, Uid([9; 16]), "get-secret-value".into(), action::GET_SECRET_VALUE, NOW)
        .with("item_name", "/team/db/password")
}

pub(crate) fn path(text: &str) -> ItemPath {
    ItemPath::parse(text).unwrap()
}

pub(crate) fn folder(text: &str) -> FolderPath {
    FolderPath::parse(text).unwrap()
}

pub(crate) fn account(id: AccountId) -> Account {
    Account {
        id,
        owner_method: 0,
        original_key: KEY,
        settings: AccountSettings::default(),
        created: NOW,
        owner_sealed: None,
    }
}

pub(crate) fn method(name: &str, access_id: &str) -> AuthMethod {
    AuthMethod {
        id: 0,
        account: ACCOUNT,
        access_id: AccessId::parse(access_id).unwrap(),
        path: path(name),
        shared: MethodShared::default(),
        detail: MethodDetail::ApiKey { public_key: [4; 32], key_created: NOW },
        generation: 1,
        created: NOW,
        modified: NOW,
    }
}

pub(crate) fn email_method(name: &str, access_id: &str, email: &str) -> AuthMethod {
    let detail = MethodDetail::Email {
        email: email.to_owned(),
        public_key: [4; 32],
        salt: [5; 16],
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
        password_set: NOW,
        second_factor: SecondFactor::None,
    };
    AuthMethod { detail, ..method(name, access_id) }
}

pub(crate) fn role(name: &str) -> Role {
    Role {
        id: 0,
        account: ACCOUNT,
        path: path(name),
        comment: "for the team".to_owned(),
        admin: false,
        rules: vec![Rule {
            kind: RuleKind::Item,
            path: "/team/*".to_owned(),
            capabilities: Capabilities::NONE.with(Capability::Read),
            expires: Some(NOW),
        }],
        delete_protection: false,
        created: NOW,
        modified: NOW,
    }
}

pub(crate) fn assoc(id: &str, role: i64, method: i64) -> Assoc {
    let mut sub_claims = SubClaims::default();
    sub_claims.set("email", "*@example.com");
    Assoc { id: AssocId(id.into()), role, method, sub_claims, case_sensitive: true, created: NOW }
}

pub(crate) fn item(name: &str) -> Item {
    Item {
        id: ItemId(0),
        uid: Uid([6; 16]),
        display_id: DisplayId(format!("group-{name}").into()),
        account: ACCOUNT,
        path: path(name),
        kind: ItemKind::StaticSecret,
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Text,
        description: String::new(),
        tags: vec!["prod".to_owned()],
        state: ItemState::Enabled,
        deletion_at: None,
        personal: None,
        last_version: 1,
        max_versions: None,
        delete_protection: false,
        protection_key: None,
        size_bytes: 100,
        key: None,
        websites: Vec::new(),
        custom_fields: BTreeMap::new(),
        change_event: false,
        lock: None,
        engine: None,
        target: None,
        rotation: None,
        created: NOW,
        modified: NOW,
    }
}

pub(crate) fn version(number: u32, ciphertext: &[u8]) -> ItemVersion {
    ItemVersion {
        version: number,
        state: ItemState::Enabled,
        key_id: KEY,
        key_version: 1,
        protection_key: None,
        customer_fragment: Some(Uid([7; 16])),
        ciphertext: ciphertext.into(),
        unconfirmed: false,
        name_tag: None,
        by: None,
        created: NOW,
    }
}

pub(crate) fn explicit_folder(name: &str) -> Folder {
    Folder {
        id: 0,
        account: ACCOUNT,
        path: folder(name),
        description: "made".to_owned(),
        tags: Vec::new(),
        delete_protection: false,
        created: NOW,
        modified: NOW,
    }
}

/// Keeps the writer busy until the returned sender is dropped, so that what is queued meanwhile
/// waits together.
pub(crate) fn hold_writer(store: &Store) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel();
    drop(store.commit(Vec::new(), move |_| {
        began.send(()).unwrap();
        // Ends when the sender is dropped.
        let _ = held.recv();
        Ok(())
    }));
    begun.recv().unwrap();
    release
}

/// The account's audit records.
pub(crate) fn recorded(store: &Store) -> Vec<Record> {
    see(store, |q| audit::records(q, ACCOUNT, 0, 1_000))
        .iter()
        .map(|stored| stored.parse().unwrap())
        .collect()
}
