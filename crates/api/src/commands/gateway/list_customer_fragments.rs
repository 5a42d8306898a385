//! `gateway-list-customer-fragments`: the customer fragments of the gateway that answers.

use keysherd_base::{Fault, Timestamp};
use keysherd_fragments::fragment_file::id_text;
use keysherd_plane::accounts::AccountEdit;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::crypt::HeldFragment;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    customer_fragments: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    description: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    fragment_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_label: Option<String>,
    /// The name of the V2 API for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    backup_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_verified_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-list-customer-fragments",
        aliases: &[],
        success: 200,
        summary: "List the customer fragments of this gateway, with fingerprints; never values.",
        groups: &[&SESSION],
        fields: &[],
        reply: "dict(str, object)",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    demand_admin(&ctx).await?;
    let customer_fragments = ctx.crypt().customer_fragments().into_iter().map(shown).collect();
    Answer::json(&Reply { customer_fragments })
}

/// Only administrators learn what a gateway holds: whoever may change the account.
pub(super) async fn demand_admin(ctx: &Ctx) -> Result<(), Fault> {
    ctx.ask(AccountEdit).await.map(|_| ())
}

fn shown(held: HeldFragment) -> Shown {
    let verified = held.backup_verified_at;
    Shown {
        id: id_text(&held.id),
        name: held.name,
        description: held.description,
        fragment_type: held.kind,
        key_label: held.key_label,
        hash: held.fingerprint,
        backup_verified: verified.is_some(),
        backup_verified_at: verified.map(|at| Timestamp::from_seconds(at).rfc3339()),
        problem: held.problem,
    }
}
