//! How much memory what is kept takes, and that it stays within its bound.

use keysherd_base::{AccessId, ItemId, ItemPath, ManualClock, Timestamp};
use keysherd_crypto::random::SystemRng;
use keysherd_domain::item::{ItemKind, NameTag, SecretKind, ValueFormat};
use keysherd_plane::cache::{ChangesReply, Receipt};
use keysherd_plane::grants::{GrantedVersion, KeyRef};
use keysherd_plane::{BoxFuture, Plane, Reply, Request};

use super::*;

/// A control that is silent.
struct Silent;

impl Plane for Silent {
    fn call(&self, _: Caller, _: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(std::future::pending())
    }
}

const CONTROL: Uid = Uid([1; 16]);
/// Of a secret of 48 bytes: an envelope with one wrap adds 272.
const CIPHERTEXT_BYTES: usize = 272 + 48;
/// Of a bearer by access key, about one item at a path of this length.
const RECEIPT_BYTES: usize = 240;
const TTL: u32 = 3_600;
/// Set where only one test of this file runs.
const ALONE: &str = "KEYSHERD_TEST_ALONE";

async fn cache(items_max: u64, home: &Path, proactive: bool) -> Arc<ReadCache> {
    let policy = CachePolicy { enabled: true, proactive, ..CachePolicy::default() };
    let settings = CacheSettings { policy, items_max, workers: 1 };
    let clock = Arc::new(ManualClock::new(Timestamp(1_767_607_872_000)));
    let plane: PlaneHandle = Arc::new(Silent);
    let cache =
        ReadCache::start(settings, (home, None), &plane, clock, SystemRng::handle()).unwrap();
    let reply = ChangesReply { source: CONTROL, newest: 0, held_millis: 0, ended: None };
    let asked = cache.moment();
    cache.coherence().heard(asked, &reply);
    cache
}

/// Keeps a read of one item with a ciphertext of so many bytes.
fn keep(cache: &ReadCache, caller: &Caller, number: u32, bytes: usize) {
    keep_of(CONTROL, cache, caller, (number, bytes));
}

fn keep_of(account: Uid, cache: &ReadCache, caller: &Caller, (number, bytes): (u32, usize)) {
    let path =
        ItemPath::parse(&format!("/team-{:02}/service/{number:08}/key", number % 50)).unwrap();
    let item = [ItemRef::Path(path.clone())];
    let mut uid = [0; 16];
    uid[..4].copy_from_slice(&number.to_be_bytes());
    let version = GrantedVersion {
        version: 1,
        ciphertext: vec![7; bytes].into(),
        key: KeyRef { key_id: CONTROL, version: 1, customer_fragment: None },
        permit_slot: None,
        name_tag: Some(NameTag([3; 32])),
    };
    let granted = GrantedItem {
        path,
        id: ItemId(number.into()),
        uid: Uid(uid),
        kind: ItemKind::StaticSecret,
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Text,
        versions: vec![version],
    };
    let tie = |kind| [&[kind; 12][..], &number.to_be_bytes()].concat().try_into().unwrap();
    let keep = Keep {
        source: CONTROL,
        number: 0,
        good_millis: 3_600_000,
        access_id: AccessId::parse("p-abcdefghijkl").unwrap(),
        // Of the account, its items and the token, which all reads share; and of the item.
        ties: vec![[1; 16], [2; 16], [3; 16], tie(4)],
        receipt: Receipt { bytes: vec![9; RECEIPT_BYTES].into() },
    };
    let asked = cache.moment();
    let call = (caller, &item[..], VersionWish::Latest);
    cache.keep(call, (asked, asked), (account, vec![Arc::new(granted)]), keep, TTL);
}

fn caller() -> Caller {
    let mut caller = Caller::of_the_server(Uid::default());
    caller.token = Some("t-0123456789".into());
    caller
}

/// Runs a test of this file again, where nothing else takes memory.
fn in_a_process_of_its_own(test: &str) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("cache::footprint::{test}"), "--nocapture"]).env(ALONE, "1");
    let ended = command.output().unwrap();
    let said = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    println!("{}", said.concat());
    assert!(ended.status.success() && said[0].contains("1 passed"), "{said:?}");
}

/// Resident memory of this process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

#[tokio::test]
async fn ten_thousand_items_stay_within_the_bound_whatever_their_size() {
    let dir = tempfile::tempdir().unwrap();
    let cache = self::cache(2_000, dir.path(), false).await;
    let caller = caller();
    for number in 0..10_000 {
        keep(&cache, &caller, number, CIPHERTEXT_BYTES);
    }
    assert!((1_500..=2_000).contains(&cache.entries.len()), "{}", cache.entries.len());
    assert!(cache.entries.weight() <= 2_000, "{}", cache.entries.weight());
    // Large ones count for as many as they have 4 KiB.
    let cache = self::cache(2_000, dir.path(), false).await;
    for number in 0..10_000 {
        keep(&cache, &caller, number, 39_000);
    }
    assert!(cache.entries.weight() <= 2_000, "{}", cache.entries.weight());
    assert!((100..=200).contains(&cache.entries.len()), "{}", cache.entries.len());
}

/// Long tokens, which are kept for whom reads are read ahead.
#[tokio::test]
async fn what_it_takes_to_read_again_counts_and_stays_within_the_bound() {
    if std::env::var_os(ALONE).is_none() {
        let test = "what_it_takes_to_read_again_counts_and_stays_within_the_bound";
        return in_a_process_of_its_own(test);
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(20_000, dir.path(), true).await;
    let mut caller = caller();
    caller.token = Some("x".repeat(16_000).into());
    let before = resident();
    for number in 0..40_000_u32 {
        // So many accounts that none of them has more than its share.
        let account =
            Uid([&[5; 12][..], &(number / 2_500).to_be_bytes()].concat().try_into().unwrap());
        keep_of(account, &cache, &caller, (number, CIPHERTEXT_BYTES));
    }
    let room = resident().saturating_sub(before);
    println!("{room} bytes for {} entries", cache.entries.len());
    assert!(cache.entries.iter().all(|(_, kept)| kept.again().is_some()));
    assert!(cache.entries.weight() <= 20_000, "{}", cache.entries.weight());
    assert!(room < 20_000 * 4_608, "{room} bytes");
}

#[tokio::test]
async fn a_million_items_take_less_than_a_gibibyte() {
    if std::env::var_os(ALONE).is_none() {
        return in_a_process_of_its_own("a_million_items_take_less_than_a_gibibyte");
    }
    // Tables that double are as full with so many as with a million.
    const COUNT: u32 = 120_000;
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(200_000, dir.path(), false).await;
    let (caller, before) = (caller(), resident());
    for number in 0..COUNT {
        keep(&cache, &caller, number, CIPHERTEXT_BYTES);
    }
    let each = resident().saturating_sub(before) / u64::from(COUNT);
    assert_eq!(cache.entries.len(), 120_000);
    println!("{each} bytes for each of {COUNT} short secrets");
    assert!(each > CIPHERTEXT_BYTES as u64, "nothing was measured: {each}");
    assert!(each * 1_000_000 < 1 << 30, "{each} bytes for each");
}
