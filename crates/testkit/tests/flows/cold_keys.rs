//! A gateway that starts while control is away for long, and holds the customer fragment: opened
//! keys in the copy on its disk.

use std::fs;
use std::path::{Path, PathBuf};

use keysherd_api::{CachePolicy, OfflinePolicy};
use keysherd_base::Secret;
use keysherd_fragments::fragment_file::{FragmentEntry, FragmentFile, FragmentKind, id_text};
use keysherd_gateway::CacheSettings;
use keysherd_testkit::{Conduct, FRAGMENT, Rig, Settings};
use serde_json::json;

use crate::cold::{KEY, freeze, refused, refused_for_good, start_alone, until_copied, until_read};
use crate::offline::until_kept;
use crate::{create, read};

const VALUE: &str = "a-value-that-nobody-else-has-4711";
const MINUTE: i64 = 60;

fn file(kind: FragmentKind, value: u8) -> FragmentFile {
    let entry = FragmentEntry {
        id: FRAGMENT,
        name: "north".to_owned(),
        description: String::new(),
        kind,
        value: Secret::new([value; 32]),
        backup_verified_at: None,
    };
    FragmentFile { entries: vec![entry], problems: Vec::new() }
}

/// One where `/shop/a`, which is bound to the fragment, and `/shop/plain`, which is not, may be
/// read for two hours without control; the owner's bundle gives keys an hour.
async fn rig(kind: FragmentKind) -> Rig {
    let policy = CachePolicy { enabled: true, ttl_minutes: 120, ..CachePolicy::default() };
    let cache = CacheSettings { policy, items_max: 1_000, workers: 1 };
    let cache_key = Some(KEY);
    let settings = Settings { cache, cache_key, key_cache_seconds: 60, ..Settings::default() };
    let mut rig = Rig::new(settings).await;
    rig.fragments.replace(file(kind, 0x5a));
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 3_600).await;
    let key = json!({"name": "/key", "alg": "AES256GCM", "customer-frg-id": id_text(&FRAGMENT)});
    rig.call("create-dfc-key", key).await.unwrap();
    let bound = json!({"name": "/shop/a", "value": VALUE, "protection_key": "/key"});
    rig.call("create-secret", bound).await.unwrap();
    create(&rig, "/shop/plain", VALUE).await.unwrap();
    rig.gateway.forget_keys();
    until_kept(&rig, "/shop/plain").await;
    until_kept(&rig, "/shop/a").await;
    // Only now: so there is no copy with one of them alone.
    let policy = OfflinePolicy { max_minutes: 120, paths: vec!["/shop/*".to_owned()] };
    rig.gateway.allow_offline([((rig.account.0, rig.admin_access_id()), policy)].into());
    until_copied(&rig).await;
    rig
}

fn put_back(from: &Path, to: &Path) {
    for name in ["copy", "number"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn dir(rig: &Rig) -> PathBuf {
    rig.gateway_home().join("read-copy")
}

/// However often it is killed, whether managers are there or not; for as long as the owner says,
/// counted from when managers were asked by the first process.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_fragment_reads_go_on_after_a_start_for_as_long_as_the_owner_allows() {
    let mut rig = rig(FragmentKind::Standard).await;
    for (minutes, conduct) in [(10, Conduct::Honest), (20, Conduct::Down), (25, Conduct::Down)] {
        (1..=3).for_each(|index| rig.link(index).behave(conduct));
        rig.clock.advance_seconds(minutes * MINUTE);
        start_alone(&mut rig);
        until_read(&rig, "/shop/a").await;
        assert_eq!(read(&rig, "/shop/a").await.unwrap(), VALUE);
        refused(&rig, "/shop/plain").await;
    }
    rig.clock.advance_seconds(6 * MINUTE);
    refused(&rig, "/shop/a").await;
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fragment_or_with_another_one_no_key_of_the_copy_opens() {
    let mut rig = rig(FragmentKind::Standard).await;
    rig.clock.advance_seconds(2 * MINUTE);
    rig.fragments.replace(FragmentFile::default());
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
    rig.fragments.replace(file(FragmentKind::Standard, 0x5b));
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
    rig.fragments.replace(file(FragmentKind::Standard, 0x5a));
    start_alone(&mut rig);
    until_read(&rig, "/shop/a").await;
}

/// Control is away, managers are reached, and know what the owner wants.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_copy_stay_sealed_when_the_owner_stopped_them() {
    let mut rig = rig(FragmentKind::Standard).await;
    let other = rig.another_gateway();
    rig.plane.cut(true);
    let said = other.crypt.bring_order(&freeze(&rig)).await.unwrap();
    assert!(said.iter().all(|manager| manager.said.is_ok()));
    rig.restart_gateway();
    refused_for_good(&rig, "/shop/a").await;
    rig.clock.advance_seconds(2 * MINUTE);
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
}

/// Also where somebody puts back the copy that was forgotten as the owner allowed less.
#[tokio::test(flavor = "multi_thread")]
async fn the_bound_that_the_owner_lowered_holds_for_what_is_in_a_copy() {
    let mut rig = rig(FragmentKind::Standard).await;
    let kept = tempfile::tempdir().unwrap();
    put_back(&dir(&rig), kept.path());
    rig.plane.cut(true);
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 600).await;
    assert!(!dir(&rig).join("copy").exists(), "one from before a newer bundle");
    rig.clock.advance_seconds(8 * MINUTE);
    put_back(kept.path(), &dir(&rig));
    start_alone(&mut rig);
    until_read(&rig, "/shop/a").await;
    rig.clock.advance_seconds(3 * MINUTE);
    refused(&rig, "/shop/a").await;
    put_back(kept.path(), &dir(&rig));
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 3_600).await;
    put_back(kept.path(), &dir(&rig));
    start_alone(&mut rig);
    until_read(&rig, "/shop/a").await;
    // Somebody sets the clock back, so that the copy looks younger.
    rig.clock.advance_seconds(-20 * MINUTE);
    refused(&rig, "/shop/a").await;
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_that_a_module_makes_opens_keys_of_the_copy_while_the_module_is_there() {
    let mut rig = rig(FragmentKind::HsmSecured { key_label: "k".to_owned() }).await;
    rig.clock.advance_seconds(5 * MINUTE);
    rig.module.be_gone(true);
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
    rig.module.be_gone(false);
    start_alone(&mut rig);
    until_read(&rig, "/shop/a").await;
}
