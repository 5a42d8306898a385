//! How long a member waits after failures. Joining itself is tested with whole processes.

use super::*;

#[test]
fn pauses_grow_to_a_bound_that_depends_on_why() {
    let pause = |failures, kind| pause_after(failures, kind).as_millis();
    let down = FaultKind::Unavailable;
    let refused = FaultKind::Unauthorized;
    assert_eq!((pause(1, down), pause(2, down), pause(3, down)), (100, 200, 400));
    assert_eq!((pause(40, down), pause(u32::MAX, down)), (2_000, 2_000));
    assert_eq!((pause(1, refused), pause(u32::MAX, refused)), (100, 30_000));
}
