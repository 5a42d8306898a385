//! Signing in with a browser: the control half of departures, and the record of failed returns.
//!
//! Nothing of a departure is kept here. What comes back is evidence like any other.

use keysherd_authn::{Browser, Departure};
use keysherd_base::Fault;
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_plane::browser::{BrowserDepart, BrowserDepartReply, BrowserRefused};
use keysherd_plane::{Caller, Done};
use keysherd_store::auth_methods;

use crate::control::Control;
use crate::present::{admitted, not_good, refused};

/// Longest URL of a callback, and longest text of any other part, in bytes.
const PART_BYTES_MAX: usize = 2_048;
/// Longest reason in a record, in bytes.
const WHY_BYTES_MAX: usize = 256;

/// Where a browser has to go.
///
/// # Errors
/// [`Fault::unauthorized`], the same for every method that is not there for it;
/// [`Fault::unavailable`] when its provider does not answer.
pub(crate) async fn depart(
    control: &Control,
    caller: &Caller,
    message: BrowserDepart,
) -> Result<BrowserDepartReply, Fault> {
    let attempt = admitted(control, caller, &message.access_id, control.now()).await?;
    let method =
        control.store.read(|reader| auth_methods::by_access_id(reader, &message.access_id))?;
    let departed = match &method {
        Some(method) => url(control, method, &message).await,
        None => Err(not_good()),
    };
    match departed {
        Ok(url) => Ok(BrowserDepartReply { url }),
        Err(fault) => Err(refused(control, caller, attempt, method.as_ref(), fault).await),
    }
}

async fn url(
    control: &Control,
    method: &AuthMethod,
    message: &BrowserDepart,
) -> Result<String, Fault> {
    let BrowserDepart { callback, state, nonce, challenge, .. } = message;
    if [callback, state, nonce, challenge].iter().any(|part| part.len() > PART_BYTES_MAX) {
        return Err(Fault::bad_request("a part of the departure is too long"));
    }
    let (settings, browser) = browser_of(method, &message.kind)?;
    let departure = Departure {
        settings,
        access_id: &method.access_id,
        callback,
        state,
        nonce,
        challenge,
        now: control.now(),
    };
    browser.depart(departure, &control.world).await
}

fn browser_of<'m>(
    method: &'m AuthMethod,
    kind: &str,
) -> Result<(&'m str, &'static dyn Browser), Fault> {
    match &method.detail {
        MethodDetail::Member { kind: own, settings } if own == kind => keysherd_authn::by_kind(own)
            .and_then(|member| member.browser())
            .map(|browser| (settings.as_str(), browser))
            .ok_or_else(|| not_good().with_private("the kind has no way through a browser")),
        _ => Err(not_good().with_private("the method takes another kind of credential")),
    }
}

/// Records that a gateway let a browser not in.
///
/// # Errors
/// Always [`Fault::unauthorized`], with what the record says.
pub(crate) async fn turned_away(
    control: &Control,
    caller: &Caller,
    message: BrowserRefused,
) -> Result<Done, Fault> {
    let BrowserRefused { access_id, mut why } = message;
    why.retain(|c| c.is_ascii_graphic() || c == ' ');
    why.truncate(WHY_BYTES_MAX);
    let attempt = admitted(control, caller, &access_id, control.now()).await?;
    let method = control.store.read(|reader| auth_methods::by_access_id(reader, &access_id))?;
    Err(refused(control, caller, attempt, method.as_ref(), Fault::unauthorized(why)).await)
}
