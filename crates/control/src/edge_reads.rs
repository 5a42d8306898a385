//! Reads that gateways answer by themselves for a moment: what a decision may be kept on, how
//! gateways hear that it ended, and how what they answered gets into the audit log.
//!
//! Nothing here makes a decision. What may be kept was decided, and recorded, as every other read.

pub(crate) mod changes;
pub(crate) mod journal;
mod keep;
mod receipt;

#[cfg(test)]
mod tests;

use keysherd_base::{AccountId, ItemPath, Secret, Uid};
use keysherd_crypto::hash::HmacKey;
use keysherd_plane::cache::Tie;
use keysherd_store::changes::{Change, Touched};

/// What a decision hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// Who is who in the account and what they may do: methods, roles, associations, settings.
    Identities,
    /// Every item of the account.
    Items,
    /// The item at a path, if there is one.
    Item(&'a ItemPath),
    /// A token.
    Token(Uid),
}

/// Makes ties, under a key that is drawn for this process and never leaves it: whoever sees ties
/// learns from them that something ended, and cannot try names.
pub(crate) struct Ties(HmacKey);

impl Ties {
    /// Under this key.
    pub(crate) fn new(key: &Secret<[u8; 32]>) -> Self {
        Self(HmacKey::new(key.expose()))
    }

    /// The tie that stands for `what`.
    pub(crate) fn tie(&self, account: AccountId, what: What<'_>) -> Tie {
        let (kind, thing): (u8, &[u8]) = match &what {
            What::Identities => (1, &[]),
            What::Items => (2, &[]),
            What::Item(path) => (3, path.as_str().as_bytes()),
            What::Token(id) => (4, id.as_bytes()),
        };
        let tag = self.0.tag(&[account.0.as_bytes(), &[kind], thing]);
        let mut tie = Tie::default();
        tie.copy_from_slice(&tag[..16]);
        tie
    }

    /// The tie that a change ends, if it ends one.
    pub(crate) fn ended_by(&self, change: &Change) -> Option<Tie> {
        let what = match &change.what {
            Touched::Identities => What::Identities,
            Touched::Items => What::Items,
            Touched::Item { path, .. } => What::Item(path),
            Touched::Token { token, .. } => What::Token(*token),
            // No read hangs on logins, and those by universal-identity tokens are not kept.
            Touched::Logins { .. } | Touched::UidTokens { .. } => return None,
        };
        Some(self.tie(change.account, what))
    }
}
