//! `gateway-list-log-forwarding`, ours: the log targets of this gateway and how they are doing.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::admitted;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::forwarding::ForwarderState;

#[derive(Serialize)]
struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    reader_access_id: Option<String>,
    forwarders: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    target: &'static str,
    enabled: bool,
    /// The last record that arrived, or that the filter leaves out.
    delivered: u64,
    newest: u64,
    lag: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
    failures: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    trouble: String,
    findings: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    finding: String,
    /// Another gateway of the cluster sends to it, or will.
    elsewhere: bool,
}

impl From<ForwarderState> for Shown {
    fn from(state: ForwarderState) -> Self {
        Self {
            name: state.name,
            target: state.sink,
            enabled: state.enabled,
            delivered: state.delivered,
            newest: state.newest,
            lag: state.newest.saturating_sub(state.delivered),
            delivered_at: state.delivered_at.map(|time| time.rfc3339()),
            failures: state.failures,
            trouble: state.trouble,
            findings: state.findings,
            finding: state.finding,
            elsewhere: state.elsewhere,
        }
    }
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-list-log-forwarding",
        aliases: &[],
        success: 200,
        summary: "List this gateway's log targets: what arrived, what waits, what is wrong.",
        groups: &[&SESSION],
        fields: &[],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let account = admitted(&ctx).await?;
    let forwarding = &ctx.services().forwarding;
    let reader_access_id = forwarding.reader(account)?.map(|id| id.to_string());
    let states = forwarding.states(account).await;
    let forwarders = states.into_iter().map(Shown::from).collect();
    Answer::json(&Reply { reader_access_id, forwarders })
}
