//! `auth-method-create-api-key`: an auth method whose credential is an access key.

use keysherd_base::Fault;
use keysherd_crypto::access_key::AccessKey;
use keysherd_domain::auth_method::MethodDetail;
use keysherd_plane::auth_methods::MethodCreate;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::shared::{self, SHARED};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const ALIASES: &[Alias] =
    &[Alias { name: "create-auth-method", success: 200, reply: "CreateAuthMethodOutput" }];

#[derive(Serialize)]
struct Reply<'a> {
    name: &'a str,
    access_id: &'a str,
    access_key: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "auth-method-create-api-key",
        aliases: ALIASES,
        success: 201,
        summary: "Create an auth method with an access key; the key is shown once.",
        groups: &[&SESSION, &SHARED],
        fields: &[NAME.spec()],
        reply: "AuthMethodCreateOutput",
        access: Access::Right("auth-method-rule", "create"),
        body: Body::Object,
        show: Show::Sentence(
            "Auth Method {name} successfully created\n- Access ID: {access_id}\n\
             - Access Key: {access_key}",
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let key = AccessKey::generate(&*ctx.services().rng)?;
    let detail = MethodDetail::ApiKey {
        public_key: key.signing_key().public().0,
        key_created: ctx.services().clock.now(),
    };
    let create = MethodCreate { path: path.clone(), shared: shared::read(&args)?, detail };
    let created = ctx.ask(create).await?;
    let reply = Answer::json(&Reply {
        name: path.bare(),
        access_id: created.access_id.as_str(),
        access_key: key.text().expose(),
    })?;
    Ok(reply.with_warnings(created.warnings))
}
