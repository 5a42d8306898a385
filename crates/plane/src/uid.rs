//! Universal identity: tokens that live by being rotated. The token that a message is about is the
//! caller's own ([`crate::Caller::token`]) unless the message names another one.

use keysherd_base::{ItemPath, Timestamp, UidTokenId};
use serde::{Deserialize, Serialize};

/// Exchanges the caller's universal-identity token for a bearer token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UidLogin;

/// Makes the root of a method's tree; the tree that was there is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UidGenerate {
    /// The method's path.
    pub method: ItemPath,
}

/// Gives the caller's token a new value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UidRotate {
    /// The old value stays in force until the new one is acknowledged by [`UidAcknowledge`].
    pub manual: bool,
}

/// Puts the new value of a rotation in force. The caller's token is the old value.
#[derive(Clone, Serialize, Deserialize)]
pub struct UidAcknowledge {
    /// The new value.
    pub new: String,
}

/// Makes a child of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UidChild {
    /// The parent, for administrators; `None`: the caller's own token.
    pub parent: Option<(ItemPath, UidTokenId)>,
    /// Its life between two rotations in minutes; `None`: that of the method.
    pub ttl_minutes: Option<u32>,
    /// It cannot be rotated.
    pub deny_rotate: bool,
    /// It cannot have children.
    pub deny_inheritance: bool,
    /// Free text.
    pub comment: String,
}

/// A token to revoke.
#[derive(Clone, Serialize, Deserialize)]
pub enum UidNamed {
    /// By its public id, in the tree of the named method or of the caller.
    Id(UidTokenId),
    /// By one of its values.
    Value(String),
}

/// Revokes a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UidRevoke {
    /// The method of its tree; `None`: that of the caller or of the value.
    pub method: Option<ItemPath>,
    /// Which one.
    pub token: UidNamed,
    /// And everything below it.
    pub branch: bool,
}

/// Lists a tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UidList {
    /// The method of the tree; `None`: the caller's own token and what is below it.
    pub method: Option<ItemPath>,
}

/// A value of a token.
#[derive(Clone, Serialize, Deserialize)]
pub struct UidTokenReply {
    /// The value, `u-...`.
    pub token: String,
}

/// A token as listings show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidTokenView {
    /// Its public id.
    pub token_id: UidTokenId,
    /// Free text.
    pub comment: String,
    /// Its life between two rotations, in minutes.
    pub ttl_minutes: u32,
    /// When it was rotated last, or made.
    pub last_rotate: Timestamp,
    /// When it ends unless it is rotated.
    pub expires: Timestamp,
    /// It cannot be rotated.
    pub deny_rotate: bool,
    /// It cannot have children.
    pub deny_inheritance: bool,
    /// It was revoked.
    pub revoked: bool,
}

/// A tree, or a branch of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UidListReply {
    /// The tokens, each after the one above it.
    pub tokens: Vec<UidTokenView>,
}
