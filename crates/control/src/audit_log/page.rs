//! Page tokens of the audit log: where a search goes on, for the one who began it.
//!
//! A token is sealed under control's token key and names its bearer and the search, so that it is
//! of no use to anybody else. Nothing rests on that: what may be seen is decided for each record.

use keysherd_audit::Filter;
use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::hash::sha256;

use crate::control::Control;
use crate::session::Principal;

/// The prefix of page tokens.
const PREFIX: &str = "ap-";
const VERSION: u8 = 1;

/// What a page token says, but for whom it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageState {
    /// The first record that may be on the page.
    pub(crate) start: u64,
    /// How many records were on the pages before.
    pub(crate) records: u64,
    /// The digest of what was exported before; zero for a search.
    pub(crate) digest: [u8; 32],
}

/// Which search a token belongs to, and whose.
pub(crate) struct PageOf<'a> {
    pub(crate) who: &'a Principal,
    /// What tells different uses of the same filter apart.
    pub(crate) purpose: &'a str,
    pub(crate) filter: &'a Filter,
}

impl PageOf<'_> {
    /// What the token is bound to.
    fn binding(&self) -> [u8; 32] {
        let filter = self.filter.text();
        let method = self.who.method.id.to_be_bytes();
        let parts: [&[u8]; 5] = [
            self.who.account.0.as_bytes(),
            &method,
            self.who.unique_id.as_bytes(),
            self.purpose.as_bytes(),
            filter.as_bytes(),
        ];
        let lengths = parts.map(|part| (part.len() as u64).to_be_bytes());
        let framed: Vec<&[u8]> = lengths
            .iter()
            .zip(parts)
            .flat_map(|(length, part)| [length.as_slice(), part])
            .collect();
        sha256(&framed)
    }

    /// The token of the page that `state` describes.
    pub(crate) fn token(&self, control: &Control, state: &PageState) -> String {
        control.sessions.seal_text(PREFIX, &state.to_bytes(&self.binding()))
    }

    /// What a token says.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for anything but a token of this very search by this very caller.
    pub(crate) fn state(&self, control: &Control, token: &str) -> Result<PageState, Fault> {
        let body = control.sessions.open_text(PREFIX, token);
        let binding = self.binding();
        body.as_deref()
            .and_then(PageState::from_bytes)
            .filter(|(bound, _)| *bound == binding)
            .map(|(_, s)| s)
            .ok_or_else(|| {
                Fault::bad_request(
                    "invalid value of 'pagination-token': give the next_page of the page before, \
                     with the same login and the same search",
                )
            })
    }
}

impl PageState {
    /// The body of a token that is bound to `binding`.
    pub(crate) fn to_bytes(self, binding: &[u8; 32]) -> Vec<u8> {
        let mut body = vec![VERSION];
        body.extend_from_slice(binding);
        body.extend_from_slice(&self.start.to_be_bytes());
        body.extend_from_slice(&self.records.to_be_bytes());
        body.extend_from_slice(&self.digest);
        body
    }

    /// What [`Self::to_bytes`] wrote.
    pub(crate) fn from_bytes(body: &[u8]) -> Option<([u8; 32], Self)> {
        let (&[version], rest) = body.split_first_chunk()?;
        let (binding, rest) = rest.split_first_chunk()?;
        let (start, rest) = rest.split_first_chunk()?;
        let (records, rest) = rest.split_first_chunk()?;
        let state = Self {
            start: u64::from_be_bytes(*start),
            records: u64::from_be_bytes(*records),
            digest: rest.try_into().ok()?,
        };
        (version == VERSION).then_some((*binding, state))
    }
}

/// Checks the times of a search.
///
/// # Errors
/// [`Fault::bad_request`] when it ends before it begins.
pub(crate) fn check_times(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(), Fault> {
    match (from, to) {
        (Some(from), Some(to)) if to <= from => Err(Fault::bad_request(format!(
            "'to' ({to}) is not after 'from' ({from}); swap them or leave one out"
        ))),
        _ => Ok(()),
    }
}
