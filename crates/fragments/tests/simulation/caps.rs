//! What a manager counts: uses of permits, derivations, distinct items.

use keysherd_base::{Timestamp, Uid};
use keysherd_fragments::bundle::{Bundle, Caps};
use keysherd_fragments::manager_side::{BURST_SECONDS, Budget, UseCounter};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::refusal::Refusal;

use crate::checks::Fixture;
use crate::cluster::index;

#[test]
fn a_permit_is_used_as_often_as_it_says() {
    let mut fixture = Fixture::new();
    let request = ManagerRequest::Derive(fixture.call());
    for _ in 0..3 {
        let answer = fixture.cluster.ask(index(1), &request);
        assert!(matches!(answer, Some(ManagerAnswer::Derived(_))));
    }
    let answer = fixture.cluster.ask(index(1), &request);
    assert!(matches!(answer, Some(ManagerAnswer::Refused(Refusal::PermitUsedUp))));
}

#[test]
fn uses_are_forgotten_only_when_the_permit_has_expired() {
    let mut uses = UseCounter::default();
    let (permit, start) = (Uid([1; 16]), Timestamp::from_seconds(1_000));
    let ends = start.plus_seconds(60);
    assert_eq!(uses.take(permit, 1, ends, start), Ok(()));
    assert_eq!(uses.take(permit, 1, ends, ends.plus_seconds(30)), Err(Refusal::PermitUsedUp));
    assert_eq!(uses.take(Uid([2; 16]), 0, ends, start), Err(Refusal::PermitUsedUp));
    assert_eq!(uses.take(Uid([3; 16]), 2, ends.plus_seconds(60), ends.plus_seconds(31)), Ok(()));
    assert_eq!(uses.len(), 1, "the first permit is forgotten");
}

/// Charges a fresh budget with `times` requests of two items each, under one change to the caps.
fn charge(times: usize, fresh_items: bool, change: impl Fn(&mut Bundle)) -> Vec<Option<Refusal>> {
    let mut fixture = Fixture::new();
    fixture.cluster.change_bundle(change);
    let mut checked = fixture.check(&fixture.call()).unwrap();
    let mut budget = Budget::new(1_000);
    let now = fixture.cluster.now;
    let charges = (0..times).map(|_| {
        if fresh_items {
            for entry in &mut checked.entries {
                entry.item_id = fixture.cluster.fresh_id();
            }
        }
        budget.charge(&fixture.cluster.pinned, &checked, now).err()
    });
    charges.collect()
}

const SLOW: Caps = Caps { derivations_per_second: 1, ..Caps::UNLIMITED };
const FEW: Caps = Caps { items_per_hour: 4, ..Caps::UNLIMITED };
const FEW_DAILY: Caps = Caps { items_per_day: 4, ..Caps::UNLIMITED };

#[test]
fn every_cap_of_the_bundle_holds() {
    let scopes: [fn(&mut Bundle, Caps); 4] = [
        |bundle, caps| bundle.clusters[0].caps = caps,
        |bundle, caps| bundle.account_caps = caps,
        |bundle, caps| bundle.groups[0].caps = caps,
        |bundle, caps| bundle.groups[0].key_caps = caps,
    ];
    for (number, scope) in scopes.iter().enumerate() {
        // Two derivations each: the bucket holds what ten seconds bring.
        let burst = usize::try_from(BURST_SECONDS).unwrap() / 2;
        let refused = charge(burst + 1, false, |bundle| scope(bundle, SLOW));
        assert!(refused[..burst].iter().all(Option::is_none), "scope {number}");
        assert_eq!(refused[burst], Some(Refusal::RateLimited), "scope {number}");
        for caps in [FEW, FEW_DAILY] {
            let refused = charge(3, true, |bundle| scope(bundle, caps));
            assert_eq!(refused, [None, None, Some(Refusal::TooManyItems)], "scope {number}");
            let refused = charge(5, false, |bundle| scope(bundle, caps));
            assert_eq!(refused, [None; 5], "the same items again are not distinct");
        }
    }
    let nothing = Caps { derivations_per_second: 0, ..Caps::UNLIMITED };
    let refused = charge(1, false, |bundle| bundle.account_caps = nothing);
    assert_eq!(refused, [Some(Refusal::RateLimited)]);
}

#[test]
fn budgets_recover_with_time_and_not_by_turning_the_clock_back() {
    let mut fixture = Fixture::new();
    fixture.cluster.change_bundle(|bundle| {
        bundle.clusters[0].caps =
            Caps { derivations_per_second: 1, items_per_hour: 2, items_per_day: 4 };
    });
    let mut checked = fixture.check(&fixture.call()).unwrap();
    let mut budget = Budget::new(1_000);
    let start = Timestamp::from_seconds(100 * 86_400);
    let mut at = |seconds: i64, fresh: bool| {
        if fresh {
            for entry in &mut checked.entries {
                entry.item_id = fixture.cluster.fresh_id();
            }
        }
        budget.charge(&fixture.cluster.pinned, &checked, start.plus_seconds(seconds)).err()
    };
    assert_eq!(at(0, true), None);
    assert_eq!(at(0, true), Some(Refusal::TooManyItems), "two items an hour");
    assert_eq!(at(-7_200, true), Some(Refusal::TooManyItems), "time does not go back");
    assert_eq!(at(3_600, true), None);
    assert_eq!(at(7_200, true), Some(Refusal::TooManyItems), "four items a day");
    assert_eq!(at(86_400, true), None);
    for _ in 0..4 {
        assert_eq!(at(86_400, false), None);
    }
    assert_eq!(at(86_400, false), Some(Refusal::RateLimited));
    assert_eq!(at(86_401, false), Some(Refusal::RateLimited), "one token, two are needed");
    assert_eq!(at(86_402, false), None);
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let mut fixture = Fixture::new();
    fixture.cluster.change_bundle(|bundle| bundle.account_caps = FEW_DAILY);
    let checked = fixture.check(&fixture.call()).unwrap();
    let mut budget = Budget::new(1);
    let now = fixture.cluster.now;
    let refused = budget.charge(&fixture.cluster.pinned, &checked, now);
    assert_eq!(refused, Err(Refusal::CountersFull));
    assert_eq!(budget.items(), 0, "nothing was taken");
}
