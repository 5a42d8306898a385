//! `lock-target` and `unlock-target`: a target for one person alone, for a time.

use keysherd_base::Fault;
use keysherd_domain::target::stored_path;
use keysherd_plane::items::ItemUnlock;
use keysherd_wire::{Access, Answer, Args, Body, Command, FieldSpec, Group, Show, Spec};

use crate::commands::ApiCommand;
use crate::commands::items::lock_item::{ACTIONS, LOCK_TTL, wanted};
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

static GROUPS: [&Group; 1] = [&SESSION];

const fn spec(
    name: &'static str,
    summary: &'static str,
    fields: &'static [FieldSpec],
    shown: &'static str,
) -> Spec {
    Spec {
        name,
        aliases: &[],
        success: 200,
        summary,
        groups: &GROUPS,
        fields,
        reply: "object",
        access: Access::Right("target-rule", "update"),
        body: Body::Object,
        show: Show::Sentence(shown),
    }
}

/// Locks one.
pub(super) static LOCK: ApiCommand = Command {
    spec: spec(
        "lock-target",
        "Lock a target for everyone but you, for a time.",
        &[NAME.spec(), ACTIONS.spec(), LOCK_TTL.spec()],
        "The target {name} is locked",
    ),
    run: &|ctx, args| Box::pin(lock(ctx, args)),
};

/// Unlocks one.
pub(super) static UNLOCK: ApiCommand = Command {
    spec: spec(
        "unlock-target",
        "End the lock on a target.",
        &[NAME.spec()],
        "The target {name} is unlocked",
    ),
    run: &|ctx, args| Box::pin(unlock(ctx, args)),
};

async fn lock(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = stored_path(&args.path(&NAME)?)?;
    ctx.ask(wanted(&args, path)?).await?;
    Ok(Answer::empty())
}

async fn unlock(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    ctx.ask(ItemUnlock { path: stored_path(&args.path(&NAME)?)? }).await?;
    Ok(Answer::empty())
}
