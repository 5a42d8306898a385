//! A login that a browser finishes: shows the link and the code, opens a browser, waits.

use std::process::{Command, Stdio};

use keysherd_base::SecretString;
use keysherd_client::Response;
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

const COMPLETE: &str = "complete-auth";
/// Seconds that one call waits; well within the time a call may take.
const WAIT_SECONDS: u64 = 15;
/// The short code's place in the provisional token.
const CODE: std::ops::Range<usize> = 2..10;

/// Waits until the login that `token` stands for is over. The server ends it after ten minutes.
pub(crate) fn complete(
    session: &Session,
    context: &mut Context<'_, '_>,
    link: &str,
    token: &SecretString,
) -> Result<Response, Failure> {
    let bad = || Failure::new(Exit::ServerError, "the server sent a login that cannot be shown");
    let code = token.expose().get(CODE).ok_or_else(bad)?;
    let (left, right) = code.split_at_checked(4).ok_or_else(bad)?;
    let opened = opens(context) && open(link);
    let ask = if opened { "A browser was opened" } else { "Open this link in a browser" };
    context.terminal.note(&format!(
        "{ask} to sign in:\n  {link}\nAgree there only if it shows the code {left}-{right}. \
         Waiting for it ..."
    ));
    loop {
        let body = json!({ "login-token": token.expose(), "wait": WAIT_SECONDS });
        let response = session.call(context, COMPLETE, body)?;
        let answer: Value = serde_json::from_slice(response.body.expose()).map_err(|_| bad())?;
        let complete = answer.get("complete").and_then(Value::as_bool) == Some(true);
        keysherd_wire::wipe(answer);
        if complete {
            return Ok(response);
        }
    }
}

/// Whether there is a desktop to open a browser on, and nobody said not to.
fn opens(context: &Context<'_, '_>) -> bool {
    let is_set = |name: &str| (context.env)(name).is_some_and(|value| !value.is_empty());
    !context.globals.no_browser && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

/// Lets the desktop open `link`. A link of another kind could start any program.
fn open(link: &str) -> bool {
    let mut desktop = Command::new("xdg-open");
    desktop.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    link.starts_with("https://") && desktop.spawn().is_ok()
}
