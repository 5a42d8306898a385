//! What callers say beside the name of a secret. What has no effect is refused: whoever says it
//! expects something else than what they would get.

use keysherd_base::Fault;
use keysherd_wire::bad_setting;

use crate::{Engine, Scene, Wish};

#[cfg(test)]
mod tests;

/// Whether an engine can do what somebody wants besides making credentials.
///
/// # Errors
/// [`Fault::bad_request`] names what it cannot.
pub fn check_wish(engine: &dyn Engine, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<(), Fault> {
    let what = engine.kind().what;
    if given(wish.host).is_some() {
        let why = "it chooses a host of a linked target, on which no credentials are made; the \
                   secret's own target is the only one";
        return Err(bad_setting("host", why));
    }
    if !wish.args.is_empty() && !engine.takes_args() {
        return Err(bad_setting("args", &format!("credentials for {what} are made without any")));
    }
    let Some(wanted) = given(wish.dbname) else { return Ok(()) };
    match engine.database(scene)? {
        None => Err(bad_setting(
            "dbname",
            &format!("credentials for {what} are not made in one of several databases"),
        )),
        Some(own) if own == wanted => Ok(()),
        // Callers do not choose where statements run that somebody wrote for one database.
        Some(_) => Err(bad_setting(
            "dbname",
            "the secret is for another database; make one for this database, with its own \
             statements",
        )),
    }
}

/// Clients send empty texts for what nobody said.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
