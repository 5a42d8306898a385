//! Sums over the audit log and over what the account has.
//!
//! They name no item: whoever may see sums of the whole account need not see its items.

pub(crate) mod rights;
pub(crate) mod unused;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keysherd_audit::action;
use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{AccountId, Fault, Timestamp};
use keysherd_domain::policy::kinds::Scope;
use keysherd_domain::role::RuleKind;
use keysherd_plane::Caller;
use keysherd_plane::audit_log::{Analytics, AnalyticsGet, DaySum, Usage, UsageClient};
use keysherd_store::items::{self as stored, Page};
use keysherd_store::{DayRow, DaySums, Query, days_since};

use crate::audit::audit_draft;
use crate::audit_log::scope_of;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::session::Principal;

/// Days that are summed up.
const DAYS: i64 = 30;
/// How long an answer waits for what was recorded in the last second.
/// Tests look at all of it.
const CATCH_UP_MAX: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 2 });

/// Sums over the last thirty days, as far as the caller's analytics-access reaches.
///
/// # Errors
/// [`Fault::unauthorized`] without a reports-rule.
pub(crate) async fn get(
    control: &Control,
    caller: &Caller,
    _message: AnalyticsGet,
) -> Result<Analytics, Fault> {
    let who = control.principal(caller).await?;
    let draft = audit_draft(caller, &who, action::GET_ANALYTICS, "", Vec::new());
    let now = control.now();
    let outcome = match scope_of(&who, RuleKind::Reports, now) {
        Scope::None => Err(Fault::unauthorized(format!(
            "unauthorized access for access id {}: analytics are not granted; ask an \
             administrator for a role with analytics-access",
            who.access_id()
        ))),
        // Sums cannot be cut along items, so less than everything is what the bearer did.
        scope => sums(control, who, scope == Scope::All, now).await,
    };
    control.recorded(draft, outcome).await
}

async fn sums(
    control: &Control,
    who: Principal,
    all: bool,
    now: Timestamp,
) -> Result<Analytics, Fault> {
    control.store.index_audit(CATCH_UP_MAX).await;
    let reports_usage = scope_of(&who, RuleKind::UsageReports, now) == Scope::All;
    let directory = control.directory_of(&who);
    let store = control.store.clone();
    let summed = control.store.read_blocking(move |reader| {
        let account = who.account;
        let rows = days_since(&store, account, now, DAYS)?;
        let usage = match all && reports_usage {
            true => Some(usage(reader, account, &directory, &rows)?),
            false => None,
        };
        let own = |row: &DayRow| {
            row.access_id == who.access_id().as_str() && *row.unique_id == *who.unique_id
        };
        let rows = rows.into_iter().filter(|(row, _)| all || own(row));
        Ok(Analytics { time: now, account, days: rows.map(day_sum).collect(), usage })
    });
    summed.await
}

fn day_sum((row, sums): (DayRow, DaySums)) -> DaySum {
    let DayRow { day, access_id, unique_id, access_type, action, status } = row;
    let DaySums { requests, micros } = sums;
    DaySum { day, access_id, unique_id, access_type, action, status, requests, micros }
}

fn usage(
    q: &dyn Query,
    account: AccountId,
    directory: &AccountDirectory,
    rows: &[(DayRow, DaySums)],
) -> Result<Usage, Fault> {
    let names: BTreeMap<&str, &str> = directory
        .methods_after(None)
        .map(|method| (method.access_id.as_str(), method.path.bare()))
        .collect();
    let used = rows.iter().filter(|(row, _)| row.status == 200 && !row.access_id.is_empty());
    let clients: BTreeSet<UsageClient> = used
        .map(|(row, _)| UsageClient {
            access_id: row.access_id.clone(),
            method: names.get(row.access_id.as_str()).copied().unwrap_or_default().to_owned(),
            access_type: row.access_type.clone(),
            unique_id: row.unique_id.clone(),
        })
        .collect();
    Ok(Usage { items: items_by_type(q, account)?, clients: clients.into_iter().collect() })
}

fn items_by_type(q: &dyn Query, account: AccountId) -> Result<BTreeMap<String, u64>, Fault> {
    let mut counts = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = Page {
            scope: stored::Scope::All,
            after: after.as_deref(),
            modified_after: None,
            limit: PAGE_LEN,
        };
        let items = stored::page(q, account, &page)?;
        for item in &items {
            *counts.entry(item.kind.type_name().to_owned()).or_insert(0) += 1;
        }
        match items.last() {
            Some(last) if items.len() == PAGE_LEN => after = Some(last.path.to_string()),
            _ => return Ok(counts),
        }
    }
}
