//! Trying a new dynamic secret out: credentials are made and removed again.

use keysherd_base::{Fault, ItemPath};
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::{DeleteVersions, ItemDelete};

use super::produce::{Asked, Ending, make};
use crate::ctx::Ctx;

/// Tries a secret out that was just made. One that cannot make credentials does not stay.
///
/// # Errors
/// What the target refused.
pub(crate) async fn trial(ctx: &Ctx, path: &ItemPath) -> Result<Vec<String>, Fault> {
    let item = ItemRef::Path(path.clone());
    let fault = match make(ctx, item, &Asked::default(), Ending::AtOnce).await {
        Ok(produced) => return Ok(produced.warnings),
        Err(fault) => fault,
    };
    let delete = ItemDelete {
        path: path.clone(),
        versions: DeleteVersions::All,
        in_days: 0,
        immediately: false,
        force: false,
    };
    match ctx.services().plane.ask(ctx.caller().clone(), delete).await {
        Ok(_) => Err(fault),
        Err(stays) => {
            let text = format!(
                "{path} was made, but it cannot make credentials: {}; change or delete it",
                fault.public()
            );
            Err(Fault::new(fault.kind(), text).with_private(stays))
        }
    }
}
