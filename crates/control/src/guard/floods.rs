//! Refused logins that come again and again are recorded with a count.
//!
//! Of each subject and network, the first refusal in a minute is recorded as it happens; the
//! others are counted, and the count is recorded when the minute is over. A subject that is tried
//! from very many networks shares one count for those beyond [`NETWORKS_MAX`]. What was counted
//! and not yet recorded is lost when the process is killed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_base::{AccessId, AccountId, Timestamp};

/// How long refusals are counted before the count is recorded, in seconds.
pub(crate) const WINDOW_SECONDS: i64 = 60;
/// Networks of one subject that are told apart.
pub(crate) const NETWORKS_MAX: usize = 16;
/// Subjects that are counted; beyond these, each refusal is recorded.
const SUBJECTS_MAX: usize = 20_000;

/// The auth method that a subject is, as far as a record names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The account.
    pub(crate) account: AccountId,
    /// The method.
    pub(crate) access_id: AccessId,
    /// Its kind.
    pub(crate) kind: String,
}

/// Refusals to be recorded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flood {
    /// Whose login was refused.
    pub(crate) named: Named,
    /// From where; `None`: from many networks.
    pub(crate) network: Option<IpAddr>,
    /// How often, besides the one that was recorded as it happened.
    pub(crate) count: u64,
}

/// The counts of the running minutes.
#[derive(Default)]
pub(crate) struct Floods(Mutex<HashMap<[u8; 32], Counts>>);

struct Counts {
    ends: Timestamp,
    /// `None`: nobody has this name.
    named: Option<Named>,
    networks: Vec<(IpAddr, u64)>,
    elsewhere: Option<u64>,
}

impl Floods {
    /// Counts a refusal; gives whether it is to be recorded as it happens. `named` is what it is
    /// about, when that exists; the answer does not depend on it.
    pub(crate) fn count(
        &self,
        subject: [u8; 32],
        network: IpAddr,
        named: impl FnOnce() -> Option<Named>,
        now: Timestamp,
    ) -> bool {
        let mut subjects = self.subjects();
        if subjects.len() >= SUBJECTS_MAX && !subjects.contains_key(&subject) {
            // Those with a count are kept for whoever records it.
            subjects.retain(|_, counts| now < counts.ends || counts.has_count());
            if subjects.len() >= SUBJECTS_MAX {
                return true;
            }
        }
        let counts = subjects.entry(subject).or_insert_with(|| Counts {
            ends: now.plus_seconds(WINDOW_SECONDS),
            named: named(),
            networks: Vec::new(),
            elsewhere: None,
        });
        counts.count(network, now)
    }

    /// The counts of the minutes that are over at `now`.
    pub(crate) fn take(&self, now: Timestamp) -> Vec<Flood> {
        let mut floods = Vec::new();
        self.subjects().retain(|_, counts| {
            if now < counts.ends {
                return true;
            }
            counts.report(&mut floods);
            false
        });
        floods
    }

    /// Everything here is consistent between any two statements, so a poisoned lock is usable.
    fn subjects(&self) -> MutexGuard<'_, HashMap<[u8; 32], Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn count(&mut self, network: IpAddr, now: Timestamp) -> bool {
        if now >= self.ends && !self.has_count() {
            self.ends = now.plus_seconds(WINDOW_SECONDS);
            self.networks.clear();
            self.elsewhere = None;
        }
        if let Some((_, count)) = self.networks.iter_mut().find(|(known, _)| *known == network) {
            *count += 1;
            return false;
        }
        if self.networks.len() < NETWORKS_MAX {
            self.networks.push((network, 0));
            return true;
        }
        let first = self.elsewhere.is_none();
        *self.elsewhere.get_or_insert(0) += u64::from(!first);
        first
    }

    fn has_count(&self) -> bool {
        self.elsewhere.is_some_and(|count| count > 0)
            || self.networks.iter().any(|(_, count)| *count > 0)
    }

    fn report(&self, floods: &mut Vec<Flood>) {
        let Some(named) = &self.named else { return };
        let elsewhere = self.elsewhere.map(|count| (None, count));
        let networks = self.networks.iter().map(|(network, count)| (Some(*network), *count));
        for (network, count) in networks.chain(elsewhere).filter(|(_, count)| *count > 0) {
            floods.push(Flood { named: named.clone(), network, count });
        }
    }
}
