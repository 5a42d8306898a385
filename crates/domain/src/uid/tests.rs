//! The rules of rotation, by example and by random walks.

use keysherd_base::{Uid, UidTokenId};
use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp(1_767_600_000_000);

fn value(number: u32) -> UidValue {
    UidValue { number, verifier: [number.to_be_bytes()[3]; 32] }
}

fn token() -> UidToken {
    let living = LivingValue { value: value(1), made: START, expires: end_of_life(START, 60) };
    UidToken {
        id: 1,
        account: AccountId(Uid([1; 16])),
        method: 1,
        token_id: UidTokenId::parse("ywzsub3u4tbu").unwrap(),
        comment: String::new(),
        ttl_minutes: 60,
        deny_rotate: false,
        deny_inheritance: false,
        created: START,
        revoked: None,
        current: living,
        pending: None,
        replaced: None,
        numbers_used: 1,
    }
}

fn after(seconds: i64) -> Timestamp {
    START.plus_seconds(seconds)
}

#[test]
fn the_first_use_of_the_new_value_ends_the_old_one() {
    let mut token = token();
    token.begin_rotation(value(2), false, after(10));
    assert_eq!(token.judge(&value(1), after(11)), Verdict::Good);
    assert_eq!(token.judge(&value(2), after(11)), Verdict::Acknowledges);
    assert!(token.acknowledge(&value(2), after(12)));
    assert_eq!(token.judge(&value(2), after(12)), Verdict::Good);
    assert_eq!(token.judge(&value(1), after(12)), Verdict::JustRotated);
    assert_eq!(token.judge(&value(1), after(71)), Verdict::JustRotated);
    assert_eq!(token.judge(&value(1), after(72)), Verdict::Reused);
    assert_eq!(token.current.expires, end_of_life(after(10), 60), "life began anew");
}

#[test]
fn a_lost_answer_locks_nobody_out() {
    let mut token = token();
    token.begin_rotation(value(2), false, after(10));
    assert_eq!(token.judge(&value(1), after(309)), Verdict::Good);
    assert_eq!(token.judge(&value(1), after(310)), Verdict::OnlyRotates);
    token.begin_rotation(value(3), false, after(400));
    assert_eq!(token.judge(&value(1), after(400)), Verdict::Good);
    assert_eq!(token.judge(&value(2), after(400)), Verdict::Unknown, "it was given up");
    assert_eq!(token.judge(&value(3), after(400)), Verdict::Acknowledges);
    assert!(token.acknowledge(&value(3), after(400)));
    assert_eq!(token.judge(&value(2), after(400)), Verdict::Reused, "somebody else has it");
}

#[test]
fn a_manual_rotation_waits_for_its_acknowledgment() {
    let mut token = token();
    token.begin_rotation(value(2), true, after(10));
    assert_eq!(token.judge(&value(2), after(11)), Verdict::OnTrial);
    assert_eq!(token.judge(&value(2), after(310)), Verdict::Unacknowledged);
    assert_eq!(token.judge(&value(1), after(3_599)), Verdict::Good);
    assert!(token.acknowledge(&value(2), after(3_599)));
    assert!(token.acknowledge(&value(2), after(3_599)), "asking twice is no error");
    assert_eq!(token.judge(&value(2), after(3_600)), Verdict::Good);
    assert_eq!(token.judge(&value(2), after(3_610)), Verdict::Expired(after(3_610)));
}

#[test]
fn values_end_and_revoked_tokens_are_dead() {
    let mut token = token();
    assert_eq!(token.judge(&value(1), after(3_600)), Verdict::Expired(after(3_600)));
    let forged = UidValue { number: 1, verifier: [9; 32] };
    assert_eq!(token.judge(&forged, after(1)), Verdict::Unknown);
    token.revoked = Some(after(5));
    assert_eq!(token.judge(&value(1), after(6)), Verdict::Revoked);
}

#[test]
fn only_the_value_before_may_have_been_under_way() {
    let mut token = token();
    for number in 2..=4 {
        let now = after(i64::from(number) * 30);
        token.begin_rotation(value(number), false, now);
        assert!(token.acknowledge(&value(number), now));
    }
    assert_eq!(token.judge(&value(3), after(121)), Verdict::JustRotated);
    assert_eq!(token.judge(&value(2), after(121)), Verdict::Reused);
}

#[test]
fn events_come_when_a_part_of_the_life_has_passed() {
    let token = token();
    let percents = [50, 90];
    assert_eq!(token.next_event(&percents, START), Some((after(1_800), 50)));
    assert_eq!(token.next_event(&percents, after(1_800)), Some((after(3_240), 90)));
    assert_eq!(token.next_event(&percents, after(3_240)), None);
}

#[test]
fn settings_have_bounds() {
    assert_eq!(UidSettings::default().check(), Ok(()));
    let bad = [
        UidSettings { ttl_minutes: 0, ..UidSettings::default() },
        UidSettings { ttl_minutes: UID_TTL_MINUTES_MAX + 1, ..UidSettings::default() },
        UidSettings { child_ttl_limit_minutes: 0, ..UidSettings::default() },
        UidSettings { tree_length: 0, ..UidSettings::default() },
        UidSettings { tree_length: 201, ..UidSettings::default() },
        UidSettings { expiration_event_percents: vec![0], ..UidSettings::default() },
        UidSettings { expiration_event_percents: vec![50, 50], ..UidSettings::default() },
        UidSettings { expiration_event_percents: vec![101], ..UidSettings::default() },
    ];
    for settings in bad {
        assert!(settings.check().is_err(), "{settings:?} was accepted");
    }
    let limit = UidSettings { child_ttl_limit_minutes: 10, ..UidSettings::default() };
    assert!(limit.check_child_ttl(10).is_ok());
    assert!(limit.check_child_ttl(11).is_err() && limit.check_child_ttl(0).is_err());
}

/// What happens to a token in a random walk.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The holder rotates; the flags: manual, and whether the answer arrives.
    Rotate(bool, bool),
    /// The holder uses or acknowledges the newest value that arrived.
    Take,
    /// Time passes, in seconds.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(manual, arrives)| Step::Rotate(manual, arrives)),
        Just(Step::Take),
        (1_i64..600).prop_map(Step::Wait),
    ]
}

/// A holder who follows the rules: keeps the value in force until another one was taken.
struct Holder {
    token: UidToken,
    now: Timestamp,
    in_force: u32,
    received: Option<u32>,
    manual: bool,
}

impl Holder {
    fn follow(&mut self, step: Step) {
        match step {
            Step::Wait(seconds) => self.now = self.now.plus_seconds(seconds),
            Step::Rotate(manual, arrives) => {
                // With a value at hand that may be in force by now, that one is asked first.
                if let (Some(_), false) = (self.received, self.manual) {
                    self.follow(Step::Take);
                }
                let number = self.token.next_number();
                self.token.begin_rotation(value(number), manual, self.now);
                self.received = arrives.then_some(number);
                self.manual = manual;
            }
            Step::Take => {
                if let Some(received) = self.received.take() {
                    assert!(self.token.acknowledge(&value(received), self.now));
                    self.in_force = received;
                }
            }
        }
    }

    /// Renews the token when its life is nearly over, as any holder would.
    fn keep_alive(&mut self) {
        if self.now.plus_seconds(700) >= self.token.current.expires {
            self.follow(Step::Rotate(false, true));
            self.follow(Step::Take);
        }
    }
}

proptest! {
    #[test]
    fn a_holder_is_never_locked_out_and_two_values_work_for_the_grace_only(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut holder =
            Holder { token: token(), now: START, in_force: 1, received: None, manual: false };
        for step in steps {
            holder.follow(step);
            holder.keep_alive();
            let (token, now) = (&holder.token, holder.now);
            let verdict = token.judge(&value(holder.in_force), now);
            prop_assert!(
                matches!(verdict, Verdict::Good | Verdict::OnlyRotates),
                "locked out: {verdict:?} in {token:?}"
            );
            let usable = (1..=token.numbers_used)
                .filter(|number| token.judge(&value(*number), now).is_usable());
            let usable: Vec<u32> = usable.collect();
            prop_assert!(usable.len() <= 2, "{usable:?}");
            if usable.len() == 2 {
                let began = token.pending.expect("a second value is one that waits").living.made;
                prop_assert!(now < began.plus_seconds(ROTATION_GRACE_SECONDS));
            }
        }
    }
}
