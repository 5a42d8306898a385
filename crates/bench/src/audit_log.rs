//! `keysherd-bench audit`: searches of a long audit log, in the store itself.
//!
//! The records are made as requests make them, a thousand at a time; the index follows by itself,
//! and how long it takes is measured. Half of the records name one busy item, the others a million
//! others; one bearer in a hundred thousand records is rare.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use keysherd_audit::{Draft, Filter, StatusFilter, action};
use keysherd_base::{AccessId, AccountId, Fault, ManualClock, RequestId, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_store::{AuditOrder, AuditSearch, Store, StoreConfig};

use crate::console;

const BATCH: u64 = 1_000;
/// Searches of each kind.
const ROUNDS: u32 = 50;
/// Longest time to wait for the index.
const INDEX_MAX: Duration = Duration::from_secs(3_600);
const ACCOUNT: AccountId = AccountId(Uid([7; 16]));
const START: Timestamp = Timestamp(1_767_600_000_000);

/// Its command line.
pub(crate) fn command() -> Command {
    Command::new("audit").about("Searches of a long audit log.").arg(
        Arg::new("records")
            .long("records")
            .value_name("N")
            .default_value("10000000")
            .value_parser(value_parser!(u64).range(BATCH..=100_000_000))
            .help("Records in the log"),
    )
}

/// Measures.
///
/// # Errors
/// When the store fails.
pub(crate) async fn run(flags: &ArgMatches) -> Result<(), String> {
    let records = flags.get_one::<u64>("records").copied().unwrap_or(BATCH);
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (store, clock) = open(home.path()).map_err(|fault| fault.to_string())?;
    let began = Instant::now();
    fill(&store, &clock, records).await.map_err(|fault| fault.to_string())?;
    let filled = began.elapsed();
    let began = Instant::now();
    store.index_audit(INDEX_MAX).await;
    let (indexed, sizes) = (began.elapsed(), sizes(home.path()));
    console::say(&format!(
        "{records} records in {:.0} s ({:.1} us each), the index complete {:.0} s later\n{sizes}\n",
        filled.as_secs_f64(),
        filled.as_secs_f64() * 1e6 / precise(records),
        indexed.as_secs_f64(),
    ));
    for (name, filter) in filters(records) {
        let line = measure(&store, name, filter).await.map_err(|fault| fault.to_string())?;
        console::say(&line);
    }
    Ok(())
}

fn open(folder: &std::path::Path) -> Result<(Store, Arc<ManualClock>), Fault> {
    let key = SigningKey::generate(&SystemRng)?;
    let signer = move |body: &[u8]| key.sign(keysherd_audit::HEAD_LABEL, body).0;
    let clock = Arc::new(ManualClock::new(START));
    let config = StoreConfig::new(folder, sha256, Arc::new(signer), clock.clone());
    Ok((Store::open(config)?, clock))
}

async fn fill(store: &Store, clock: &ManualClock, records: u64) -> Result<(), Fault> {
    let (ids, request) = (access_ids(100)?, RequestId::default());
    for start in (0..records).step_by(1_000) {
        let until = records.min(start + BATCH);
        let drafts = (start..until).map(|n| {
            let item = if n.is_multiple_of(2) { 0 } else { spread(n) % 1_000_000 };
            let action =
                if n.is_multiple_of(10) { action::GET_ITEM } else { action::GET_SECRET_VALUE };
            let mut draft = Draft::new(ACCOUNT, request, "get-secret-value".into(), action, START)
                .with("item_name", format!("/team-{}/app/{item}", item % 1_000));
            draft.access_id = ids.get(usize::try_from(n % 100).unwrap_or(0)).cloned();
            draft.unique_id = format!("user-{}", spread(n) % 5_000).into();
            if n.is_multiple_of(100_000) {
                draft.unique_id = "rare".into();
            }
            let failure =
                n.is_multiple_of(1_000).then(|| keysherd_base::FaultKind::NotFound.into());
            (draft, failure)
        });
        store.record(drafts.collect()).await?;
        clock.advance_seconds(1);
    }
    Ok(())
}

/// Numbers without an order that an index could profit from.
const fn spread(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn access_ids(count: usize) -> Result<Vec<AccessId>, Fault> {
    (0..count).map(|_| AccessId::random(&SystemRng).map_err(Fault::internal)).collect()
}

fn filters(records: u64) -> Vec<(&'static str, Filter)> {
    let text = |text: String| Some(text);
    let base = Filter::default();
    let middle = START.plus_seconds(i64::try_from(records / BATCH / 2).unwrap_or(0));
    let item = spread((records / 2) | 1) % 1_000_000;
    vec![
        ("newest", base.clone()),
        ("busy item", Filter { item: text("/team-0/app/0".to_owned()), ..base.clone() }),
        (
            "rare item",
            Filter { item: text(format!("/team-{}/app/{item}", item % 1_000)), ..base.clone() },
        ),
        ("folder", Filter { folder: text("/team-17/".to_owned()), ..base.clone() }),
        ("rare unique id", Filter { unique_id: text("rare".to_owned()), ..base.clone() }),
        ("failed", Filter { status: Some(StatusFilter::Failed), ..base.clone() }),
        ("absent item", Filter { item: text("/none".to_owned()), ..base.clone() }),
        (
            "middle of the time",
            Filter { to: Some(middle), action: text("get_item".to_owned()), ..base },
        ),
    ]
}

async fn measure(store: &Store, name: &str, filter: Filter) -> Result<String, Fault> {
    let mut times = Vec::new();
    let (mut found, mut read) = (0, 0);
    for _ in 0..ROUNDS {
        let wanted = AuditSearch {
            account: ACCOUNT,
            filter: filter.clone(),
            order: AuditOrder::NewestFirst,
            start: None,
            limit: 100,
        };
        let began = Instant::now();
        let page = store.search_audit(wanted, |_| true).await?;
        times.push(began.elapsed());
        (found, read) = (page.records.len(), page.records_read);
    }
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(format!(
        "{name:20} {found:4} found, {read:6} records read, p50 {:8.2} ms, p98 {:8.2} ms\n",
        millis(at(50)),
        millis(at(98)),
    ))
}

fn sizes(folder: &std::path::Path) -> String {
    let size = |name: &str| {
        let length = std::fs::metadata(folder.join(name)).map_or(0, |found| found.len());
        format!("{name} {} MiB", length >> 20)
    };
    format!("{}, {}", size("control.db"), size("audit-index.db"))
}

fn precise(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
