//! `static-creds-auth`: a liveness probe for operators; no such credential is ever issued here.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;

const ACCESS_ID: Field<Text> = Field::text("access-id", "Access id of the auth method.");
const ADMIN_EMAIL: Field<Text> = Field::text("admin-email", "E-mail address of a person.");
const CREDS: Field<Text> = Field::text("creds", "A service credential.").required().secret();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "static-creds-auth",
        aliases: &[],
        success: 200,
        summary: "Exchange a service credential; without one, answer that it is missing.",
        groups: &[],
        fields: &[ACCESS_ID.spec(), ADMIN_EMAIL.spec(), CREDS.spec()],
        reply: "StaticCredsAuthOutput",
        access: Access::Open,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(_ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    args.need(&CREDS)?;
    Err(Fault::unauthorized("the service credential is not valid; sign in with auth"))
}
