//! Paths of items, folders, roles and auth methods.
//!
//! One normal form: a leading slash, no empty, `.` or `..` segment, no control character. Two
//! spellings of one path would be two ways to be authorized, so everything else is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{PATH_BYTES_MAX, PATH_DEPTH_MAX, SEGMENT_BYTES_MAX};

/// Why a path was refused; the text names the rule and how to meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadPath {
    /// Nothing but slashes.
    Empty,
    /// Over [`PATH_BYTES_MAX`].
    TooLong(usize),
    /// A segment over [`SEGMENT_BYTES_MAX`].
    SegmentTooLong(usize),
    /// Over [`PATH_DEPTH_MAX`].
    TooDeep(usize),
    /// `//`, or a trailing slash where an object is named.
    EmptySegment,
    /// A `.` or `..` segment.
    DotSegment,
    /// A control character.
    Control,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("invalid name: it is empty; give a path such as /team/db"),
            Self::TooLong(n) => {
                write!(f, "invalid name: {n} bytes long; at most {PATH_BYTES_MAX} are allowed")
            }
            Self::SegmentTooLong(n) => write!(
                f,
                "invalid name: a segment is {n} bytes long; at most {SEGMENT_BYTES_MAX} are allowed"
            ),
            Self::TooDeep(n) => {
                write!(f, "invalid name: {n} segments; at most {PATH_DEPTH_MAX} are allowed")
            }
            Self::EmptySegment => {
                f.write_str("invalid name: an empty segment (two slashes, or a slash at the end)")
            }
            Self::DotSegment => f.write_str("invalid name: a '.' or '..' segment is not allowed"),
            Self::Control => f.write_str("invalid name: it contains a control character"),
        }
    }
}

impl std::error::Error for BadPath {}

/// The full path of an object, such as `/team/db/password`. Never `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ItemPath(Box<str>);

impl ItemPath {
    /// Parses a name with or without its leading slash.
    ///
    /// # Errors
    /// [`BadPath`] says which rule the name breaks.
    pub fn parse(name: &str) -> Result<Self, BadPath> {
        let body = name.strip_prefix('/').unwrap_or(name);
        check_segments(body)?;
        Ok(Self(format!("/{body}").into_boxed_str()))
    }

    /// The path with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash, as roles and auth methods are shown.
    pub fn bare(&self) -> &str {
        &self.0[1..]
    }

    /// The last segment.
    pub fn leaf(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder the object lies in.
    pub fn parent(&self) -> FolderPath {
        let end = self.0.rfind('/').unwrap_or(0);
        FolderPath(self.0[..=end].into())
    }

    /// The folder that has this very path.
    pub fn as_folder(&self) -> FolderPath {
        FolderPath(format!("{}/", self.0).into_boxed_str())
    }

    /// Whether the object lies directly at `/`.
    pub fn is_at_root(&self) -> bool {
        !self.0[1..].contains('/')
    }
}

/// The path of a folder with leading and trailing slash, such as `/team/db/`, or `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FolderPath(Box<str>);

impl FolderPath {
    /// Parses a folder with or without its slashes; `""` and `/` are the root.
    ///
    /// # Errors
    /// [`BadPath`] says which rule the name breaks.
    pub fn parse(name: &str) -> Result<Self, BadPath> {
        if matches!(name, "" | "/") {
            return Ok(Self("/".into()));
        }
        let body = name.strip_prefix('/').unwrap_or(name);
        let body = body.strip_suffix('/').unwrap_or(body);
        if body.is_empty() {
            return Err(BadPath::EmptySegment);
        }
        check_segments(body)?;
        Ok(Self(format!("/{body}/").into_boxed_str()))
    }

    /// The path with both slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The path as an object name (no trailing slash); `None` for the root.
    pub fn as_item(&self) -> Option<ItemPath> {
        (!self.is_root()).then(|| ItemPath(self.0[..self.0.len() - 1].into()))
    }

    /// Whether `path` lies in this folder or below it.
    pub fn contains(&self, path: &ItemPath) -> bool {
        path.0.starts_with(&*self.0)
    }
}

fn check_segments(body: &str) -> Result<(), BadPath> {
    if body.is_empty() {
        return Err(BadPath::Empty);
    }
    if body.len() >= PATH_BYTES_MAX {
        return Err(BadPath::TooLong(body.len() + 1));
    }
    let mut depth = 0;
    for segment in body.split('/') {
        depth += 1;
        match segment {
            "" => return Err(BadPath::EmptySegment),
            "." | ".." => return Err(BadPath::DotSegment),
            _ if segment.len() > SEGMENT_BYTES_MAX => {
                return Err(BadPath::SegmentTooLong(segment.len()));
            }
            _ if segment.chars().any(char::is_control) => return Err(BadPath::Control),
            _ => {}
        }
    }
    if depth > PATH_DEPTH_MAX {
        return Err(BadPath::TooDeep(depth));
    }
    Ok(())
}

// Deserialization goes through the parser, so a stored or received path is never unchecked.
impl<'de> Deserialize<'de> for ItemPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for FolderPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ItemPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FolderPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_path() {
        assert_eq!(ItemPath::parse("a/b"), ItemPath::parse("/a/b"));
        assert_eq!(FolderPath::parse("a/b"), FolderPath::parse("/a/b/"));
        assert!(FolderPath::parse("").unwrap().is_root());
        assert!(FolderPath::parse("/").unwrap().is_root());
        assert_eq!(FolderPath::parse("//"), Err(BadPath::EmptySegment));
        assert_eq!(FolderPath::parse("///"), Err(BadPath::EmptySegment));
    }

    #[test]
    fn refuses_every_second_spelling() {
        for bad in ["", "/", "//a", "a//b", "a/", "../a", "a/./b", "a/..", "a\n", "a/\u{7f}b"] {
            assert!(ItemPath::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(ItemPath::parse(&"a".repeat(4096)).is_err());
        assert!(ItemPath::parse("a/".repeat(80).trim_end_matches('/')).is_err());
        assert!(ItemPath::parse(&"s".repeat(257)).is_err());
    }

    #[test]
    fn parent_leaf_and_containment() {
        let path = ItemPath::parse("/a/b/c").unwrap();
        assert_eq!(path.parent().as_str(), "/a/b/");
        assert_eq!(path.leaf(), "c");
        assert!(FolderPath::parse("/a").unwrap().contains(&path));
        assert!(!FolderPath::parse("/a/b/c").unwrap().contains(&path));
        assert!(ItemPath::parse("x").unwrap().is_at_root());
        assert_eq!(ItemPath::parse("x").unwrap().parent().as_str(), "/");
    }
}
