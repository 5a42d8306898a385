//! Trying a dynamic secret out that is made or changed: credentials are made and removed again.

use keysherd_base::{Fault, ItemId, ItemPath};
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::{DeleteVersions, ItemDelete};

use super::produce::{Asked, Asker, Ending, make, make_with};
use super::sealed::OpenedSecret;
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

/// Tries a secret out as it will be, before it is changed. It has the target `on` until then.
///
/// What is made is in a lease that is removed with the settings in force: whoever ends in between
/// leaves nothing behind but where the change leads to another server.
///
/// # Errors
/// What the target refused; nothing was changed then.
pub(crate) async fn trial_of_change(
    ctx: &Ctx,
    changed: &OpenedSecret,
    on: Option<ItemId>,
    asker: &Asker,
) -> Result<Vec<String>, Fault> {
    let asked = Asked::default();
    let made = make_with(ctx, (changed, on), asker, (&asked, Ending::AtOnce)).await;
    made.map(|produced| produced.warnings).map_err(|fault| {
        let text = format!(
            "{} was not changed, as trying out what it would be failed: {}; correct it, or leave \
             the trial out with --skip-dry-run",
            changed.path(),
            fault.public()
        );
        Fault::new(fault.kind(), text).with_private(fault)
    })
}
