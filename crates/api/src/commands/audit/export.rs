//! `audit-export`, ours: audit records as JSON lines that an auditor can verify offline.

use keysherd_base::Fault;
use keysherd_plane::audit_log::AuditExport;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec};
use serde::Serialize;

use super::fields::{FILTER, filter};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{PAGINATION_TOKEN, SESSION};

const AFTER: Field<Int> =
    Field::int("after", "Only records after this number, such as the last one exported before.")
        .default("0");

#[derive(Serialize)]
struct Reply {
    /// Whole lines without line breaks; the last one of the last page is the seal.
    lines: Vec<String>,
    /// Records so far.
    records: u64,
    /// Empty on the last page.
    next_page: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "audit-export",
        aliases: &[],
        success: 200,
        summary: "Export audit records as signed JSON lines, as far as your audit-access reaches. \
                  Ours, not of the V2 API.",
        groups: &[&SESSION, &FILTER],
        fields: &[AFTER.spec(), PAGINATION_TOKEN.spec()],
        reply: "object",
        access: Access::Right("search-rule", "read"),
        body: Body::Object,
        show: Show::Lines,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let after = args.get(&AFTER)?.unwrap_or(0);
    let after = u64::try_from(after).ok().filter(|after| *after < u64::from(u32::MAX) << 8);
    let after = after.ok_or_else(|| {
        Fault::bad_request("invalid value of 'after': give the number of a record, 0 for all")
    })?;
    let page = args.get(&PAGINATION_TOKEN)?;
    let exported = ctx.ask(AuditExport { filter: filter(&args)?, after, page }).await?;
    Answer::json(&Reply {
        lines: exported.lines,
        records: exported.records,
        next_page: exported.next.unwrap_or_default(),
    })
}
