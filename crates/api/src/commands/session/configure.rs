//! `configure`: signs in like `auth`, for clients that keep profiles.

use std::sync::LazyLock;

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use super::login::{self, CREDENTIAL};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::JSON;

const DEFAULT_LOCATION_PREFIX: Field<Text> =
    Field::text("default-location-prefix", "Prefix of relative names; clients keep it.").inert();

#[derive(Serialize)]
struct Reply {
    profile: &'static str,
    token: String,
}

/// The command.
pub(super) static COMMAND: LazyLock<ApiCommand> = LazyLock::new(|| Command {
    spec: Spec {
        name: "configure",
        aliases: &[],
        success: 200,
        summary: "Sign in, and name the profile that keeps the credential.",
        groups: vec![&*CREDENTIAL].leak(),
        fields: const { &[DEFAULT_LOCATION_PREFIX.spec(), JSON.spec()] },
        reply: "ConfigureOutput",
        access: Access::Open,
        body: Body::Object,
        show: Show::Sentence("Profile {profile} successfully configured"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
});

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let login = login::login(&ctx, &args).await?;
    Answer::json(&Reply { profile: "default", token: login.token })
}
