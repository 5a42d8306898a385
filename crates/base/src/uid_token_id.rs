//! The public ids of universal-identity tokens: they say where in its tree a token stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{BadId, random_base36};
use crate::rng::{Rng, RngFailed};

/// Characters of a root's id.
const ROOT_CHARS: usize = 12;
/// Characters by which a child's id is longer than its parent's.
const CHILD_CHARS: usize = 4;
/// Most levels of a tree, its root included: the longest id has 808 characters.
pub const UID_TREE_LEVELS_MAX: u32 = 200;

/// The id of a universal-identity token: 12 characters of `[a-z0-9]` for a root, and four more for
/// each level below. It is no secret. Rotation does not change it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UidTokenId(Box<str>);

impl<'de> Deserialize<'de> for UidTokenId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl UidTokenId {
    /// A fresh id for the root of a tree.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn random_root(rng: &dyn Rng) -> Result<Self, RngFailed> {
        Ok(Self(random_base36(rng, ROOT_CHARS)?.into_boxed_str()))
    }

    /// An id for a child; one of about 1.7 million, so it may be taken.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn random_child(&self, rng: &dyn Rng) -> Result<Self, RngFailed> {
        Ok(Self(format!("{}{}", self.0, random_base36(rng, CHILD_CHARS)?).into_boxed_str()))
    }

    /// Parses an id.
    ///
    /// # Errors
    /// [`BadId`] unless it is 12 characters of `[a-z0-9]` and four more for each level below the
    /// root, of which there are at most [`UID_TREE_LEVELS_MAX`].
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let bad = BadId("universal-identity token id");
        let below = text.len().checked_sub(ROOT_CHARS).ok_or(bad)?;
        let levels = below / CHILD_CHARS + 1;
        let well_formed = below.is_multiple_of(CHILD_CHARS)
            && u32::try_from(levels).is_ok_and(|levels| levels <= UID_TREE_LEVELS_MAX)
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if well_formed { Ok(Self(text.into())) } else { Err(bad) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The level in the tree: 1 for a root, 2 for its children.
    pub fn depth(&self) -> u32 {
        let levels = (self.0.len() - ROOT_CHARS) / CHILD_CHARS + 1;
        u32::try_from(levels).unwrap_or(u32::MAX)
    }

    /// The token above; `None` for a root.
    pub fn parent(&self) -> Option<Self> {
        let end = self.0.len().checked_sub(CHILD_CHARS).filter(|end| *end >= ROOT_CHARS)?;
        self.0.get(..end).map(|parent| Self(parent.into()))
    }

    /// Whether `other` is this token or stands below it.
    pub fn has_in_branch(&self, other: &Self) -> bool {
        // All steps have the same length, so a longer id with this beginning is below this one.
        other.0.starts_with(&*self.0)
    }
}

impl fmt::Display for UidTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_the_place_in_the_tree() {
        let root = UidTokenId::parse("ywzsub3u4tbu").unwrap();
        let child = UidTokenId::parse("ywzsub3u4tbunvco").unwrap();
        let other = UidTokenId::parse("ywzsub3u4tbuaaaa").unwrap();
        assert_eq!((root.depth(), child.depth()), (1, 2));
        assert_eq!((root.parent(), child.parent()), (None, Some(root.clone())));
        assert!(root.has_in_branch(&root) && root.has_in_branch(&child));
        assert!(!child.has_in_branch(&root) && !child.has_in_branch(&other));
    }

    #[test]
    fn refuses_what_is_no_id() {
        let deepest = "a".repeat(12 + 4 * 199);
        assert_eq!(UidTokenId::parse(&deepest).unwrap().depth(), 200);
        let too_deep = format!("{deepest}aaaa");
        for bad in ["", "ywzsub3u4tb", "ywzsub3u4tbun", "YWZSUB3U4TBU", "ywzsub3u4tb/", &too_deep] {
            assert!(UidTokenId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
