//! Sending the audit log to others: the commands of each kind of target, made from the family.
//!
//! The V2 API knows one target at a time; it is the one without a name. Further ones have names.

mod fields;
mod get;
mod list;
mod reader;
mod remove;

use keysherd_base::Fault;
use keysherd_plane::About;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_sinks::{Settings, Sink, merged};
use keysherd_wire::{Access, Answer, Args, Body, Command, Group, Show, Spec};
use serde::Serialize;

use self::fields::{COMMON, FORWARDER_NAME, changed};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::forwarding::Forwarder;

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The commands, made once; they live as long as the program.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    let own = [&get::COMMAND, &list::COMMAND, &remove::COMMAND, &reader::COMMAND];
    keysherd_sinks::all().iter().map(|sink| update_command(*sink)).chain(own).collect()
}

/// Most receivers of one target that its audit record names.
const RECEIVERS_TOLD_MAX: usize = 8;
/// What names of update commands begin with.
const UPDATE: &str = "gateway-update-log-forwarding-";

/// Whether the command of this name is one of these.
pub(super) fn is_one(name: &str) -> bool {
    let own = [&get::COMMAND, &list::COMMAND, &remove::COMMAND, &reader::COMMAND];
    name.starts_with(UPDATE) || own.iter().any(|command| command.spec.name == name)
}

fn update_command(sink: &'static dyn Sink) -> &'static ApiCommand {
    let kind = sink.kind();
    let mut groups: Vec<&'static Group> = vec![&SESSION, &COMMON];
    if !kind.fields.fields.is_empty() {
        groups.push(kind.fields);
    }
    let summary = format!("Send the audit log to {}; what is not given stays.", kind.receiver);
    let spec = Spec {
        name: format!("{UPDATE}{}", kind.name).leak(),
        aliases: &[],
        success: 201,
        summary: summary.leak(),
        groups: groups.leak(),
        fields: &[],
        reply: if kind.published { "GatewayUpdateLogForwardingOutput" } else { "object" },
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The log forwarding of this gateway was changed"),
    };
    let run = move |ctx: Ctx, args: Args| -> keysherd_wire::Run {
        Box::pin(async move { update(sink, &ctx, &args).await })
    };
    Box::leak(Box::new(Command { spec, run: Box::leak(Box::new(run)) }))
}

/// What is shown of the target that V2 knows.
pub(super) fn shown(forwarder: &Forwarder) -> serde_json::Map<String, serde_json::Value> {
    get::shown(forwarder)
}

/// The caller's account, if they may configure this gateway.
async fn admitted(ctx: &Ctx) -> Result<keysherd_base::AccountId, Fault> {
    Ok(ctx.ask(GatewayConfigure { signs_for: None }).await?.account)
}

async fn update(sink: &'static dyn Sink, ctx: &Ctx, args: &Args) -> Result<Answer, Fault> {
    let account = admitted(ctx).await?;
    let forwarding = &ctx.services().forwarding;
    let name = fields::name(args)?;
    let old = forwarding.get(account, &name)?;
    let read = old.as_ref().map(Forwarder::to_json).transpose()?;
    let (old_settings, old) = match old {
        Some(Forwarder { sink: old_sink, settings, format, pull_seconds, filter, .. }) => {
            let same = old_sink.kind().name == sink.kind().name;
            let settings = if same { settings } else { Settings::default() };
            (settings, Some((format, pull_seconds, filter)))
        }
        None => (Settings::default(), None),
    };
    let settings = merged(sink.kind().fields, args, old_settings)?;
    ctx.tell(About::Kind, sink.kind().name);
    ctx.tell(About::Name, name.as_str());
    let (forwarder, from) = changed(args, name, sink, settings, old)?;
    // Whether it makes sense; nothing is sent yet.
    let outlet = sink.open(&forwarder.settings, &forwarding.way().of(account))?;
    for receiver in outlet.receivers().into_iter().take(RECEIVERS_TOLD_MAX) {
        ctx.tell(About::Receiver, receiver.target.to_string());
    }
    ctx.tell(About::Enabled, forwarder.enabled.to_string());
    forwarding.put(account, forwarder, from, read).await?;
    Answer::json(&Reply { updated: true })
}
