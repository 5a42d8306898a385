//! Searching the audit log: with an index, with half of one, and without.

use std::fs;
use std::time::Duration;

use keysherd_audit::{Brief, Draft, Failure, Filter, StatusFilter};
use keysherd_base::{AccessId, AccountId, FaultKind, ItemId, Timestamp};

use super::fixture::*;
use crate::{
    AuditOrder, AuditPage, AuditSearch, LastUse, Store, audit, days_since, items,
    last_uses_of_items, last_uses_of_methods,
};

const LONG: Duration = Duration::from_secs(3_600);

/// The draft of record `n`: a mixture in which some values are common and some are rare.
fn nth(n: u64) -> Draft {
    let mut draft = draft(ACCOUNT);
    let folder = ["team", "team/db", "other"][(n % 3) as usize];
    draft.params =
        vec![keysherd_audit::Param::public("item_name", format!("/{folder}/{}", n % 97))];
    draft.access_id = Some(access((n % 7) as u8));
    draft.unique_id = format!("user-{}", n % 11).into();
    draft.action = ["get_secret_value", "get_item", "list_items"][(n % 5 / 2) as usize].into();
    draft
}

fn access(n: u8) -> AccessId {
    AccessId::parse(&format!("p-abcdefghijk{}", char::from(b'a' + n))).unwrap()
}

/// Appends records from `from` to before `until`, a second of the clock for each hundred.
fn fill(fixture: &Fixture, from: u64, until: u64) {
    for start in (from..until).step_by(100) {
        let drafts = (start..until.min(start + 100)).map(|n| {
            let failure = n.is_multiple_of(13).then(|| Failure::from(FaultKind::NotFound));
            (nth(n), failure)
        });
        wait(fixture.store.record(drafts.collect())).unwrap();
        fixture.clock.advance_seconds(1);
    }
}

fn search(filter: &Filter, order: AuditOrder) -> AuditSearch {
    AuditSearch { account: ACCOUNT, filter: filter.clone(), order, start: None, limit: 50 }
}

fn page(store: &Store, wanted: AuditSearch) -> AuditPage {
    wait(store.search_audit(wanted, |_| true)).unwrap()
}

/// All pages together.
fn found(store: &Store, filter: &Filter, order: AuditOrder, limit: usize) -> Vec<u64> {
    let mut wanted = AuditSearch { limit, ..search(filter, order) };
    let mut all = Vec::new();
    loop {
        let page = page(store, wanted.clone());
        assert!(page.records.len() <= limit);
        all.extend(page.records.iter().map(|record| record.seq));
        match page.next {
            Some(next) => wanted.start = Some(next),
            None => return all,
        }
    }
}

/// The same by looking at every record.
fn naive(store: &Store, filter: &Filter) -> Vec<u64> {
    let records = see(store, |q| audit::records(q, ACCOUNT, 0, 1_000_000));
    let fits = records.iter().filter(|record| filter.matches(&Brief::read(&record.bytes).unwrap()));
    fits.map(|record| record.seq).collect()
}

fn filters() -> Vec<Filter> {
    let text = |text: &str| Some(text.to_owned());
    let base = Filter::default();
    vec![
        base.clone(),
        Filter { item: text("/team/db/4"), ..base.clone() },
        Filter { item: text("/team/none"), ..base.clone() },
        Filter { folder: text("/team/"), ..base.clone() },
        Filter { folder: text("/team/db/"), action: text("get_item"), ..base.clone() },
        Filter { access_id: text(access(3).as_str()), ..base.clone() },
        Filter {
            access_id: text(access(3).as_str()),
            unique_id: text("user-2"),
            status: Some(StatusFilter::Failed),
            ..base.clone()
        },
        Filter { unique_id: text("user-10"), ..base.clone() },
        Filter { status: Some(StatusFilter::Exactly(404)), ..base.clone() },
        Filter { from: Some(Timestamp(NOW.0 + 3_000)), ..base.clone() },
        Filter { to: Some(Timestamp(NOW.0 + 3_000)), action: text("list_items"), ..base.clone() },
        Filter {
            from: Some(Timestamp(NOW.0 + 9_000)),
            to: Some(Timestamp(NOW.0 + 14_000)),
            folder: text("/other/"),
            ..base
        },
    ]
}

#[track_caller]
fn agrees(store: &Store) {
    for filter in filters() {
        let mut expected = naive(store, &filter);
        assert_eq!(found(store, &filter, AuditOrder::OldestFirst, 64), expected, "{filter:?}");
        expected.reverse();
        for limit in [7, 1_000] {
            let newest = found(store, &filter, AuditOrder::NewestFirst, limit);
            assert_eq!(newest, expected, "{filter:?}, pages of {limit}");
        }
    }
}

#[test]
pub(super) fn a_search_finds_what_looking_at_every_record_finds() {
    let fixture = Fixture::new();
    agrees(&fixture.store);
    fill(&fixture, 0, 900);
    agrees(&fixture.store);
    wait(fixture.store.index_audit(LONG));
    agrees(&fixture.store);
    fill(&fixture, 900, 3_500);
    wait(fixture.store.index_audit(LONG));
    // Indexed to the half: what is newer is read from the chain.
    fill(&fixture, 3_500, 4_200);
    agrees(&fixture.store);
    let empty =
        AuditSearch { account: OTHER, ..search(&Filter::default(), AuditOrder::NewestFirst) };
    assert!(page(&fixture.store, empty).records.is_empty(), "another account");
}

#[test]
pub(super) fn a_clock_that_was_set_back_hides_nothing() {
    let fixture = Fixture::new();
    fill(&fixture, 0, 1_500);
    fixture.clock.advance_seconds(-1_000);
    fill(&fixture, 1_500, 3_000);
    wait(fixture.store.index_audit(LONG));
    agrees(&fixture.store);
}

#[test]
pub(super) fn the_index_is_made_anew_when_it_is_lost_damaged_or_of_another_chain() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().to_owned();
    let (index, copy) = (folder.join("audit-index.db"), folder.join("copy.db"));
    fill(&fixture, 0, 1_100);
    wait(fixture.store.index_audit(LONG));
    let Fixture { store, clock, folder: kept } = fixture;
    drop(store);
    // A backup from here.
    fs::copy(folder.join("control.db"), &copy).unwrap();
    let reopened = |what: &dyn Fn()| {
        what();
        let store = Store::open(config(&folder, &clock)).unwrap();
        wait(store.index_audit(LONG));
        agrees(&store);
        let page = page(&store, search(&filters()[2], AuditOrder::NewestFirst));
        assert!(page.records_read < 1_024, "the index is used: {page:?}");
        drop(store);
    };
    reopened(&|| fs::remove_file(&index).unwrap());
    reopened(&|| fs::write(&index, b"not a database at all, but long enough").unwrap());
    reopened(&|| {
        let mut bytes = fs::read(&index).unwrap();
        bytes.truncate(5_000);
        fs::write(&index, bytes).unwrap();
    });
    let store = Store::open(config(&folder, &clock)).unwrap();
    let fixture = Fixture { store, clock: clock.clone(), folder: kept };
    fill(&fixture, 5_000, 7_100);
    wait(fixture.store.index_audit(LONG));
    let Fixture { store, folder: _kept, .. } = fixture;
    drop(store);
    reopened(&|| {
        fs::copy(&copy, folder.join("control.db")).unwrap();
    });
    let store = Store::open(config(&folder, &clock)).unwrap();
    wait(store.index_audit(LONG));
    assert_eq!(days(&store), 1_100, "counted anew, not twice");
}

fn days(store: &Store) -> u64 {
    let rows = days_since(store, ACCOUNT, NOW, 30).unwrap();
    rows.iter().map(|(_, sums)| sums.requests).sum()
}

#[test]
pub(super) fn a_rare_find_among_many_records_costs_few_looks() {
    let fixture = Fixture::new();
    let rare = draft(ACCOUNT).with("item_name", "/rare/one");
    wait(fixture.store.record(vec![(rare, None)])).unwrap();
    fill(&fixture, 0, 140_000);
    wait(fixture.store.index_audit(LONG));
    let filter = Filter { item: Some("/rare/one".to_owned()), ..Filter::default() };
    let page = page(&fixture.store, search(&filter, AuditOrder::NewestFirst));
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.next, None);
    let tail = 140_001 % 1_024;
    assert!(page.records_read <= tail + 2, "{} records", page.records_read);
    // Two groups are passed over, 8 segments are in none yet, and 64 hold it somewhere.
    assert!(page.segments_read <= 1 + 1 + 9 + 64, "{} segments", page.segments_read);
}

#[test]
pub(super) fn a_search_that_finds_nothing_ends_after_a_while_and_goes_on() {
    let fixture = Fixture::new();
    fill(&fixture, 0, 45_000);
    let wanted = search(&Filter::default(), AuditOrder::NewestFirst);
    let (mut start, mut rounds, mut looked) = (None, 0, 0);
    loop {
        let wanted = AuditSearch { start, ..wanted.clone() };
        let nothing = fixture.store.search_audit(wanted, |_| false);
        let page = wait(nothing).unwrap();
        assert!(page.records.is_empty() && page.records_read <= 21_024);
        (rounds, looked) = (rounds + 1, looked + page.records_read);
        match page.next {
            Some(next) => start = Some(next),
            None => break,
        }
    }
    assert_eq!((rounds, looked), (3, 45_000));
}

#[test]
pub(super) fn last_uses_and_sums_follow_the_records() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let used = done(store, |tx| items::insert(tx, &item("/team/used")));
    let unused = done(store, |tx| items::insert(tx, &item("/team/unused")));
    let late = done(store, |tx| items::insert(tx, &items_created_later()));
    let by = |path: &str, action: &'static str| {
        let mut draft = draft(ACCOUNT);
        draft.params = vec![keysherd_audit::Param::public("item_name", path.to_owned())];
        (draft.access_id, draft.action) = (Some(access(1)), action.into());
        draft.unique_id = "alice".into();
        draft
    };
    let failed = Some(Failure::from(FaultKind::NotFound));
    wait(store.record(vec![
        (by("/team/used", "get_secret_value"), None),
        (by("/team/unused", "get_item"), None),
        (by("/team/unused", "get_secret_value"), failed),
        (by("/team/late", "get_secret_value"), None),
    ]))
    .unwrap();
    let look = |store: &Store| {
        wait(store.index_audit(LONG));
        let last = last_use_of_item(store, ACCOUNT, used).unwrap();
        assert_eq!((last.time, last.access_id.as_str()), (NOW, access(1).as_str()));
        assert_eq!(last.unique_id, "alice");
        assert_eq!(last_use_of_item(store, ACCOUNT, unused), None);
        assert_eq!(last_use_of_item(store, ACCOUNT, late), None, "made after the use");
        assert_eq!(last_use_of_item(store, OTHER, used), None);
        assert!(last_use_of_method(store, ACCOUNT, &access(1)).is_some());
        assert_eq!(last_use_of_method(store, ACCOUNT, &access(2)), None);
        assert_eq!(days(store), 4);
        assert!(days_since(store, OTHER, NOW, 30).unwrap().is_empty());
    };
    look(store);
    let Fixture { store, clock, folder } = fixture;
    drop(store);
    look(&Store::open(config(folder.path(), &clock)).unwrap());
}

fn last_use_of_item(store: &Store, of: AccountId, id: ItemId) -> Option<LastUse> {
    last_uses_of_items(store, of, [id]).unwrap().remove(0)
}

fn last_use_of_method(store: &Store, of: AccountId, id: &AccessId) -> Option<LastUse> {
    last_uses_of_methods(store, of, [id]).unwrap().remove(0)
}

fn items_created_later() -> keysherd_domain::item::Item {
    keysherd_domain::item::Item { created: Timestamp(NOW.0 + 1), ..item("/team/late") }
}

#[test]
pub(super) fn accounts_do_not_meet_in_the_index() {
    let fixture = Fixture::new();
    let of = |account: AccountId| Draft { account, ..nth(1) };
    for _ in 0..13 {
        let drafts = (0..100).flat_map(|_| [(of(ACCOUNT), None), (of(OTHER), None)]);
        wait(fixture.store.record(drafts.collect())).unwrap();
    }
    wait(fixture.store.index_audit(LONG));
    agrees(&fixture.store);
    let wanted = search(&Filter::default(), AuditOrder::OldestFirst);
    for account in [ACCOUNT, OTHER] {
        let page = page(&fixture.store, AuditSearch { account, ..wanted.clone() });
        assert_eq!(page.head.unwrap().head.seq, 1_300);
        for record in page.records {
            assert_eq!(record.parse().unwrap().draft.account, account);
        }
    }
}
