//! `unused-secrets`, ours: items whose values nobody used for a while.

use keysherd_base::Fault;
use keysherd_plane::audit_log::UnusedItems;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{PAGINATION_TOKEN, SESSION};
use crate::replies::{LastUsed, page};

const DAYS: Field<Int> = Field::int("days", "Not used for this many days.").default("90");
const LIMIT: Field<Int> =
    Field::int("limit", "At most this many on a page, 1 to 1000.").default("1000");

pub(super) const DAYS_DEFAULT: i64 = 90;
pub(super) const DAYS_MAX: i64 = 36_500;
const LIMIT_MAX: i64 = 1_000;
pub(super) const DAY_SECONDS: i64 = 24 * 60 * 60;

#[derive(Serialize)]
struct Reply<'a> {
    items: Vec<Unused<'a>>,
    /// Empty on the last page.
    next_page: String,
}

#[derive(Serialize)]
struct Unused<'a> {
    item_name: &'a str,
    item_type: &'static str,
    creation_date: String,
    #[serde(flatten)]
    last_used: LastUsed,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "unused-secrets",
        aliases: &[],
        success: 200,
        summary: "List the items you may see whose values nobody used for a while. Ours, not of \
                  the V2 API.",
        groups: &[&SESSION],
        fields: &[DAYS.spec(), LIMIT.spec(), PAGINATION_TOKEN.spec()],
        reply: "object",
        access: Access::Listing("item-rule"),
        body: Body::Object,
        show: Show::Table(
            "items",
            &[
                ("NAME", "item_name"),
                ("TYPE", "item_type"),
                ("CREATED", "creation_date"),
                ("LAST USED", "access_date"),
            ],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let days = bounded(args.get(&DAYS)?.unwrap_or(DAYS_DEFAULT), DAYS_MAX, DAYS.name())?;
    let limit = bounded(args.get(&LIMIT)?.unwrap_or(LIMIT_MAX), LIMIT_MAX, LIMIT.name())?;
    let found = ctx
        .ask(UnusedItems {
            since: ctx.services().clock.now().plus_seconds(-days * DAY_SECONDS),
            after: args.get(&PAGINATION_TOKEN)?.map(|token| page::after(&token)).transpose()?,
            limit: usize::try_from(limit).map_err(Fault::internal)?,
        })
        .await?;
    let items = found.items.iter().map(|view| Unused {
        item_name: view.item.path.as_str(),
        item_type: view.item.kind.type_name(),
        creation_date: view.item.created.rfc3339(),
        last_used: LastUsed::at(view.last_used),
    });
    Answer::json(&Reply {
        items: items.collect(),
        next_page: found.next.map(|path| page::token(&path)).transpose()?.unwrap_or_default(),
    })
}

pub(super) fn bounded(value: i64, max: i64, name: &str) -> Result<i64, Fault> {
    if (1..=max).contains(&value) {
        return Ok(value);
    }
    Err(Fault::bad_request(format!("invalid value of '{name}': give 1 to {max}")))
}
