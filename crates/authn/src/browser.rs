//! What a member adds whose bearers sign in with a browser.
//!
//! The gateway keeps the login while the browser is away: it makes the secrets that bind the trip
//! to this login and this browser, and checks them when the browser comes back. The member says
//! where the browser goes and what evidence comes back with it; [`Method::verify`](crate::Method)
//! then checks that like any other.

use std::fmt;

use keysherd_base::{AccessId, Fault, Timestamp};
use keysherd_wire::{Args, PageMethod, PageRequest};

use crate::{BoxFuture, World};

/// Where a provider sends browsers back to.
#[derive(Debug)]
pub struct Callback {
    /// Path below the gateway's public URL, without the slash in front, such as `login/callback`.
    pub path: &'static str,
    /// How the browser comes: a form that another site posts needs a cookie that is sent across
    /// sites, so this decides which cookie the browser gets.
    pub method: PageMethod,
    /// The field that brings back [`Departure::state`].
    pub state: &'static str,
}

/// A browser that is about to leave, as the control half sees it.
#[derive(Clone, Copy)]
pub struct Departure<'a> {
    /// The method's settings.
    pub settings: &'a str,
    /// The method's public name.
    pub access_id: &'a AccessId,
    /// The URL of the callback, at the gateway.
    pub callback: &'a str,
    /// Comes back unchanged in the field [`Callback::state`]: 65 characters of `[0-9a-f.]`.
    pub state: &'a str,
    /// What the provider's statement must contain: 32 characters of `[0-9a-f]`.
    pub nonce: &'a str,
    /// SHA-256 of [`Trip::verifier`] in unpadded base64url (PKCE, RFC 7636 section 4.2).
    pub challenge: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// What the gateway knows of the trip a browser came back from. State and browser are checked.
#[derive(Clone, Copy)]
pub struct Trip<'a> {
    /// The method's public name.
    pub access_id: &'a AccessId,
    /// The URL of the callback.
    pub callback: &'a str,
    /// As at the departure.
    pub nonce: &'a str,
    /// What only this gateway knows until now (PKCE): 43 characters.
    pub verifier: &'a str,
}

impl fmt::Debug for Trip<'_> {
    // By hand, because the verifier is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trip").field("access_id", self.access_id).finish_non_exhaustive()
    }
}

/// A member's way through the browser.
pub trait Browser: Send + Sync {
    /// Where browsers come back to. One path for each member.
    fn callback(&self) -> &'static Callback;

    /// Gateway half: whether the arguments of `auth` ask for a browser; else they hold a
    /// credential of their own for [`Method::prove`](crate::Method::prove).
    ///
    /// # Errors
    /// [`Fault::bad_request`] for an argument of the wrong type.
    fn wanted(&self, given: &Args) -> Result<bool, Fault>;

    /// Control half: the URL where the browser signs in.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when the provider has to be asked and does not answer.
    fn depart<'a>(
        &'a self,
        departure: Departure<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<String, Fault>>;

    /// Gateway half: evidence from what the browser brought.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when the provider refused or something is missing. The public text
    /// is shown to the person; it must not repeat what was brought.
    fn evidence(&self, brought: &PageRequest, trip: Trip<'_>) -> Result<String, Fault>;
}
