//! `describe-key-fragments`: how each fragment manager holds the versions of a key, with the
//! receipts of those that were destroyed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::order::{Condition, KeyReport, REPORTS_MAX};
use keysherd_plane::accounts::AccountEdit;
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::ItemDescribe;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::crypt::ManagerSaid;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const NAME: Field<Text> = Field::text("name", "Path of the key.").short('n').required();

#[derive(Serialize)]
struct Reply {
    account_id: String,
    key_id: String,
    managers: Vec<Manager>,
}

#[derive(Serialize)]
struct Manager {
    manager: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<Version>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
struct Version {
    version: u32,
    state: &'static str,
    frozen: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_receipt: Option<String>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "describe-key-fragments",
        aliases: &[],
        success: 200,
        summary: "Show how each fragment manager holds the versions of a key, and the signed \
                  receipts of those that were destroyed.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "dict(str, object)",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let account = ctx.ask(AccountEdit).await?.account.id;
    let item = ItemRef::Path(path.clone());
    let view = ctx.ask(ItemDescribe { item, with_versions: false }).await?;
    let not_a_key = || Fault::bad_request(format!("item {path} is not a key; name a key"));
    let key = view.item.key.as_ref().ok_or_else(not_a_key)?;
    // The newest ones: managers are asked for a bounded number.
    let first = key.version.saturating_sub(u32::try_from(REPORTS_MAX).unwrap_or(1) - 1).max(1);
    let versions = first..=key.version;
    let keys = versions.map(|version| KeyVersion { account, id: key.key_id, version }).collect();
    let managers = ctx.crypt().key_reports(keys).await.into_iter().map(manager).collect();
    let (account_id, key_id) = (account.to_string(), key.key_id.to_string());
    Answer::json(&Reply { account_id, key_id, managers })
}

fn manager(one: ManagerSaid<Vec<KeyReport>>) -> Manager {
    let manager = one.manager;
    match one.said {
        Ok(reports) => {
            let versions = Some(reports.iter().map(version).collect());
            Manager { manager, versions, problem: None }
        }
        Err(fault) => Manager { manager, versions: None, problem: Some(fault.public().to_owned()) },
    }
}

fn version(report: &KeyReport) -> Version {
    let (state, scheduled) = match report.condition {
        Condition::Unknown => ("unknown", None),
        Condition::Pending => ("pending", None),
        Condition::Enabled => ("enabled", None),
        Condition::Scheduled { order_id, destroy_at } => {
            ("to be destroyed", Some((order_id.to_string(), destroy_at.rfc3339())))
        }
        Condition::Destroyed => ("destroyed", None),
    };
    let (order_id, destroy_at) = scheduled.unzip();
    let destroy_receipt = report.receipt.as_ref().map(|signed| STANDARD.encode(signed.to_bytes()));
    let (version, frozen) = (report.key.version, report.frozen);
    Version { version, state, frozen, destroy_at, order_id, destroy_receipt }
}
