//! Which traces are joined, and how many are looked at.

use std::sync::Mutex;

use http::HeaderValue;
use keysherd_base::{Rng, RngFailed};
use proptest::prelude::*;

use super::*;

const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Within every share.
const CHOSEN: &str = "00-0af7651916cd43dd0000000000000000-b7ad6b7169203331-01";

/// Numbers that are spread evenly enough.
struct Steps(Mutex<u64>);

impl Rng for Steps {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for chunk in buffer.chunks_mut(8) {
            let mut state = self.0.lock().unwrap();
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            chunk.copy_from_slice(&state.to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

fn begun(per_million: u32, headers: &[&str]) -> Option<Started> {
    let mut map = HeaderMap::new();
    for header in headers {
        map.append(TRACEPARENT, HeaderValue::from_str(header).unwrap());
    }
    let traces = Traces::new(per_million, Arc::new(drop));
    traces.begin(&map, &Steps(Mutex::new(7)), Timestamp(5))
}

#[test]
fn a_callers_trace_is_joined_and_nothing_else_is_one() {
    let parent = parse_traceparent(GOOD).unwrap();
    assert_eq!((parent.trace[0], parent.span[7], parent.sampled), (0x0a, 0x31, true));
    let joined = begun(1_000_000, &[GOOD]).unwrap();
    assert_eq!((joined.trace, joined.parent), (parent.trace, Some(parent.span)));
    assert_ne!(Some(joined.span), joined.parent);
    let longer = GOOD.replacen("00", "01", 1) + "-what-comes-later";
    assert!(parse_traceparent(&longer).is_some());
    for wrong in [
        "",
        &GOOD[..54],
        &format!("{GOOD}-more"),
        &format!("{GOOD}0"),
        &GOOD.to_uppercase(),
        &GOOD.replacen("00", "ff", 1),
        &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
        &GOOD.replace('-', "_"),
        &GOOD.replace("0af", "+af"),
    ] {
        assert_eq!(parse_traceparent(wrong), None, "{wrong}");
        let own = begun(1_000_000, &[wrong]).unwrap();
        assert_eq!(own.parent, None, "{wrong}");
    }
    assert_eq!(begun(1_000_000, &[GOOD, GOOD]).unwrap().parent, None, "two are none");
}

#[test]
fn callers_can_switch_it_off_and_not_on() {
    assert!(begun(1_000_000, &[&GOOD.replace("-01", "-00")]).is_none());
    assert!(begun(0, &[GOOD]).is_none());
    // The second half of this trace's number is in the upper half of all numbers.
    assert!(begun(400_000, &[GOOD]).is_none());
    assert!(begun(600_000, &[GOOD]).is_some());
}

#[test]
fn as_many_are_looked_at_as_wanted() {
    let (traces, rng) = (Traces::new(250_000, Arc::new(drop)), Steps(Mutex::new(1)));
    let none = HeaderMap::new();
    let begun = |_: &u32| traces.begin(&none, &rng, Timestamp(0)).is_some();
    let count = (0..10_000).filter(begun).count();
    assert!((2_000..3_000).contains(&count), "{count}");
}

#[test]
fn callers_who_choose_their_numbers_are_looked_at_no_more_than_others() {
    let mut map = HeaderMap::new();
    map.append(TRACEPARENT, HeaderValue::from_static(CHOSEN));
    let (traces, rng) = (Traces::new(10_000, Arc::new(drop)), Steps(Mutex::new(1)));
    let begun = |headers: &HeaderMap| {
        let begun = |_: &u32| traces.begin(headers, &rng, Timestamp(0)).is_some();
        (0..10_000).filter(begun).count()
    };
    let chosen = begun(&map);
    assert!((100..400).contains(&chosen), "{chosen}");
    let others = begun(&HeaderMap::new());
    assert!((50..200).contains(&others), "{others}");
    // Whoever has all requests looked at has all traces joined.
    let all = Traces::new(1_000_000, Arc::new(drop));
    let joined = |_: &u32| all.begin(&map, &rng, Timestamp(0)).is_some_and(|b| b.parent.is_some());
    assert_eq!((0..10_000).filter(joined).count(), 10_000);
}

proptest! {
    #[test]
    fn any_text_is_judged(text in "(00-)?[0-9a-f]{0,33}-?[0-9a-f]{0,17}-?.{0,4}") {
        if let Some(parent) = parse_traceparent(&text) {
            prop_assert!(parent.trace != [0; 16] && parent.span != [0; 8]);
        }
    }
}
