//! Signing in with a browser, for every member of the family that does.
//!
//! 1. A program calls `auth`. The gateway makes a [`Login`](logins::Login) with fresh secrets,
//!    asks control where the browser has to go, and answers a link and a provisional token.
//! 2. A person opens the link, compares the short code with the one their program shows, and
//!    agrees. That binds the login to this browser, by a cookie.
//! 3. The browser signs in at the provider and comes back. Only the browser that left, once, with
//!    the state it left with, is let in; what it brought is evidence like any other.
//! 4. The program, which waits in `complete-auth`, gets the real token, once.
//!
//! All of it is in the memory of one gateway, bounded, for ten minutes. A program waits at the
//! gateway that it began at, and so does the browser: its public URL must lead to this gateway.

mod document;
mod logins;
mod pages;
mod trip;

pub use logins::BrowserLogins;
pub(crate) use logins::{Begun, Waited};
pub use pages::pages;
pub(crate) use trip::begin;
