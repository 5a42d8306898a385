//! `dynamic-secret-tmp-creds-delete`: temporary credentials end now.

use std::time::Duration;

use keysherd_base::{Fault, ItemPath, Uid};
use keysherd_domain::credential_lease::LeaseState;
use keysherd_plane::credential_leases::{
    LEASE_PAGE_MAX, LeaseChoice, LeaseList, LeaseRevoke, LeaseView,
};
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Field, Flag, Show, Spec};

use super::shared::INERT;
use super::tmp_creds_update::{HOST, ID, id};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const ALL: Field<Flag> = Field::flag("revoke-all", "All credentials of the secret.");
const SOFT: Field<Flag> = Field::flag(
    "soft-delete",
    "Forget them without touching the target, where revoking fails for good.",
);

/// How long a caller waits for the target.
const PATIENCE: Duration = Duration::from_secs(30);
/// After how long it is looked for the first time whether it is done; then twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// Longest time between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "dynamic-secret-tmp-creds-delete",
        aliases: &[Alias {
            name: "gateway-revoke-producer-tmp-creds",
            success: 200,
            reply: "None",
        }],
        success: 201,
        summary: "Revoke temporary credentials.",
        groups: &[&SESSION, &INERT],
        fields: &[NAME.spec(), ID.spec(), ALL.spec(), SOFT.spec(), HOST.spec()],
        reply: "None",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The temporary credentials of {name} were revoked"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let which = match (args.get(&ID)?, args.get_or(&ALL, false)?) {
        (Some(text), false) => LeaseChoice::One(id(&text)?),
        (None, true) => LeaseChoice::All,
        (Some(_), true) | (None, false) => {
            return Err(Fault::bad_request("give either 'tmp-creds-id' or 'revoke-all'"));
        }
    };
    let soft = args.get_or(&SOFT, false)?;
    let item = args.path(&NAME)?;
    ctx.ask(LeaseRevoke { item: item.clone(), which, soft }).await?;
    if soft {
        return Ok(Answer::empty());
    }
    ctx.crypt().leases_due();
    revoked(&ctx, item, which).await
}

/// Waits until the target has none of them any more. Whoever waits no longer has not stopped it.
async fn revoked(ctx: &Ctx, item: ItemPath, which: LeaseChoice) -> Result<Answer, Fault> {
    let mut waited = Duration::ZERO;
    let mut pause = FIRST_LOOK;
    loop {
        let (after, limit) = match which {
            LeaseChoice::One(id) => (before(id), 1),
            LeaseChoice::All => (None, LEASE_PAGE_MAX),
        };
        let Ok(page) = ctx.ask(LeaseList { item: item.clone(), after, limit }).await else {
            let text = "they are being revoked; whether that worked is shown to those who may \
                        read the secret";
            return Ok(Answer::empty().with_warnings([text.to_owned()]));
        };
        let left: Vec<_> = page
            .leases
            .iter()
            .filter(|lease| is_ending(lease) && !is_another(which, lease.id))
            .collect();
        let Some(first) = left.first() else { return Ok(Answer::empty()) };
        let failed = left.iter().find(|lease| lease.attempts > 0 && !lease.last_error.is_empty());
        if waited >= PATIENCE || failed.is_some() {
            let lease = failed.unwrap_or(first);
            let why = match lease.last_error.as_str() {
                "" => "the target has not answered yet",
                error => error,
            };
            return Err(Fault::unavailable(format!(
                "temporary credentials {} are not revoked yet: {why}; it is tried again until it \
                 works, see dynamic-secret-tmp-creds-get",
                lease.id
            )));
        }
        tokio::time::sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

fn is_another(which: LeaseChoice, id: Uid) -> bool {
    matches!(which, LeaseChoice::One(one) if one != id)
}

/// The id before this one.
fn before(id: Uid) -> Option<Uid> {
    u128::from_be_bytes(id.0).checked_sub(1).map(|number| Uid(number.to_be_bytes()))
}

/// Whether it is being removed, or could not be. One whose gateway ended while it was made is
/// looked for on the target a while later, but nobody has it.
const fn is_ending(lease: &LeaseView) -> bool {
    lease.settled && matches!(lease.state, LeaseState::Revoking | LeaseState::Quarantined)
}
