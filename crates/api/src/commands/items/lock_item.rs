//! `lock-item`: locks an item for everyone but the caller, for a time.

use keysherd_base::{Fault, ItemPath};
use keysherd_plane::items::ItemLockSet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

pub(in crate::commands) const ACTIONS: Field<Text> =
    Field::text("actions", "What is locked: read, update, or both with a comma.")
        .default("read,update");
pub(in crate::commands) const LOCK_TTL: Field<Int> =
    Field::int("lock-ttl", "Minutes until the lock ends by itself, 1 to 10080.").default("60");
/// A week.
const TTL_MINUTES_MAX: i64 = 10_080;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "lock-item",
        aliases: &[],
        success: 200,
        summary: "Lock an item for everyone but you, for a time.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), ACTIONS.spec(), LOCK_TTL.spec()],
        reply: "object",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Item {name} is locked"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    ctx.ask(wanted(&args, path)?).await?;
    Ok(Answer::empty())
}

/// The lock that is wanted on what is stored at `path`.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(in crate::commands) fn wanted(args: &Args, path: ItemPath) -> Result<ItemLockSet, Fault> {
    let actions = args.get(&ACTIONS)?.unwrap_or_else(|| "read,update".to_owned());
    let (mut read, mut update) = (false, false);
    for action in actions.split(',').map(str::trim) {
        match action.to_ascii_lowercase().as_str() {
            "read" => read = true,
            "update" => update = true,
            _ => {
                return Err(Fault::bad_request(
                    "invalid value of 'actions': it must be read, update or read,update",
                ));
            }
        }
    }
    let minutes = args.get(&LOCK_TTL)?.filter(|minutes| *minutes != 0).unwrap_or(60);
    let ttl_minutes = u32::try_from(minutes)
        .ok()
        .filter(|_| minutes <= TTL_MINUTES_MAX)
        .ok_or_else(|| Fault::bad_request("invalid value of 'lock-ttl': it must be 1 to 10080"))?;
    Ok(ItemLockSet { path, read, update, ttl_minutes })
}
