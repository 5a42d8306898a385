//! The order in which secrets are visited, shared by all connections of a row.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands out the numbers of secrets, scattered over the store but the same in every run.
pub(crate) struct Walk {
    next: AtomicU64,
    end: u64,
    /// The walk repeats after this many.
    period: u64,
    step: u64,
    secrets: u64,
}

impl Walk {
    /// Visits `some` of `secrets` again and again.
    pub(crate) fn around(some: u32, secrets: u32) -> Self {
        let (period, secrets) = (u64::from(some.max(1)), u64::from(secrets.max(1)));
        Self { next: AtomicU64::new(0), end: u64::MAX, period, step: step(secrets), secrets }
    }

    /// Visits `some` of `secrets` once, and as many again as fill the last `count`.
    pub(crate) fn one_round(some: u32, secrets: u32, count: u32) -> Self {
        let end = u64::from(some.div_ceil(count)) * u64::from(count);
        Self { end, ..Self::around(some, secrets) }
    }

    /// Visits each secret at most once: those at the places in `part` of the whole way.
    pub(crate) fn once(part: Range<u32>, secrets: u32) -> Self {
        let whole = Self::around(secrets, secrets);
        Self { next: AtomicU64::new(part.start.into()), end: part.end.into(), ..whole }
    }

    /// Visits the secrets in `part` in their order.
    pub(crate) fn in_order(part: Range<u32>) -> Self {
        let secrets = part.end;
        Self { step: 1, ..Self::once(part, secrets) }
    }

    /// The next `count` secrets; `None` when that many are not left.
    pub(crate) fn take(&self, count: u32) -> Option<impl Iterator<Item = u32>> {
        let from = self.next.fetch_add(count.into(), Ordering::Relaxed);
        let until = from + u64::from(count);
        (until <= self.end).then(|| (from..until).map(|place| self.at(place)))
    }

    /// How many of the walk are left.
    pub(crate) fn left(&self) -> u64 {
        self.end.saturating_sub(self.next.load(Ordering::Relaxed))
    }

    /// The secret at a place of the way.
    pub(crate) fn at(&self, place: u64) -> u32 {
        let index = place % self.period * self.step % self.secrets;
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}

/// A step that visits all secrets before it comes back: about 0.618 of the way around, and without
/// a common divisor.
fn step(secrets: u64) -> u64 {
    (secrets * 618 / 1_000..secrets).find(|step| divisor(*step, secrets) == 1).unwrap_or(1)
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all(walk: &Walk, times: usize, count: u32) -> Vec<u32> {
        std::iter::from_fn(|| walk.take(count)).take(times).flatten().collect()
    }

    #[test]
    fn a_walk_visits_each_secret_once() {
        for secrets in [1, 2, 100, 200, 997, 100_000] {
            let visited = all(&Walk::once(0..secrets, secrets), usize::MAX, 1);
            assert_eq!(visited.len(), secrets as usize);
            assert!(visited.iter().all(|index| *index < secrets));
            assert_eq!(visited.iter().collect::<HashSet<_>>().len(), visited.len());
        }
    }

    #[test]
    fn two_parts_have_nothing_in_common() {
        let first = all(&Walk::once(0..20, 200), usize::MAX, 10);
        let second = all(&Walk::once(20..200, 200), usize::MAX, 100);
        assert_eq!((first.len(), second.len()), (20, 100));
        assert!(first.iter().all(|index| !second.contains(index)));
    }

    #[test]
    fn a_walk_around_repeats_itself() {
        let walk = Walk::around(150, 1_000);
        let visited = all(&walk, 3, 100);
        assert_eq!(visited[..150], visited[150..]);
        assert_eq!(visited.iter().collect::<HashSet<_>>().len(), 150);
    }

    #[test]
    fn one_round_leaves_nothing_out() {
        let visited = all(&Walk::one_round(150, 1_000, 100), usize::MAX, 100);
        assert_eq!(visited.len(), 200);
        assert_eq!(visited[..150], all(&Walk::around(150, 1_000), 150, 1));
    }

    #[test]
    fn secrets_are_made_in_order() {
        assert_eq!(all(&Walk::in_order(3..6), usize::MAX, 1), [3, 4, 5]);
    }
}
