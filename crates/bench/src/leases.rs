//! `keysherd-bench leases`: what very many temporary credentials cost: to keep them, and to begin
//! again with them.
//!
//! It is the store itself that is measured: nothing of a credential is in anybody's memory, so a
//! control plane that starts has to find what is due and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use keysherd_base::{
    AccessId, AccountId, DisplayId, Fault, ItemId, ItemPath, ManualClock, Timestamp, Uid,
};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::account::{Account, AccountSettings};
use keysherd_domain::credential_lease::{CredentialLease, Intent};
use keysherd_domain::engine::EngineFacts;
use keysherd_domain::item::{Item, ItemKind, ItemState};
use keysherd_plane::credential_leases::LEASE_BATCH_MAX;
use keysherd_store::credential_leases::{self, StoredLease};
use keysherd_store::{Store, StoreConfig, accounts, items};

use crate::console;
use crate::machine;

/// Credentials that are written at one time.
const BATCH: u64 = 10_000;
/// Dynamic secrets that have them.
const SECRETS: u64 = 1_000;
/// Credentials that end in each second.
const PER_SECOND: u64 = 100;
const ACCOUNT: AccountId = AccountId(Uid([7; 16]));
const START: Timestamp = Timestamp(1_767_600_000_000);
/// What is meant to be enough, with ten million of them: printed, not asserted.
const AIMS: &str = "aims with 10000000: 200 MiB more memory, 2 s until the first are handed out";

/// Its command line.
pub(crate) fn command() -> Command {
    Command::new("leases").about("Very many temporary credentials.").arg(
        Arg::new("leases")
            .long("leases")
            .value_name("N")
            .default_value("10000000")
            .value_parser(value_parser!(u64).range(BATCH..=100_000_000))
            .help("Temporary credentials"),
    )
}

/// What it came to.
struct Measured {
    filled: Duration,
    opened: Duration,
    first: Duration,
    handed_out: usize,
    /// Kibibytes more than before the store was opened.
    memory: u64,
    size_mib: u64,
}

/// Measures.
///
/// # Errors
/// When the store fails.
pub(crate) async fn run(flags: &ArgMatches) -> Result<(), String> {
    let leases = flags.get_one::<u64>("leases").copied().unwrap_or(BATCH);
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let measured = measure(home.path(), leases).await?;
    let Measured { filled, opened, first, handed_out, memory, size_mib } = measured;
    console::say(&format!(
        "{leases} temporary credentials, {size_mib} MiB, written in {:.0} s\n\
         opened again: {:.1} ms; the first {handed_out} taken {:.1} ms later; {:.1} MiB more \
         memory\n{AIMS}\n",
        filled.as_secs_f64(),
        opened.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3,
        f64::from(u32::try_from(memory).unwrap_or(u32::MAX)) / 1_024.0,
    ));
    Ok(())
}

async fn measure(home: &Path, leases: u64) -> Result<Measured, String> {
    let text = |fault: Fault| fault.to_string();
    let began = Instant::now();
    let store = open(home).map_err(text)?;
    fill(&store, leases).await.map_err(text)?;
    drop(store);
    let filled = began.elapsed();
    let size = std::fs::metadata(home.join("control.db")).map_err(|error| error.to_string())?;
    let before = machine::memory(std::process::id())?.rss;
    let began = Instant::now();
    let store = open(home).map_err(text)?;
    let opened = began.elapsed();
    let began = Instant::now();
    let handed_out = take(&store).await.map_err(text)?;
    let first = began.elapsed();
    let memory = machine::memory(std::process::id())?.rss.saturating_sub(before);
    Ok(Measured { filled, opened, first, handed_out, memory, size_mib: size.len() >> 20 })
}

fn open(folder: &Path) -> Result<Store, Fault> {
    let key = SigningKey::generate(&SystemRng)?;
    let signer = move |body: &[u8]| key.sign(keysherd_audit::HEAD_LABEL, body).0;
    let clock = Arc::new(ManualClock::new(START));
    Store::open(StoreConfig::new(folder, sha256, Arc::new(signer), clock))
}

async fn fill(store: &Store, leases: u64) -> Result<(), Fault> {
    let secrets = store.commit(Vec::new(), |tx| {
        accounts::insert(tx, &account())?;
        (0..SECRETS).map(|number| items::insert(tx, &secret(number)?)).collect()
    });
    let secrets: Vec<ItemId> = secrets.await?;
    let secrets = Arc::new(secrets);
    let access_id = AccessId::random(&SystemRng)?;
    for start in (0..leases).step_by(10_000) {
        let (secrets, access_id) = (Arc::clone(&secrets), access_id.clone());
        let until = leases.min(start + BATCH);
        let add = move |tx: &keysherd_store::Tx| {
            for number in start..until {
                let place = usize::try_from(number % SECRETS).unwrap_or_default();
                let item = secrets.get(place).copied().unwrap_or(ItemId(0));
                credential_leases::insert(tx, &lease(number, item, &access_id)?)?;
            }
            Ok(())
        };
        store.commit(Vec::new(), add).await?;
    }
    Ok(())
}

/// Takes as many as one message asks for, as control does.
async fn take(store: &Store) -> Result<usize, Fault> {
    let far = START.plus_seconds(1_000_000_000);
    let job = move |tx: &keysherd_store::Tx| {
        let due = credential_leases::due(tx, 0, far, LEASE_BATCH_MAX)?;
        let mut taken = 0;
        for mut found in due {
            taken += usize::from(found.lease.take(&[1; 32], far).is_some());
            credential_leases::update(tx, found.id, &found.lease)?;
        }
        Ok(taken)
    };
    store.commit(Vec::new(), job).await
}

fn account() -> Account {
    Account {
        id: ACCOUNT,
        owner_method: 0,
        original_key: Uid([3; 16]),
        settings: AccountSettings::default(),
        created: START,
        owner_sealed: None,
    }
}

fn secret(number: u64) -> Result<Item, Fault> {
    Ok(Item {
        id: ItemId(0),
        uid: Uid::random(&SystemRng)?,
        display_id: DisplayId(format!("bench-{number}").into()),
        account: ACCOUNT,
        path: ItemPath::parse(&format!("/dynamic/{number}"))?,
        kind: ItemKind::DynamicSecret,
        secret_kind: Default::default(),
        format: Default::default(),
        description: String::new(),
        tags: Vec::new(),
        state: ItemState::Enabled,
        deletion_at: None,
        personal: None,
        last_version: 1,
        max_versions: None,
        delete_protection: false,
        protection_key: None,
        size_bytes: 0,
        key: None,
        websites: Vec::new(),
        custom_fields: Default::default(),
        change_event: false,
        lock: None,
        engine: Some(EngineFacts {
            engine: "postgresql".to_owned(),
            user_ttl_seconds: 3_600,
            cluster: 0,
            needs_target: false,
        }),
        target: None,
        rotation: None,
        created: START,
        modified: START,
    })
}

fn lease(number: u64, item: ItemId, access_id: &AccessId) -> Result<StoredLease, Fault> {
    // Ascending, so that filling writes beside what it wrote last; control's own come by chance.
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let id = Uid(id);
    let ttl_seconds = i64::try_from(1 + number / PER_SECOND).unwrap_or(1);
    let intent = Intent {
        handle: format!("tmp.p-bench.{id}"),
        target: None,
        ttl_seconds,
        access_id: access_id.clone(),
        sub_claims: Default::default(),
        gateway: [1; 32],
    };
    let mut lease = CredentialLease::intend(intent, START);
    lease.activate(&[1; 32], None, None);
    Ok(StoredLease { id, account: ACCOUNT, item, cluster: 0, lease })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hundred_thousand_cost_next_to_nothing_until_they_are_due() {
        let home = tempfile::tempdir().unwrap();
        let measured = measure(home.path(), 100_000).await.unwrap();
        println!(
            "opened {:?}, taken {:?}, {} KiB more memory, {} MiB on disk",
            measured.opened, measured.first, measured.memory, measured.size_mib
        );
        assert_eq!(measured.handed_out, LEASE_BATCH_MAX);
        // All of them in memory would take more than this.
        assert!(measured.memory < 20 * 1_024, "{} KiB", measured.memory);
    }
}
