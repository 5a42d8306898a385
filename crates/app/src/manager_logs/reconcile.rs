//! Holding the managers' logs against the control plane's audit log.
//!
//! A manager derives for permits that control signed. Whoever has control's permit key can sign
//! more of them than anybody asked for; but every derivation is in the manager's log, and control's
//! audit log, which its accounts see, has no record that explains it. Hiding it takes a record in
//! the name of somebody, who sees it.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_fragments::context::Class;
use keysherd_fragments::permit::Op;
use keysherd_manager::log::{DeriveEvent, Event};
use serde_json::json;

use super::explained::Explained;
use super::find::Log;
use super::show::{self, DerivedKey};
use super::{each, summary_line};
use crate::config::manager_logs::LogConfig;
use crate::exit::Exit;

/// How far the time of a derivation may be from the record that explains it: the life of a permit,
/// and clocks that differ both ways.
const APART_MS_MAX: i64 = 180_000;

/// Why a derivation is not explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unexplained {
    /// No record names the permit.
    NoRecord,
    /// No record names it for this subject.
    OtherSubject,
    /// More was derived under it than was recorded.
    TooMany,
    /// It was recorded at another time.
    OtherTime,
    /// Managers saw different permits under one id.
    TwoPermits,
    /// A permit to generate a key was used for something else than its self-test.
    NotASelfTest,
}

impl Unexplained {
    const fn text(self) -> &'static str {
        match self {
            Self::NoRecord => "no audit record names this permit",
            Self::OtherSubject => "no audit record gives this permit to this subject",
            Self::TooMany => "more was derived under this permit than its audit records say",
            Self::OtherTime => "the audit record of this permit is of another time",
            Self::TwoPermits => "managers saw different permits under this id",
            Self::NotASelfTest => "a permit to generate a key derived something else",
        }
    }
}

/// What has been compared so far.
#[derive(Default)]
struct Tally {
    derivations: u64,
    requests: u64,
    self_tests: u64,
    not_covered: u64,
    unexplained: u64,
    /// The permits that were used, with the hash of each.
    permits: HashMap<(AccountId, Uid), [u8; 32]>,
}

/// Account, permit, subject.
type Share = (AccountId, Uid, [u8; 32]);

/// What of each permit was derived at one manager, for each subject, and when last.
#[derive(Default)]
struct Used(HashMap<Share, (Timestamp, HashSet<DerivedKey>)>);

/// Permits that are remembered at one time; those that ended long ago are forgotten beyond it.
const USED_MAX: usize = 100_000;

impl Used {
    /// How many different keys were derived under the permit for the subject, with this one.
    fn count(
        &mut self,
        permit: (AccountId, Uid),
        subject: [u8; 32],
        at: Timestamp,
        key: DerivedKey,
    ) -> u64 {
        if self.0.len() > USED_MAX {
            self.0.retain(|_, (last, _)| at.millis_since(*last) <= 2 * APART_MS_MAX);
        }
        let (last, keys) = self.0.entry((permit.0, permit.1, subject)).or_default();
        *last = at;
        keys.insert(key);
        keys.len() as u64
    }
}

/// Compares, and prints what is not explained.
///
/// # Errors
/// [`Exit::NotIntact`] when there is something, or when a log is damaged.
pub(crate) fn run(
    config: &LogConfig,
    logs: &[Log],
    audit: &Path,
    account: Option<AccountId>,
    out: &mut impl Write,
) -> Result<(), Exit> {
    // First how far the managers' logs go: what they have by now was recorded before.
    let mut ends = Vec::new();
    for log in logs {
        let mut end = 0;
        each(log, |after, _, _| {
            end = after.size;
            Ok(())
        })?;
        ends.push(end);
    }
    let explained = Explained::read(audit, account)?;
    let mut tally = Tally::default();
    for (log, end) in logs.iter().zip(ends) {
        let mut used = Used::default();
        each(log, |after, at, event| {
            let Event::Derive(derive) = event else { return Ok(()) };
            let other = account.is_some_and(|account| account != derive.account);
            if other || after.size > end {
                return Ok(());
            }
            if let Some(why) = tally.judge(&explained, &mut used, at, &derive) {
                tally.unexplained += 1;
                let place = (log.index, after.size, at);
                let _closed = writeln!(out, "{}", line(config.json, why, place, &derive));
            }
            Ok(())
        })?;
    }
    let unused = explained.permits().filter(|permit| !tally.permits.contains_key(permit)).count();
    let _closed = writeln!(out, "{}", tally.summary(config.json, explained.records, unused));
    if tally.unexplained == 0 {
        return Ok(());
    }
    let count = tally.unexplained;
    Err(Exit::NotIntact(format!("{count} requests to managers are not explained by the audit log")))
}

impl Tally {
    fn judge(
        &mut self,
        explained: &Explained,
        used: &mut Used,
        at: Timestamp,
        derive: &DeriveEvent,
    ) -> Option<Unexplained> {
        self.requests += 1;
        self.derivations += derive.items.len() as u64;
        if derive.op == Op::Generate {
            self.self_tests += 1;
            let other = derive.items.iter().any(|item| item.class != Class::SelfTest);
            return other.then_some(Unexplained::NotASelfTest);
        }
        let name = (derive.account, derive.permit_id);
        if *self.permits.entry(name).or_insert(derive.permit_sha256) != derive.permit_sha256 {
            return Some(Unexplained::TwoPermits);
        }
        let Some(of_permit) = explained.of(derive.account, derive.permit_id) else {
            let covered = explained.covers(derive.account, at);
            self.not_covered += u64::from(!covered);
            return covered.then_some(Unexplained::NoRecord);
        };
        for (key, item) in DerivedKey::all_of(derive).zip(&derive.items) {
            let subject = derive.subjects.get(usize::from(item.subject)).copied();
            let subject = subject.unwrap_or_default().access_id_sha256;
            let Some(recorded) = of_permit.get(&subject) else {
                return Some(Unexplained::OtherSubject);
            };
            let near = recorded.from.0.saturating_sub(APART_MS_MAX)
                ..=recorded.to.0.saturating_add(APART_MS_MAX);
            if !near.contains(&at.0) {
                return Some(Unexplained::OtherTime);
            }
            if used.count(name, subject, at, key) > recorded.entries {
                return Some(Unexplained::TooMany);
            }
        }
        None
    }

    fn summary(&self, as_json: bool, records: u64, unused: usize) -> String {
        let Self { derivations, requests, self_tests, not_covered, unexplained, .. } = self;
        if as_json {
            return summary_line(json!({
                "requests": requests, "derivations": derivations, "self_tests": self_tests,
                "audit_records": records, "not_covered": not_covered,
                "permits_not_used": unused, "unexplained": unexplained,
            }));
        }
        let verdict = match unexplained {
            0 => "every one is explained".to_owned(),
            count => format!("{count} NOT EXPLAINED"),
        };
        let outside = match not_covered {
            0 => String::new(),
            count => format!("; {count} at times that this audit log does not cover, not judged"),
        };
        format!(
            "{requests} requests with {derivations} derivations ({self_tests} self-tests of new \
             keys), held against {records} audit records: {verdict}{outside}; {unused} permits \
             were given and not used here"
        )
    }
}

fn line(
    as_json: bool,
    why: Unexplained,
    (index, entry, at): (u8, u64, Timestamp),
    derive: &DeriveEvent,
) -> String {
    let what = show::derivation(derive);
    if as_json {
        return json!({
            "finding": format!("{why:?}"), "text": why.text(), "manager": index, "entry": entry,
            "time": at.rfc3339(), "derivation": what,
        })
        .to_string();
    }
    let why = why.text();
    format!("{at} manager {index} entry {entry}: {why}: {what}")
}
