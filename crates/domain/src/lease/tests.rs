//! Many holders, any order of events, a clock that goes on: never two at one time.

use proptest::prelude::*;

use super::*;

fn holder(number: u8) -> Holder {
    Holder { spki_sha256: [number; 32], process: Uid([number; 16]) }
}

fn given(asked: Asked) -> Lease {
    match asked {
        Asked::Given(lease) => lease,
        other => panic!("{other:?}"),
    }
}

const NOW: Timestamp = Timestamp(1_000_000);

fn later(millis: i64) -> Timestamp {
    Timestamp(NOW.0 + millis)
}

#[test]
fn a_lease_is_kept_by_who_renews_it_and_passes_on_when_it_ends() {
    let [one, two] = [holder(1), holder(2)];
    let first = given(ask(None, &one, None, NOW));
    assert_eq!((first.fence, first.ends), (1, later(LIFE_MILLIS)));
    assert_eq!(ask(Some(&first), &two, None, later(LIFE_MILLIS - 1)), Asked::Refused);
    assert_eq!(ask(Some(&first), &one, Some(1), later(1_000)), Asked::Held(first));
    let renewed = given(ask(Some(&first), &one, Some(1), later(4_000)));
    assert_eq!((renewed.fence, renewed.ends), (1, later(4_000 + LIFE_MILLIS)));
    assert_eq!(ask(Some(&renewed), &two, None, later(LIFE_MILLIS)), Asked::Refused);
    let second = given(ask(Some(&renewed), &two, None, later(4_000 + LIFE_MILLIS)));
    assert_eq!((second.fence, second.holder), (2, two));
    // Its former holder is told, and cannot write any more.
    assert_eq!(ask(Some(&second), &one, Some(1), later(4_001 + LIFE_MILLIS)), Asked::Refused);
    assert!(!second.covers(&one, 1) && !second.covers(&one, 2) && second.covers(&two, 2));
}

#[test]
fn an_end_that_nobody_noticed_changes_no_number() {
    let one = holder(1);
    let first = given(ask(None, &one, None, NOW));
    let again = given(ask(Some(&first), &one, Some(1), later(60_000)));
    assert_eq!(again.fence, 1);
    // A process that has not heard that it has it, and its next start, get the next number.
    assert_eq!(given(ask(Some(&first), &one, None, later(1))).fence, 2);
    let restarted = Holder { process: Uid([9; 16]), ..one };
    assert_eq!(ask(Some(&first), &restarted, None, later(1)), Asked::Refused);
    assert_eq!(ask(Some(&first), &restarted, Some(1), later(1)), Asked::Refused);
    assert_eq!(given(ask(Some(&first), &restarted, None, later(LIFE_MILLIS))).fence, 2);
    assert_eq!(given(ask(Some(&first.ended()), &restarted, None, later(1))).fence, 2);
    // A clock that was set back does not keep everybody out.
    let back = Timestamp(NOW.0 - 3_600_000);
    assert_eq!(given(ask(Some(&first), &restarted, None, back)).fence, 2);
    let spent = Lease { fence: u64::MAX, ..first.ended() };
    assert_eq!(ask(Some(&spent), &restarted, None, NOW), Asked::Refused);
}

/// What happens next in the model.
#[derive(Clone, Debug)]
enum Event {
    /// Time goes by, in milliseconds.
    Wait(i64),
    /// A holder asks; whether it hears the answer.
    Ask(u8, bool),
    /// It ends and starts again.
    Restart(u8),
    /// It gives back what it holds.
    Release(u8),
    /// It writes under the number it knows.
    Write(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..4_000_i64).prop_map(Event::Wait),
        (0..3_u8, any::<bool>()).prop_map(|(who, heard)| Event::Ask(who, heard)),
        (0..3_u8).prop_map(Event::Restart),
        (0..3_u8).prop_map(Event::Release),
        (0..3_u8).prop_map(Event::Write),
    ]
}

/// What an instance knows: its process, and the lease as it was told.
struct Instance {
    holder: Holder,
    known: Option<Lease>,
}

proptest! {
    #[test]
    fn never_two_holders_and_numbers_ascend(events in proptest::collection::vec(event(), 1..200)) {
        let mut kept: Option<Lease> = None;
        let (mut now, mut starts) = (NOW, 0_u8);
        let mut all: Vec<_> =
            (0..3).map(|number| Instance { holder: holder(number), known: None }).collect();
        let mut written = 0;
        for event in events {
            match event {
                Event::Wait(millis) => now = Timestamp(now.0 + millis),
                Event::Ask(who, heard) => {
                    let instance = &mut all[usize::from(who)];
                    let fence = instance.known.map(|lease| lease.fence);
                    let before = kept.map_or(0, |lease| lease.fence);
                    let asked = ask(kept.as_ref(), &instance.holder, fence, now);
                    let told = match asked {
                        Asked::Given(lease) => {
                            let same = kept.is_some_and(|kept| kept.holder == lease.holder);
                            let next = lease.fence == before + 1;
                            prop_assert!(next || same && lease.fence == before);
                            kept = Some(lease);
                            Some(lease)
                        }
                        Asked::Held(lease) => Some(lease),
                        Asked::Refused => None,
                    };
                    if heard {
                        instance.known = told;
                    }
                }
                Event::Restart(who) => {
                    starts += 1;
                    let instance = &mut all[usize::from(who)];
                    instance.known = None;
                    instance.holder.process = Uid([100 + starts % 100; 16]);
                }
                Event::Release(who) => {
                    let instance = &mut all[usize::from(who)];
                    let Some(known) = instance.known.take() else { continue };
                    let own = |kept: &Lease| kept.covers(&instance.holder, known.fence);
                    kept = kept.map(|kept| if own(&kept) { kept.ended() } else { kept });
                }
                Event::Write(who) => {
                    let instance = &all[usize::from(who)];
                    let Some(known) = instance.known else { continue };
                    if kept.is_some_and(|kept| kept.covers(&instance.holder, known.fence)) {
                        // Whoever wrote later has the later number.
                        prop_assert!(known.fence >= written);
                        written = known.fence;
                    }
                }
            }
            let believers = all.iter().filter(|instance| {
                instance.known.is_some_and(|lease| now < lease.ends)
            });
            prop_assert!(believers.count() <= 1);
        }
    }
}
