//! `gateway-get-log-forwarding`: where this gateway sends the audit log, in V2's shape.

use keysherd_base::Fault;
use keysherd_sinks::Format;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde_json::{Map, Value};

use super::{FORWARDER_NAME, admitted, fields};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::forwarding::Forwarder;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-log-forwarding",
        aliases: &[],
        success: 200,
        summary: "Show where this gateway sends the audit log, without secrets.",
        groups: &[&SESSION],
        fields: &[FORWARDER_NAME.spec()],
        reply: "LogForwardingConfigPart",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let account = admitted(&ctx).await?;
    let name = fields::name(&args)?;
    match ctx.services().forwarding.get(account, &name)? {
        Some(forwarder) => Answer::json(&shown(&forwarder)),
        None if name.is_empty() => Answer::json(&serde_json::json!({ "logan_enable": false })),
        None => Err(super::remove::absent(&name)),
    }
}

/// What is shown of a target: the model `LogForwardingConfigPart`.
pub(super) fn shown(forwarder: &Forwarder) -> Map<String, Value> {
    let kind = forwarder.sink.kind();
    let mut reply = Map::new();
    let mut put = |name: &str, value: Value| reply.insert(name.to_owned(), value);
    put("logan_enable", forwarder.enabled.into());
    put("json_output", (forwarder.format == Format::Json).into());
    put("pull_interval_sec", forwarder.pull_seconds.to_string().into());
    put("target_log_type", kind.name.replace('-', "_").into());
    if let Some(shown) = &kind.shown {
        put(shown.field, forwarder.settings.show(kind.fields, shown.content).into());
    }
    reply
}
