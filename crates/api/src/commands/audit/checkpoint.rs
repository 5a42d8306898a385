//! `audit-checkpoint`, ours: the signed head of the audit chain, for an auditor to keep.

use keysherd_base::Fault;
use keysherd_plane::audit_log::AuditCheckpoint;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    account_id: String,
    seq_num: u64,
    link: String,
    /// Milliseconds since the epoch, as signed.
    time: i64,
    signature: String,
    /// The public key of the signature; compare it with what the operator of control says.
    key: String,
    /// What keysherd audit verify and verify-export take as --head.
    head: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "audit-checkpoint",
        aliases: &[],
        success: 200,
        summary: "Show the signed head of the account's audit chain. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[],
        reply: "object",
        access: Access::Right("search-rule", "read"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let told = ctx.ask(AuditCheckpoint).await?;
    let (head, key) = (told.head, told.key);
    Answer::json(&Reply {
        head: format!("{}:{}:{}", head.account_id, head.seq_num, head.link),
        account_id: head.account_id,
        seq_num: head.seq_num,
        link: head.link,
        time: head.time,
        signature: head.signature,
        key,
    })
}
