//! Passwords of people. Somebody may have to show more than a password, so one that is right and
//! does not do alone counts as taken.

use keysherd_base::Fault;
use keysherd_targets::Lender as _;
use keysherd_targets::azure::azure;
use keysherd_wire::bad_setting;
use serde_json::json;

use super::{Graph, USERNAME};
use crate::member::not_reached;
use crate::rotator::database::taken;
use crate::rotator::{Actor, Credential, Stage};

/// Refuses what cannot be the principal name of somebody.
pub(super) fn need_name(name: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"@.-_#'!^~".contains(&b);
    let fits = name.contains('@') && name.len() <= 320 && name.bytes().all(plain);
    let bad = || bad_setting(USERNAME, "it must be a principal name, such as ann@acme.example");
    fits.then(|| name.to_owned()).ok_or_else(bad)
}

pub(super) async fn is_taken(stage: &Stage<'_>, person: &Credential) -> Result<bool, Fault> {
    let by = azure(stage.target.settings, Some(stage.way))?;
    // What the target signs in with says nothing of the person.
    let own = |fault: Fault| Fault::new(fault.kind(), format!("of the target, {}", fault.public()));
    by.lend(stage.way).await.map_err(own)?;
    taken(by.lend_to(person.username()?, &person.password()?, stage.way).await)
}

pub(super) async fn set(
    stage: &Stage<'_>,
    old: &Credential,
    new: &Credential,
) -> Result<(), Fault> {
    let by = azure(stage.target.settings, Some(stage.way))?;
    let (before, after) = (old.password()?, new.password()?);
    let user = new.username()?;
    let (lent, path, body): (_, &[&str], _) = match stage.actor {
        Actor::Owner => {
            let lent = by.lend_to(user, &before, stage.way).await;
            let body = json!({"currentPassword": before.expose(), "newPassword": after.expose()});
            (lent, &["v1.0", "me", "changePassword"], body)
        }
        Actor::Target => {
            let profile = json!({
                "forceChangePasswordNextSignIn": false,
                "password": after.expose(),
            });
            (
                by.lend(stage.way).await,
                &["v1.0", "users", user],
                json!({"passwordProfile": profile}),
            )
        }
    };
    let graph = Graph { stage, azure: by, lent: lent.map_err(not_reached)? };
    let method = if stage.actor == Actor::Owner { "POST" } else { "PATCH" };
    let reply = graph.ask(method, path, body).await?;
    let secrets = [before.expose().as_str(), after.expose(), graph.lent.token.expose()];
    reply.done("changing the password", &secrets).map(drop)
}
