//! Indexes and sets of fragment managers, and the threshold of a key.

use std::fmt;

/// Most managers of one key: leg S needs C(n, t-1) keys, 35 for 4-of-7 (design 3).
pub const MANAGERS_MAX: u8 = 7;

/// The index of a manager in the trust bundle, 1 to [`MANAGERS_MAX`]. It is also the point at
/// which the manager's leg-G share is evaluated, so it is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManagerIndex(u8);

impl ManagerIndex {
    /// The index `value`; `None` unless it is 1 to [`MANAGERS_MAX`].
    pub const fn new(value: u8) -> Option<Self> {
        if value >= 1 && value <= MANAGERS_MAX { Some(Self(value)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The place of this manager in a list that begins with manager 1.
    pub const fn place(self) -> usize {
        self.0 as usize - 1
    }

    const fn bit(self) -> u16 {
        1 << (self.0 - 1)
    }
}

impl fmt::Display for ManagerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of managers: bit i-1 is manager i (design 5.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ManagerSet(u16);

impl ManagerSet {
    /// No manager.
    pub const EMPTY: Self = Self(0);

    /// Managers 1 to `n`; more than [`MANAGERS_MAX`] count as [`MANAGERS_MAX`].
    pub const fn first(n: u8) -> Self {
        let n = if n > MANAGERS_MAX { MANAGERS_MAX } else { n };
        Self((1 << n) - 1)
    }

    /// The set with these bits; `None` when a bit stands for no manager.
    pub const fn from_bits(bits: u16) -> Option<Self> {
        if bits & !Self::first(MANAGERS_MAX).0 == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// How many managers are in the set.
    #[expect(clippy::cast_possible_truncation, reason = "at most 7 bits are set")]
    pub const fn len(self) -> u8 {
        self.0.count_ones() as u8
    }

    /// Whether no manager is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `manager` is in the set.
    pub const fn contains(self, manager: ManagerIndex) -> bool {
        self.0 & manager.bit() != 0
    }

    /// Whether every manager of this set is in `other`.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The set and `manager`.
    #[must_use]
    pub const fn with(self, manager: ManagerIndex) -> Self {
        Self(self.0 | manager.bit())
    }

    /// The set without the managers of `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The managers of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The managers of both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The managers, ascending.
    pub fn iter(self) -> impl Iterator<Item = ManagerIndex> {
        (1..=MANAGERS_MAX).map(ManagerIndex).filter(move |manager| self.contains(*manager))
    }

    /// Every subset with `size` managers, by ascending bits.
    pub fn subsets(self, size: u8) -> impl Iterator<Item = Self> {
        (0..=self.0).map(Self).filter(move |set| set.is_within(self) && set.len() == size)
    }
}

impl FromIterator<ManagerIndex> for ManagerSet {
    fn from_iter<I: IntoIterator<Item = ManagerIndex>>(managers: I) -> Self {
        managers.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Display for ManagerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (place, manager) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write!(f, "{manager}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for ManagerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many of how many managers derive: any `t` of the managers 1 to `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Threshold {
    t: u8,
    n: u8,
}

impl Threshold {
    /// `t` of `n`; `None` unless 2 <= t <= n <= [`MANAGERS_MAX`].
    pub const fn new(t: u8, n: u8) -> Option<Self> {
        if t >= 2 && t <= n && n <= MANAGERS_MAX { Some(Self { t, n }) } else { None }
    }

    /// How many managers derive.
    pub const fn t(self) -> u8 {
        self.t
    }

    /// How many managers hold fragments.
    pub const fn n(self) -> u8 {
        self.n
    }

    /// All managers of the key.
    pub const fn managers(self) -> ManagerSet {
        ManagerSet::first(self.n)
    }

    /// The holder sets of the leg-S keys: every set of n-t+1 managers, by ascending bits.
    pub fn sets(self) -> impl Iterator<Item = ManagerSet> {
        self.managers().subsets(self.n - self.t + 1)
    }

    /// The holder sets that `manager` belongs to, by ascending bits.
    pub fn sets_of(self, manager: ManagerIndex) -> impl Iterator<Item = ManagerSet> {
        self.sets().filter(move |set| set.contains(manager))
    }

    /// How many leg-S keys each manager holds: C(n-1, t-1).
    pub fn sets_held(self) -> usize {
        let mut ways = 1;
        for step in 0..usize::from(self.t - 1) {
            ways = ways * (usize::from(self.n) - 1 - step) / (step + 1);
        }
        ways
    }

    /// Bytes of one manager's output for one entry: a point, and a partial for each key it holds.
    pub fn output_bytes(self) -> usize {
        32 * (1 + self.sets_held())
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-of-{}", self.t, self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_follow_the_design() {
        let small = Threshold::new(2, 3).unwrap();
        let bits: Vec<u16> = small.sets().map(ManagerSet::bits).collect();
        assert_eq!(bits, [3, 5, 6]);
        assert_eq!(small.output_bytes(), 96);
        let large = Threshold::new(3, 5).unwrap();
        assert_eq!(large.sets().count(), 10);
        assert_eq!(large.output_bytes(), 7 * 32);
    }

    #[test]
    fn every_manager_holds_as_many_sets_as_the_formula_says() {
        for n in 2..=MANAGERS_MAX {
            for t in 2..=n {
                let threshold = Threshold::new(t, n).unwrap();
                for manager in threshold.managers().iter() {
                    assert_eq!(threshold.sets_of(manager).count(), threshold.sets_held());
                }
                // Every quorum meets every set: t answers are always enough.
                for quorum in threshold.managers().subsets(t) {
                    assert!(threshold.sets().all(|set| !set.intersection(quorum).is_empty()));
                }
            }
        }
    }

    #[test]
    fn refuses_what_is_no_threshold() {
        for (t, n) in [(0, 0), (1, 1), (1, 3), (4, 3), (2, 8)] {
            assert!(Threshold::new(t, n).is_none(), "{t}-of-{n} was accepted");
        }
        assert!(ManagerIndex::new(0).is_none());
        assert!(ManagerIndex::new(8).is_none());
        assert!(ManagerSet::from_bits(1 << 7).is_none());
    }
}
