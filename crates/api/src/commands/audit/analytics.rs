//! `get-analytics-data`: requests of the last thirty days summed up, and what the account has.
//!
//! The names of the tables are not published; these are ours: `request_volume`, `request_time`,
//! `actions`, `statuses` and `clients`. The first row of each has the headings.

use std::collections::BTreeMap;

use keysherd_base::{Fault, Timestamp};
use keysherd_plane::audit_log::{Analytics, AnalyticsGet, DaySum, Usage};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The product that secrets and keys belong to.
const PRODUCT: &str = "sm";
const DAY_SECONDS: i64 = 24 * 60 * 60;

type Table = Vec<Vec<String>>;

#[derive(Serialize)]
struct Reply<'a> {
    date_updated: i64,
    analytics_data: BTreeMap<&'static str, Table>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    usage_reports: BTreeMap<&'static str, UsageReport<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clients_usage_reports: BTreeMap<&'static str, ClientsReport<'a>>,
}

#[derive(Serialize)]
struct UsageReport<'a> {
    product: &'static str,
    time: i64,
    total_secrets: u64,
    total_clients: usize,
    secrets_by_types: &'a BTreeMap<String, u64>,
    clients_by_auth_method_types: BTreeMap<&'a str, u64>,
}

#[derive(Serialize)]
struct ClientsReport<'a> {
    account_id: String,
    product: &'static str,
    time: String,
    total_clients: usize,
    clients: Vec<Client<'a>>,
}

#[derive(Serialize)]
struct Client<'a> {
    access_id: &'a str,
    access_type: &'a str,
    auth_method_name: &'a str,
    client_unique_id: &'a str,
    exceeded_clients: i64,
}

/// Requests, those that failed, and what all of them took.
#[derive(Clone, Copy, Default)]
struct Count {
    requests: u64,
    failed: u64,
    micros: u64,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "get-analytics-data",
        aliases: &[],
        success: 200,
        summary: "Show sums over the requests of the last thirty days.",
        groups: &[&SESSION],
        fields: &[],
        reply: "AllAnalyticsData",
        access: Access::Right("reports-rule", "read"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let told = ctx.ask(AnalyticsGet).await?;
    let mut usage_reports = BTreeMap::new();
    let mut clients_usage_reports = BTreeMap::new();
    if let Some(usage) = &told.usage {
        usage_reports.insert(PRODUCT, usage_report(usage, told.time));
        clients_usage_reports.insert(PRODUCT, clients_report(usage, &told));
    }
    Answer::json(&Reply {
        date_updated: told.time.seconds(),
        analytics_data: tables(&told.days),
        usage_reports,
        clients_usage_reports,
    })
}

fn tables(days: &[DaySum]) -> BTreeMap<&'static str, Table> {
    let by_day = summed(days, |row| vec![date(row.day)]);
    let volume = rows(&by_day, &["date", "requests", "failed"], |count| {
        vec![count.requests.to_string(), count.failed.to_string()]
    });
    let time = rows(&by_day, &["date", "average_ms"], |count| {
        vec![(count.micros / count.requests.max(1) / 1_000).to_string()]
    });
    let requests = |count: &Count| vec![count.requests.to_string()];
    let actions = rows(
        &summed(days, |row| vec![row.action.clone()]),
        &["action", "requests", "failed"],
        |count| vec![count.requests.to_string(), count.failed.to_string()],
    );
    let statuses = summed(days, |row| vec![row.status.to_string()]);
    let clients = summed(days, |row| {
        vec![row.access_id.clone(), row.unique_id.clone(), row.access_type.clone()]
    });
    let headings = ["access_id", "unique_id", "access_type", "requests"];
    BTreeMap::from([
        ("request_volume", volume),
        ("request_time", time),
        ("actions", actions),
        ("statuses", rows(&statuses, &["status", "requests"], requests)),
        ("clients", rows(&clients, &headings, requests)),
    ])
}

fn date(day: i64) -> String {
    let text = Timestamp::from_seconds(day.saturating_mul(DAY_SECONDS)).rfc3339();
    text.split('T').next().unwrap_or_default().to_owned()
}

fn summed(days: &[DaySum], key: impl Fn(&DaySum) -> Vec<String>) -> BTreeMap<Vec<String>, Count> {
    let mut sums: BTreeMap<Vec<String>, Count> = BTreeMap::new();
    for row in days {
        let sum = sums.entry(key(row)).or_default();
        sum.requests += row.requests;
        sum.micros = sum.micros.saturating_add(row.micros);
        sum.failed += if row.status == 200 { 0 } else { row.requests };
    }
    sums
}

fn rows(
    sums: &BTreeMap<Vec<String>, Count>,
    headings: &[&str],
    numbers: impl Fn(&Count) -> Vec<String>,
) -> Table {
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let rows = sums.iter().map(|(key, count)| [key.clone(), numbers(count)].concat());
    std::iter::once(headings).chain(rows).collect()
}

fn usage_report(usage: &Usage, time: Timestamp) -> UsageReport<'_> {
    let mut kinds = BTreeMap::new();
    for client in &usage.clients {
        *kinds.entry(client.access_type.as_str()).or_insert(0) += 1;
    }
    UsageReport {
        product: PRODUCT,
        time: time.seconds(),
        total_secrets: usage.items.values().sum(),
        total_clients: usage.clients.len(),
        secrets_by_types: &usage.items,
        clients_by_auth_method_types: kinds,
    }
}

fn clients_report<'a>(usage: &'a Usage, told: &Analytics) -> ClientsReport<'a> {
    let clients = usage.clients.iter().map(|client| Client {
        access_id: &client.access_id,
        access_type: &client.access_type,
        auth_method_name: &client.method,
        client_unique_id: &client.unique_id,
        exceeded_clients: 0,
    });
    ClientsReport {
        account_id: told.account.to_string(),
        product: PRODUCT,
        time: told.time.rfc3339(),
        total_clients: usage.clients.len(),
        clients: clients.collect(),
    }
}
