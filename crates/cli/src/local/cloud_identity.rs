//! `get-cloud-identity`: what this machine proves its identity in its cloud with.

use keysherd_cloud::{Cloud, Hints};
use keysherd_wire::{Field, FieldSpec, Flag, Show, Spec, Text};

use super::LocalVerb;
use crate::body::Fields;
use crate::cloud::proof;
use crate::context::Context;
use crate::failure::Failure;

const PROVIDER: Field<Text> =
    Field::text("cloud-provider", "The cloud: aws_iam, azure_ad or gcp.").required();
const AUDIENCE: Field<Text> =
    Field::text("gcp-audience", "Whom a token of Google Cloud is for; akeyless.io otherwise.");
const OBJECT: Field<Text> =
    Field::text("azure-ad-object-id", "The identity at Azure, on machines that have several.");
const RESOURCE: Field<Text> = Field::text(
    "azure-resource",
    "What a token of Azure is for, as api://keysherd; else https://management.azure.com/.",
);
const URL_SAFE: Field<Flag> = Field::flag("url-safe", "Print it as it can stand in an address.");

const FIELDS: &[FieldSpec] =
    &[PROVIDER.spec(), AUDIENCE.spec(), OBJECT.spec(), RESOURCE.spec(), URL_SAFE.spec()];

static SPEC: Spec = Spec::open(
    "get-cloud-identity",
    "Prints what this machine proves its identity in its cloud with; it is good for minutes.",
    FIELDS,
    Show::Json,
);

/// `get-cloud-identity`.
pub(super) const VERB: LocalVerb =
    LocalVerb { spec: &SPEC, positional: Some("cloud-provider"), run, server_flags: false };

fn run(context: &mut Context<'_, '_>, given: Fields) -> Result<(), Failure> {
    let name = given.text(PROVIDER.name()).unwrap_or_default();
    let cloud = Cloud::of_access_type(name).ok_or_else(|| {
        Failure::local(format!("'{name}' is no cloud")).hint("give aws_iam, azure_ad or gcp")
    })?;
    let text = |field: &Field<Text>| given.text(field.name()).map(str::to_owned);
    let hints =
        Hints { audience: text(&AUDIENCE), object: text(&OBJECT), resource: text(&RESOURCE) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("cannot start: {error}")))?;
    let proof = proof(context, &runtime, cloud, hints)?;
    if !given.flag(URL_SAFE.name()) {
        return context.terminal.print(proof.expose());
    }
    let encoded = proof.expose().replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    context.terminal.print(&encoded)
}
