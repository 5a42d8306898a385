//! What the two commands about standby have in common.

use keysherd_base::Fault;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::Answer;
use serde::Serialize;

use crate::ctx::Ctx;

#[derive(Serialize)]
struct Reply {
    active: bool,
}

/// Makes the gateway that answers active, or puts it on standby.
///
/// # Errors
/// As [`crate::Standing::set_active`], and [`Fault::unauthorized`] for who may not configure it.
pub(super) async fn set(ctx: &Ctx, active: bool) -> Result<Answer, Fault> {
    let account = ctx.ask(GatewayConfigure { signs_for: None }).await?.account;
    ctx.services().standing.set_active(account, active).await?;
    Answer::json(&Reply { active })
}
