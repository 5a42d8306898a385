//! `rewrap-status`, ours: how far a rotation is, and which key version wraps what.

use keysherd_base::{Fault, ItemPath, Timestamp, Uid};
use keysherd_plane::grants::ItemRef;
use keysherd_plane::rotation::{
    KeyStatus, KeyVersionStatus, RewrapStatus, RewrapStatusReply, RotationStatus, WrappedBy,
};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

#[derive(Serialize)]
struct KeyReply {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    key_id: String,
    versions: Vec<VersionReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationReply>,
}

#[derive(Serialize)]
struct VersionReply {
    version: u32,
    state: &'static str,
    created: String,
    split_level: u8,
    threshold: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_fragment_id: Option<String>,
    values: u64,
    gateway_configurations: u64,
    ready_to_destroy: bool,
}

#[derive(Serialize)]
struct RotationReply {
    to_version: u32,
    started: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<String>,
    values_found: u64,
    values_left: u64,
    percent: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
}

#[derive(Serialize)]
struct ItemReply {
    name: String,
    versions: Vec<WrappedReply>,
}

#[derive(Serialize)]
struct WrappedReply {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    protection_key_name: Option<String>,
    key_id: String,
    key_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_fragment_id: Option<String>,
}

/// Of a key or another item.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "rewrap-status",
        aliases: &[],
        success: 200,
        summary: "Show a key's versions and how far its rotation is, or which key versions wrap a \
                  secret. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "object",
        access: Access::Right("item-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

/// Of the account's original key, which has no name.
pub(super) static ORIGINAL: ApiCommand = Command {
    spec: Spec {
        name: "rewrap-status-original-key",
        aliases: &[],
        success: 200,
        summary: "Show the versions of the account's original key and how far its rotation is. \
                  Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, _| Box::pin(show(ctx, None)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path: ItemPath = args.path(&NAME)?;
    show(ctx, Some(ItemRef::Path(path))).await
}

async fn show(ctx: Ctx, item: Option<ItemRef>) -> Result<Answer, Fault> {
    match ctx.ask(RewrapStatus { item }).await? {
        RewrapStatusReply::Key(status) => Answer::json(&key_reply(*status)),
        RewrapStatusReply::Item { item, values } => Answer::json(&ItemReply {
            name: item.path.to_string(),
            versions: values.into_iter().map(wrapped_reply).collect(),
        }),
    }
}

fn key_reply(status: KeyStatus) -> KeyReply {
    KeyReply {
        name: status.item.map(|item| item.path.to_string()),
        key_id: status.key_id.to_string(),
        versions: status.versions.into_iter().map(version_reply).collect(),
        rotation: status.rotation.map(rotation_reply),
    }
}

fn version_reply(version: KeyVersionStatus) -> VersionReply {
    VersionReply {
        version: version.version,
        state: version.state.name(),
        created: version.created.rfc3339(),
        split_level: version.managers,
        threshold: version.threshold,
        customer_fragment_id: version.customer_fragment.map(fragment_text),
        values: version.values,
        gateway_configurations: version.configurations,
        ready_to_destroy: version.ready_to_destroy,
    }
}

fn rotation_reply(rotation: RotationStatus) -> RotationReply {
    let done = rotation.found.saturating_sub(rotation.left);
    RotationReply {
        to_version: rotation.to,
        started: rotation.started.rfc3339(),
        finished: rotation.finished.map(Timestamp::rfc3339),
        values_found: rotation.found,
        values_left: rotation.left,
        percent: (done * 100).checked_div(rotation.found).unwrap_or(100),
        problem: rotation.problem,
    }
}

fn wrapped_reply(value: WrappedBy) -> WrappedReply {
    WrappedReply {
        version: value.version,
        protection_key_name: value.key_name,
        key_id: value.key.key_id.to_string(),
        key_version: value.key.version,
        customer_fragment_id: value.key.customer_fragment.map(fragment_text),
    }
}

fn fragment_text(id: Uid) -> String {
    format!("cf-{id}")
}
