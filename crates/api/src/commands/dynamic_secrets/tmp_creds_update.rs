//! `dynamic-secret-tmp-creds-update`: temporary credentials end at another time.

use keysherd_base::{Fault, Uid};
use keysherd_plane::credential_leases::LeaseExtend;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Field, Int, Show, Spec, Text};

use super::shared::INERT;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

/// Which credentials.
pub(super) const ID: Field<Text> = Field::text("tmp-creds-id", "Id of the temporary credentials.");
/// The host of credentials for linked targets.
pub(super) const HOST: Field<Text> =
    Field::text("host", "The host of credentials for linked targets.").inert();
const MINUTES: Field<Int> =
    Field::int("new-ttl-min", "Minutes from now until they end.").required();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "dynamic-secret-tmp-creds-update",
        aliases: &[Alias {
            name: "gateway-update-producer-tmp-creds",
            success: 200,
            reply: "None",
        }],
        success: 201,
        summary: "Let temporary credentials end earlier or later.",
        groups: &[&SESSION, &INERT],
        fields: &[NAME.spec(), ID.required().spec(), HOST.spec(), MINUTES.spec()],
        reply: "None",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence(
            "The temporary credentials {tmp-creds-id} end in {new-ttl-min} minutes",
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let minutes = args.need(&MINUTES)?;
    let ttl_seconds = minutes.checked_mul(60).filter(|seconds| *seconds > 0).ok_or_else(|| {
        Fault::bad_request("invalid value of 'new-ttl-min': it must be a number of minutes")
    })?;
    let lease = id(&args.need(&ID)?)?;
    ctx.ask(LeaseExtend { item: args.path(&NAME)?, lease, ttl_seconds }).await?;
    Ok(Answer::empty())
}

/// The id that a client names.
///
/// # Errors
/// [`Fault::bad_request`] for a text that is no id.
pub(super) fn id(text: &str) -> Result<Uid, Fault> {
    Uid::parse(text).map_err(|_| {
        Fault::bad_request(
            "invalid value of 'tmp-creds-id': give an id that dynamic-secret-tmp-creds-get shows",
        )
    })
}
