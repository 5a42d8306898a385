//! `apply-owner-order`: brings an order that the owner signed to every fragment manager.
//!
//! Whoever calls it can change nothing about the order: each manager verifies the owner's
//! signature, and asks neither the gateway nor the control plane.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use super::list_customer_fragments::demand_admin;
use crate::commands::ApiCommand;
use crate::crypt::{ManagerSaid, TakenOrder};
use crate::ctx::Ctx;
use crate::fields::SESSION;

const ORDER: Field<Text> =
    Field::text("order", "The order that 'keysherd owner order' made, in base64.").required();

/// Longest order in base64: 400 bytes and some room.
const ORDER_CHARS_MAX: usize = 1_024;

#[derive(Serialize)]
struct Reply {
    /// Whether every manager obeys it.
    complete: bool,
    managers: Vec<Heard>,
}

#[derive(Serialize)]
struct Heard {
    manager: u8,
    obeyed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "apply-owner-order",
        aliases: &[],
        success: 200,
        summary: "Bring an order that the owner signed (destroy, cancel, freeze, unfreeze) to \
                  every fragment manager.",
        groups: &[&SESSION],
        fields: &[ORDER.spec()],
        reply: "dict(str, object)",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let text = args.need(&ORDER)?;
    demand_admin(&ctx).await?;
    let bad = || Fault::bad_request("'order' is not base64 of an order; copy the whole file");
    let text: String = text.split_whitespace().collect();
    if text.len() > ORDER_CHARS_MAX {
        return Err(bad());
    }
    let order = STANDARD.decode(text).map_err(|_| bad())?;
    let said = ctx.crypt().bring_order(&order).await?;
    if let Some(fault) = refused_by_all(&said) {
        return Err(fault);
    }
    let managers: Vec<Heard> = said.into_iter().map(heard).collect();
    let complete = managers.iter().all(|heard| heard.obeyed);
    Answer::json(&Reply { complete, managers })
}

/// What the first manager said, when none obeys.
fn refused_by_all(said: &[ManagerSaid<TakenOrder>]) -> Option<Fault> {
    let faults: Option<Vec<&Fault>> = said.iter().map(|one| one.said.as_ref().err()).collect();
    faults.and_then(|faults| faults.first().map(|fault| (*fault).clone()))
}

fn heard(one: ManagerSaid<TakenOrder>) -> Heard {
    let manager = one.manager;
    match one.said {
        Ok(taken) => Heard {
            manager,
            obeyed: true,
            order_id: Some(taken.order_id.to_string()),
            destroy_at: taken.destroy_at.map(keysherd_base::Timestamp::rfc3339),
            problem: None,
        },
        Err(fault) => Heard {
            manager,
            obeyed: false,
            order_id: None,
            destroy_at: None,
            problem: Some(fault.public().to_owned()),
        },
    }
}
