//! Requests summed up by day, for analytics.

use std::collections::BTreeMap;

use keysherd_audit::Brief;
use keysherd_base::{AccountId, Fault, Timestamp};

use crate::query::{Query, Row, Tx, all, run};

const ADD: &str = "INSERT INTO days (account, day, access_id, unique_id, access_type, action, \
                   status, requests, micros) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                   ON CONFLICT (account, day, access_id, unique_id, access_type, action, status) \
                   DO UPDATE SET requests = days.requests + excluded.requests, \
                   micros = days.micros + excluded.micros";
const SINCE: &str = "SELECT day, access_id, unique_id, access_type, action, status, requests, \
                     micros FROM days WHERE account = ?1 AND day >= ?2 \
                     ORDER BY day, access_id, unique_id, access_type, action, status";

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Requests of one kind on one day, by one bearer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayRow {
    /// Days since the epoch, UTC.
    pub day: i64,
    /// The auth method's access id; empty: unknown.
    pub access_id: String,
    /// Who it was within the method; empty: unknown.
    pub unique_id: String,
    /// The kind of the auth method; empty: unknown.
    pub access_type: String,
    /// The action.
    pub action: String,
    /// The outcome as an HTTP status.
    pub status: u16,
}

/// How many requests there were, and what they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaySums {
    /// Requests.
    pub requests: u64,
    /// Microseconds of all of them together.
    pub micros: u64,
}

pub(super) type DayKey = (AccountId, DayRow);

/// The day of a time, since the epoch.
pub(super) const fn day_of(time: Timestamp) -> i64 {
    time.0.div_euclid(DAY_MILLIS)
}

/// Counts a record.
pub(super) fn add(sums: &mut BTreeMap<DayKey, DaySums>, account: AccountId, record: &Brief<'_>) {
    let row = DayRow {
        day: day_of(record.time()),
        access_id: record.access_id().to_owned(),
        unique_id: record.unique_id().to_owned(),
        access_type: record.access_type().to_owned(),
        action: record.action().to_owned(),
        status: record.status(),
    };
    // What a gateway answered by itself was recorded later, which is not how long it took.
    let micros = if record.param("journal").is_some() { 0 } else { record.duration_us() };
    sums.entry((account, row)).or_default().add(1, micros);
}

impl DaySums {
    pub(super) const fn add(&mut self, requests: u64, micros: u64) {
        self.requests = self.requests.saturating_add(requests);
        self.micros = self.micros.saturating_add(micros);
    }
}

/// Adds the sums to those in the index.
pub(super) fn write(tx: &Tx, sums: &BTreeMap<DayKey, DaySums>) -> Result<(), Fault> {
    for ((account, row), sums) in sums {
        let args = [
            account.into(),
            row.day.into(),
            (&row.access_id).into(),
            (&row.unique_id).into(),
            (&row.access_type).into(),
            (&row.action).into(),
            u32::from(row.status).into(),
            count(sums.requests).into(),
            count(sums.micros).into(),
        ];
        run(tx, ADD, &args)?;
    }
    Ok(())
}

fn count(sum: u64) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

/// The sums of an account since a day, as the index has them.
pub(super) fn stored(
    q: &dyn Query,
    account: AccountId,
    since: i64,
) -> Result<Vec<(DayRow, DaySums)>, Fault> {
    all(q, SINCE, &[(&account).into(), since.into()], row_of)
}

fn row_of(row: &Row<'_>) -> Result<(DayRow, DaySums), Fault> {
    let found = DayRow {
        day: row.int(0)?,
        access_id: row.text(1)?.to_owned(),
        unique_id: row.text(2)?.to_owned(),
        access_type: row.text(3)?.to_owned(),
        action: row.text(4)?.to_owned(),
        status: row.number(5)?,
    };
    Ok((found, DaySums { requests: row.number(6)?, micros: row.number(7)? }))
}
