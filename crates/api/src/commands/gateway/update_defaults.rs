//! `gateway-update-defaults`: what the gateways of this cluster take where a request does not say.

use keysherd_authn::by_access_type;
use keysherd_base::{AccessId, Fault, ItemPath};
use keysherd_plane::clusters::ClusterKeyChoose;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec, Text};
use serde::Serialize;

use super::defaults::{admitted, parsed, read};
use crate::commands::ApiCommand;
use crate::configs::Config;
use crate::ctx::Ctx;
use crate::defaults::{DEFAULTS_CONFIG, Defaults, location};
use crate::fields::SESSION;

/// What clients write for "leave it as it is".
const USE_EXISTING: &str = "use-existing";
/// What takes a default away.
const NONE: &str = "none";
/// The key that is the account's default key, as V2 calls it.
const ACCOUNT_KEY: &str = "Default";

const KEY: Field<Text> = Field::text(
    "key",
    "Path of the key that protects new secrets where none is named; Default: the account's.",
);
const SAML_ACCESS_ID: Field<Text> =
    Field::text("saml-access-id", "The auth method of SAML logins that name none; or none.")
        .sentinel(USE_EXISTING);
const OIDC_ACCESS_ID: Field<Text> =
    Field::text("oidc-access-id", "The auth method of OIDC logins that name none; or none.")
        .sentinel(USE_EXISTING);
const CERT_ACCESS_ID: Field<Text> =
    Field::text("cert-access-id", "The auth method that is shown for certificates; or none.")
        .sentinel(USE_EXISTING);
const HVP_ROUTE_VERSION: Field<Int> =
    Field::int("hvp-route-version", "Kept and shown: 1 or 2, as clients of Vault are served.");
const EVENT_ON_STATUS_CHANGE: Field<Text> =
    Field::text("event-on-status-change", "Kept and shown: true or false.")
        .choices(&["true", "false"]);
const DEFAULT_LOCATION: Field<Text> = Field::text(
    "default-location",
    "Folder that consoles propose for new items; or none. Ours, not of the V2 API.",
);

#[derive(Serialize)]
struct Reply {
    updated: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-update-defaults",
        aliases: &[],
        success: 201,
        summary: "Set what the gateways of this cluster take where a request does not say; what \
                  is not given stays.",
        groups: &[&SESSION],
        fields: &[
            KEY.spec(),
            SAML_ACCESS_ID.spec(),
            OIDC_ACCESS_ID.spec(),
            CERT_ACCESS_ID.spec(),
            HVP_ROUTE_VERSION.spec(),
            EVENT_ON_STATUS_CHANGE.spec(),
            DEFAULT_LOCATION.spec(),
        ],
        reply: "GatewayUpdateOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The defaults were changed"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let (account, cluster) = admitted(&ctx).await?;
    let kept = read(&ctx, account)?;
    let old = parsed(kept.as_ref())?;
    let new = changed(&ctx, &args, old.clone().unwrap_or_default()).await?;
    if old.as_ref() != Some(&new) {
        let (kind, name, body) = (DEFAULTS_CONFIG, String::new(), new.to_json()?);
        let config = Config { account, kind, name, access_id: cluster.access_id, body };
        ctx.services().configs.put_changed(config, kept.as_ref()).await?;
    }
    Answer::json(&Reply { updated: true })
}

/// The defaults that the arguments make of those there are.
async fn changed(ctx: &Ctx, args: &Args, old: Defaults) -> Result<Defaults, Fault> {
    let mut new = old;
    if let Some(key) = args.get(&KEY)? {
        new.key = match key.as_str() {
            ACCOUNT_KEY => None,
            path => {
                let key = ItemPath::parse(path)?;
                Some(ctx.ask(ClusterKeyChoose { key }).await?.item)
            }
        };
    }
    let logins = [
        (&SAML_ACCESS_ID, "saml", &mut new.logins.saml),
        (&OIDC_ACCESS_ID, "oidc", &mut new.logins.oidc),
        (&CERT_ACCESS_ID, "cert", &mut new.logins.certificate),
    ];
    for (field, access_type, default) in logins {
        match args.get(field)?.as_deref() {
            None => {}
            Some(NONE) => *default = None,
            Some(id) => *default = Some(method(ctx, field.name(), id, access_type).await?),
        }
    }
    if let Some(version) = args.get(&HVP_ROUTE_VERSION)? {
        let version = u32::try_from(version).ok().filter(|version| [1, 2].contains(version));
        new.hvp_route_version = Some(version.ok_or_else(|| {
            Fault::bad_request("invalid value of 'hvp-route-version': it must be 1 or 2")
        })?);
    }
    if let Some(wanted) = args.get(&EVENT_ON_STATUS_CHANGE)? {
        new.tells_status = Some(wanted == "true");
    }
    match args.get(&DEFAULT_LOCATION)?.as_deref() {
        None => {}
        Some(NONE) => new.location = None,
        Some(folder) => new.location = Some(location(folder)?),
    }
    Ok(new)
}

/// The auth method `id` of the account, if it is one of the kind.
async fn method(ctx: &Ctx, field: &str, id: &str, access_type: &str) -> Result<AccessId, Fault> {
    let id = AccessId::parse(id)
        .map_err(|bad| Fault::bad_request(format!("invalid value of '{field}': {bad}")))?;
    let kind = by_access_type(access_type).map_or(access_type, |member| member.kind().name);
    let signs_for = Some((id.clone(), Some(kind.to_owned())));
    ctx.ask(GatewayConfigure { signs_for }).await?;
    Ok(id)
}
