//! `gateway-update-log-reader`, ours: whom this gateway reads the audit log as, to forward it.

use keysherd_base::{AccessId, Fault};
use keysherd_plane::About;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::forwarding::LogReader;

const ACCESS_ID: Field<Text> = Field::text(
    "reader-access-id",
    "Access id of an API key with a role that has audit-access all, and nothing else.",
)
.required();
const ACCESS_KEY: Field<Text> =
    Field::text("reader-access-key", "Its access key, which stays on this gateway.")
        .required()
        .secret();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-log-reader",
        aliases: &[],
        success: 200,
        summary: "Tell this gateway whom to read the audit log as, to forward it.",
        groups: &[&SESSION],
        fields: &[ACCESS_ID.spec(), ACCESS_KEY.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("This gateway reads the audit log as {access_id}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let id = args.need(&ACCESS_ID)?;
    let access_id = AccessId::parse(&id)
        .map_err(|bad| Fault::bad_request(format!("invalid value of 'reader-access-id': {bad}")))?;
    let signs_for = Some((access_id.clone(), Some("api_key".to_owned())));
    let account = ctx.ask(GatewayConfigure { signs_for }).await?.account;
    ctx.tell(About::AccessId, id.as_str());
    let access_key = args.secret(&ACCESS_KEY)?;
    let access_key = access_key.ok_or_else(|| Fault::bad_request("the access key is empty"))?;
    let reader = LogReader { account, access_id, access_key };
    let admitted = ctx.services().forwarding.read_as(reader).await?;
    let answer = Answer::json(&serde_json::json!({ "access_id": id }))?;
    if !admitted.more_rights {
        return Ok(answer);
    }
    Ok(answer.with_warnings(vec![format!(
        "{id} may do more than read the audit log; whoever steals this gateway's data directory \
         may, too: give it a role with nothing but audit-access all"
    )]))
}
