//! What the lease, the ties and the numbers promise, and a simulation of everything at once.

use std::collections::{BTreeMap, BinaryHeap};

use keysherd_base::{AccessId, Timestamp};
use keysherd_plane::cache::Receipt;
use proptest::prelude::*;

use super::*;

const CONTROL: Uid = Uid([1; 16]);

fn at(millis: u64) -> Moment {
    Moment {
        wall: Timestamp(1_000_000 + i64::try_from(millis).unwrap()),
        run: Duration::from_millis(millis),
    }
}

fn keep(number: u64, ties: &[Tie]) -> Keep {
    let receipt = Receipt { bytes: [].into() };
    let (ties, access_id) = (ties.to_vec(), AccessId::parse("p-abcdefghijkl").unwrap());
    Keep { source: CONTROL, number, good_millis: 1_000_000, access_id, ties, receipt }
}

fn reply(newest: u64, ended: Option<&[Tie]>) -> ChangesReply {
    let ended = ended.map(<[Tie]>::to_vec);
    ChangesReply { source: CONTROL, newest, held_millis: 0, ended }
}

/// A gateway that heard at time 0 that there were `number` changes.
fn heard(number: u64) -> Coherence {
    let mut coherence = Coherence::default();
    coherence.heard(at(0), &reply(number, None));
    coherence
}

#[test]
fn nothing_is_used_before_control_was_heard_or_when_that_was_long_ago() {
    let mut coherence = Coherence::default();
    assert!(coherence.tie(&keep(0, &[[1; 16]]), at(0)).is_none());
    assert!(!coherence.covers(at(0), at(0)));
    coherence.heard(at(100), &reply(3, None));
    assert!(coherence.covers(at(90), at(100)));
    assert!(coherence.covers(at(90), at(999)));
    assert!(!coherence.covers(at(90), at(1_000)), "the lease is over");
}

#[test]
fn the_lease_counts_from_when_the_question_was_sent_and_held() {
    let mut coherence = Coherence::default();
    coherence.heard(at(100), &ChangesReply { held_millis: 300, ..reply(3, None) });
    assert!(coherence.covers(at(0), at(1_299)));
    assert!(!coherence.covers(at(0), at(1_300)));
    // An answer that claims to have been held for longer than it was away is of no use.
    coherence.heard(at(1_400), &ChangesReply { held_millis: 60_000, ..reply(3, Some(&[])) });
    assert!(!coherence.covers(at(0), at(1_500)));
}

#[test]
fn a_wall_clock_that_stands_still_or_is_a_little_slow_does_no_harm() {
    let mut coherence = Coherence::default();
    coherence.heard(at(100), &ChangesReply { held_millis: 300, ..reply(3, None) });
    let still = Moment { wall: at(100).wall, run: Duration::from_millis(450) };
    assert!(coherence.is_alive(still));
    assert!(!coherence.is_alive(Moment { run: Duration::from_millis(1_300), ..still }));
}

#[test]
fn a_clock_that_jumps_ends_the_lease() {
    let coherence = heard(0);
    let now = at(100);
    assert!(coherence.is_alive(now));
    for millis in [-3_600_000, -1_000, 900, 3_600_000] {
        let jumped = Moment { wall: Timestamp(now.wall.0 + millis), ..now };
        assert!(!coherence.is_alive(jumped), "{millis}");
    }
}

#[test]
fn what_has_ended_is_not_used_and_the_rest_is() {
    let mut coherence = heard(5);
    let one = coherence.tie(&keep(5, &[[1; 16], [9; 16]]), at(0)).unwrap();
    let two = coherence.tie(&keep(6, &[[2; 16], [9; 16]]), at(0)).unwrap();
    assert!(one.holds() && two.holds());
    coherence.heard(at(10), &reply(7, Some(&[[1; 16]])));
    assert!(!one.holds() && two.holds());
    coherence.heard(at(20), &reply(8, Some(&[[9; 16]])));
    assert!(!two.holds());
}

#[test]
fn a_decision_that_was_overtaken_by_a_change_is_not_kept() {
    let mut coherence = heard(5);
    coherence.heard(at(10), &reply(7, Some(&[[1; 16]])));
    assert!(coherence.tie(&keep(6, &[[1; 16]]), at(0)).is_none());
    assert!(coherence.tie(&keep(6, &[[2; 16]]), at(0)).is_none(), "nobody knows what it hangs on");
    assert!(coherence.tie(&keep(7, &[[1; 16]]), at(0)).is_some());
}

#[test]
fn another_process_of_control_ends_everything_and_so_does_not_knowing() {
    let mut coherence = heard(5);
    let kept = coherence.tie(&keep(5, &[[1; 16]]), at(0)).unwrap();
    // Set up again from a backup: its numbers are the same, and mean something else.
    let other = ChangesReply { source: Uid([2; 16]), ..reply(5, Some(&[])) };
    coherence.heard(at(10), &other);
    assert!(!kept.holds());
    assert!(coherence.tie(&keep(5, &[[1; 16]]), at(0)).is_none(), "decided by the other process");
    let kept = coherence.tie(&Keep { source: Uid([2; 16]), ..keep(5, &[[1; 16]]) }, at(0)).unwrap();
    coherence.heard(at(20), &ChangesReply { ended: None, ..other });
    assert!(!kept.holds());
}

#[test]
fn a_late_answer_of_a_process_that_was_followed_by_another_one_is_not_heard() {
    let mut coherence = heard(5);
    let other = ChangesReply { source: Uid([2; 16]), ..reply(0, None) };
    coherence.heard(at(200), &other);
    coherence.heard(at(100), &reply(5, Some(&[])));
    assert_eq!(coherence.known().0, Uid([2; 16]));
    assert!(coherence.tie(&keep(5, &[[1; 16]]), at(0)).is_none(), "decided by the process before");
}

#[test]
fn a_replayed_answer_neither_revives_nor_prolongs() {
    let mut coherence = heard(5);
    let old = reply(5, Some(&[]));
    let kept = coherence.tie(&keep(5, &[[1; 16]]), at(0)).unwrap();
    coherence.heard(at(500), &reply(6, Some(&[[1; 16]])));
    coherence.heard(at(10), &old);
    assert!(!kept.holds());
    assert_eq!(coherence.known(), (CONTROL, 6), "numbers do not go back");
    assert!(coherence.tie(&keep(5, &[[1; 16]]), at(0)).is_none());
    assert!(coherence.is_alive(at(1_399)));
    assert!(!coherence.is_alive(at(1_400)), "the lease is that of the newer answer");
}

#[test]
fn after_a_change_of_its_own_a_gateway_asks_until_that_is_confirmed() {
    let mut coherence = heard(5);
    coherence.heard(at(100), &reply(5, Some(&[])));
    assert!(coherence.covers(at(50), at(200)));
    coherence.changed_here(at(200), true);
    assert!(coherence.needs_confirmation());
    assert!(!coherence.covers(at(50), at(210)), "decided before the change");
    assert!(coherence.covers(at(205), at(210)), "decided after it");
    coherence.heard(at(150), &reply(5, Some(&[])));
    assert!(!coherence.covers(at(50), at(220)), "this tells how things were before it");
    coherence.heard(at(201), &reply(6, Some(&[[7; 16]])));
    assert!(coherence.covers(at(50), at(230)), "this is from after it");
    assert!(!coherence.needs_confirmation());
}

#[test]
fn silence_is_known_unless_a_clock_went_back_or_a_change_was_answered_since() {
    let mut coherence = Coherence::default();
    assert_eq!(coherence.silent(at(0), at(10)), None, "control was never heard");
    coherence.heard(at(100), &reply(5, None));
    let minute = Some(Duration::from_millis(60_000));
    assert_eq!(coherence.silent(at(50), at(60_100)), minute);
    let back = Moment { wall: at(0).wall, ..at(60_100) };
    assert_eq!(coherence.silent(at(50), back), None);
    let slept = Moment { run: Duration::from_millis(200), ..at(60_100) };
    assert_eq!(coherence.silent(at(50), slept), minute, "the clock that says more");
    // A write that nobody was told of: control may be gone.
    coherence.changed_here(at(200), false);
    assert_eq!(coherence.silent(at(50), at(60_100)), minute);
    coherence.changed_here(at(300), true);
    assert_eq!(coherence.silent(at(50), at(60_100)), None, "decided before what was written here");
    assert!(coherence.silent(at(350), at(60_100)).is_some());
}

#[test]
fn what_was_on_its_way_when_everything_was_forgotten_is_not_kept() {
    let mut coherence = heard(5);
    let kept = coherence.tie(&keep(5, &[[1; 16]]), at(50)).unwrap();
    coherence.forget_until(at(100));
    assert!(!kept.holds());
    coherence.heard(at(150), &reply(5, None));
    assert!(coherence.tie(&keep(5, &[[1; 16]]), at(50)).is_none(), "asked for before");
    assert!(coherence.tie(&keep(5, &[[1; 16]]), at(100)).is_none(), "asked for just then");
    assert!(coherence.tie(&keep(5, &[[1; 16]]), at(101)).is_some());
}

#[test]
fn ties_that_nothing_hangs_on_are_dropped() {
    let mut coherence = heard(0);
    for number in 0_u32..10_000 {
        let mut tie = [0; 16];
        tie[..4].copy_from_slice(&number.to_be_bytes());
        drop(coherence.tie(&keep(0, &[tie]), at(0)));
    }
    assert!(coherence.ties.len() <= TIES_SWEPT_MIN, "{}", coherence.ties.len());
}

/// A message on its way, by the time it arrives.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    /// At control: a question of when, with what is known, and how long it is held.
    Question { asked: u64, wall: i64, source: u64, known: u64, until: u64, came: u64 },
    /// At the gateway.
    Answer { asked: u64, wall: i64, source: u64, newest: u64, held: u64, ended: Option<Vec<u8>> },
    /// At control: a read of an item.
    Read { asked: u64, wall: i64, item: u8 },
    /// At the gateway: the version that was current, and the last change before.
    Decision { asked: u64, wall: i64, item: u8, version: u64, source: u64, number: u64 },
    /// At control: a change through this gateway.
    OwnChange { item: u8 },
    /// At the gateway.
    OwnChanged { item: u8, version: u64 },
}

/// A control and a gateway with a slow line between them, whose messages overtake each other.
struct Simulation {
    random: u64,
    now: u64,
    wall: i64,
    line: BinaryHeap<std::cmp::Reverse<(u64, u64, Arrival)>>,
    sent: u64,
    // Control.
    source: u64,
    changes: Vec<u8>,
    version: u64,
    /// Of each item, the versions with the times they came into force at.
    versions: BTreeMap<u8, Vec<(u64, u64)>>,
    // The gateway.
    coherence: Coherence,
    kept: Vec<(u8, u64, Moment, Tied)>,
    /// The newest version of each item whose change was answered here.
    own: BTreeMap<u8, u64>,
    hits: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Self {
            random: seed | 1,
            now: 0,
            wall: 0,
            line: BinaryHeap::new(),
            sent: 0,
            source: 1,
            changes: Vec::new(),
            version: 0,
            versions: (0..4).map(|item| (item, vec![(0, 0)])).collect(),
            coherence: Coherence::default(),
            kept: Vec::new(),
            own: BTreeMap::new(),
            hits: 0,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn moment(&self) -> Moment {
        let wall = Timestamp(self.wall + i64::try_from(self.now).unwrap());
        Moment { wall, run: Duration::from_millis(self.now) }
    }

    fn send(&mut self, arrival: Arrival) {
        let delay = if self.draw(20) == 0 { self.draw(3_000) } else { self.draw(120) };
        // Some are lost.
        if self.draw(25) > 0 {
            self.sent += 1;
            self.line.push(std::cmp::Reverse((self.now + delay, self.sent, arrival)));
        }
    }

    fn change(&mut self, item: u8) -> u64 {
        self.version += 1;
        self.changes.push(item);
        self.versions.get_mut(&item).unwrap().push((self.now, self.version));
        self.version
    }

    fn step(&mut self) {
        self.now += self.draw(60);
        while let Some(next) = self.line.peek()
            && next.0.0 <= self.now
        {
            let std::cmp::Reverse((_, _, arrival)) = self.line.pop().unwrap();
            self.arrive(arrival);
        }
        let item = u8::try_from(self.draw(4)).unwrap();
        let (asked, wall) = (self.now, self.moment().wall.0);
        match self.draw(40) {
            0 => drop(self.change(item)),
            1 => self.send(Arrival::OwnChange { item }),
            2 if self.draw(10) == 0 => {
                // Control starts anew: nobody remembers the changes.
                self.source += 1;
                self.changes.clear();
            }
            3 if self.draw(4) == 0 => self.wall += i64::try_from(self.draw(9_000)).unwrap() - 4_500,
            4..=14 => {
                let (source, known) = self.coherence.known();
                let source = u64::from_be_bytes(source.0[..8].try_into().unwrap());
                let until = self.draw(300);
                self.send(Arrival::Question { asked, wall, source, known, until, came: 0 });
            }
            _ => self.read(item),
        }
    }

    /// A read at the gateway: what is kept keeps the promise, or control is asked.
    fn read(&mut self, item: u8) {
        let now = self.moment();
        let usable = |(of, _, asked, tied): &&(u8, u64, Moment, Tied)| {
            *of == item && tied.holds() && self.coherence.covers(*asked, now)
        };
        let Some((_, version, _, _)) = self.kept.iter().rev().find(usable) else {
            let (asked, wall) = (self.now, now.wall.0);
            return self.send(Arrival::Read { asked, wall, item });
        };
        self.hits += 1;
        let lease = u64::try_from(LEASE.as_millis()).unwrap();
        let then = self.now.saturating_sub(lease);
        let in_force = self.versions[&item].iter().rev().find(|(since, _)| *since <= then);
        let promised = in_force.map_or(0, |(_, version)| *version);
        assert!(*version >= promised, "item {item}: {version}, but {promised} since {then}");
        let own = self.own.get(&item).copied().unwrap_or(0);
        assert!(*version >= own, "item {item}: {version}, but {own} was answered here");
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Question { asked, wall, source, known, until, came } => {
                self.answer(asked, wall, (source, known), until, came);
            }
            Arrival::Answer { asked, wall, source, newest, held, ended } => {
                let asked = moment_of(asked, wall);
                let ended = ended.map(|items| items.into_iter().map(|item| [item; 16]).collect());
                let held_millis = u32::try_from(held).unwrap();
                let source = source_of(source);
                self.coherence.heard(asked, &ChangesReply { source, newest, held_millis, ended });
            }
            Arrival::Read { asked, wall, item } => {
                let number = self.changes.len() as u64;
                let version = self.versions[&item].last().unwrap().1;
                let source = self.source;
                self.send(Arrival::Decision { asked, wall, item, version, source, number });
            }
            Arrival::Decision { asked, wall, item, version, source, number } => {
                let keep = Keep { source: source_of(source), ..keep(number, &[[item; 16]]) };
                let asked = moment_of(asked, wall);
                if let Some(tied) = self.coherence.tie(&keep, asked) {
                    self.kept.push((item, version, asked, tied));
                }
            }
            Arrival::OwnChange { item } => {
                let version = self.change(item);
                self.send(Arrival::OwnChanged { item, version });
            }
            Arrival::OwnChanged { item, version } => {
                self.coherence.changed_here(self.moment(), true);
                let own = self.own.entry(item).or_default();
                *own = version.max(*own);
            }
        }
    }

    /// Control answers, or holds the question a little longer.
    fn answer(&mut self, asked: u64, wall: i64, known: (u64, u64), until: u64, came: u64) {
        let came = if came == 0 { self.now } else { came };
        let (source, known) = known;
        let newest = self.changes.len() as u64;
        let ended = (source == self.source && known <= newest)
            .then(|| self.changes[usize::try_from(known).unwrap()..].to_vec());
        let held = self.now - came;
        if ended.as_ref().is_some_and(Vec::is_empty) && held < until {
            self.sent += 1;
            let again = Arrival::Question { asked, wall, source, known, until, came };
            self.line.push(std::cmp::Reverse((self.now + 10, self.sent, again)));
            return;
        }
        let source = self.source;
        self.send(Arrival::Answer { asked, wall, source, newest, held, ended });
    }
}

fn source_of(number: u64) -> Uid {
    let mut uid = [0; 16];
    uid[..8].copy_from_slice(&number.to_be_bytes());
    Uid(uid)
}

fn moment_of(run: u64, wall: i64) -> Moment {
    Moment { wall: Timestamp(wall), run: Duration::from_millis(run) }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]
    #[test]
    fn no_read_is_older_than_the_lease_nor_than_a_change_that_was_answered_here(seed: u64) {
        let mut simulation = Simulation::new(seed);
        for _ in 0..3_000 {
            simulation.step();
        }
        prop_assert!(simulation.hits > 100, "only {} reads were answered here", simulation.hits);
    }
}
