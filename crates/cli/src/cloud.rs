//! The identity of this machine in its cloud, for logins that prove it.

use keysherd_base::SecretString;
use keysherd_cloud::{Cloud, Hints, question};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::body::Fields;
use crate::context::Context;
use crate::failure::Failure;

/// Adds `cloud-id` to the fields of a login that proves a cloud's identity and has none.
pub(crate) fn add_identity(
    context: &Context<'_, '_>,
    runtime: &Runtime,
    fields: &mut Fields,
) -> Result<(), Failure> {
    let Some(cloud) = fields.text("access-type").and_then(Cloud::of_access_type) else {
        return Ok(());
    };
    if fields.has("cloud-id") {
        return Ok(());
    }
    let audience = fields.text("gcp-audience").map(str::to_owned);
    let proof = proof(context, runtime, cloud, Hints { audience, ..Hints::default() })?;
    fields.put("cloud-id", Value::from(proof.expose().as_str()));
    Ok(())
}

/// The proof of this machine's identity. What `hints` leave open is looked for in the environment.
pub(crate) fn proof(
    context: &Context<'_, '_>,
    runtime: &Runtime,
    cloud: Cloud,
    mut hints: Hints,
) -> Result<SecretString, Failure> {
    hints.audience = hints.audience.or_else(|| context.env("GCP_AUDIENCE"));
    hints.object = hints.object.or_else(|| context.env_any(&["AZURE_OBJ_ID", "AZURE_OBJECT_ID"]));
    hints.resource = hints.resource.or_else(|| context.env("AZURE_RESOURCE"));
    let asked = question(cloud, &hints, context.env);
    let proof = asked.and_then(|question| runtime.block_on(question.ask(context.clock.now())));
    proof.map_err(|fault| {
        let detail = fault.private().map(|why| format!(" ({why})")).unwrap_or_default();
        Failure::local(format!("{}{detail}", fault.public()))
            .hint("run it on a machine of that cloud which has an identity, or give --cloud-id")
    })
}
