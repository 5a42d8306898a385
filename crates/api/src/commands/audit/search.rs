//! `audit-search`, ours: audit records by time, item, access id, action and status.

use keysherd_audit::Published;
use keysherd_base::Fault;
use keysherd_plane::audit_log::AuditSearch;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec, Text};
use serde::Serialize;

use super::fields::{FILTER, filter};
use super::record::shown;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{PAGINATION_TOKEN, SESSION};

const ORDER: Field<Text> = Field::text("order", "Which record comes first.")
    .default("newest")
    .choices(&["newest", "oldest"]);
const LIMIT: Field<Int> =
    Field::int("limit", "At most this many records on a page, 1 to 1000.").default("100");

const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 1_000;

#[derive(Serialize)]
struct Reply {
    records: Vec<Published>,
    /// Empty on the last page.
    next_page: String,
    newest_seq_num: u64,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "audit-search",
        aliases: &[],
        success: 200,
        summary: "Search the audit log, as far as your audit-access reaches. Ours, not of the V2 \
                  API.",
        groups: &[&SESSION, &FILTER],
        fields: &[ORDER.spec(), LIMIT.spec(), PAGINATION_TOKEN.spec()],
        reply: "object",
        access: Access::Right("search-rule", "read"),
        body: Body::Object,
        show: Show::Table(
            "records",
            &[
                ("TIME", "timestamp"),
                ("ACCESS ID", "access_id"),
                ("UNIQUE ID", "unique_id"),
                ("ACTION", "action"),
                ("STATUS", "status"),
                ("PARAMETERS", "request_parameters"),
            ],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let limit = args.get(&LIMIT)?.unwrap_or(LIMIT_DEFAULT);
    let limit = usize::try_from(limit).ok().filter(|_| (1..=LIMIT_MAX).contains(&limit));
    let limit = limit.ok_or_else(|| {
        Fault::bad_request(format!("invalid value of 'limit': give 1 to {LIMIT_MAX}"))
    })?;
    let found = ctx
        .ask(AuditSearch {
            filter: filter(&args)?,
            oldest_first: args.get(&ORDER)?.is_some_and(|o| o.eq_ignore_ascii_case("oldest")),
            page: args.get(&PAGINATION_TOKEN)?,
            limit,
        })
        .await?;
    Answer::json(&Reply {
        records: found.records.iter().map(|text| shown(text)).collect::<Result<_, _>>()?,
        next_page: found.next.unwrap_or_default(),
        newest_seq_num: found.newest,
    })
}
