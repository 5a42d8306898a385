//! Targets: systems that dynamic secrets make users on. A target is an item in a place of its own.
//!
//! A target that people call `/db/prod` is stored as the item `/.targets/db/prod`. Nothing else
//! lies there, so that no item and no target ever have one path, and whose right counts follows
//! from the path alone: below the place rules for targets decide, about the path that people see.

use keysherd_base::{BadPath, ItemPath};
use serde::{Deserialize, Serialize};

/// The folder that targets are stored in.
pub const PLACE: &str = "/.targets/";

/// What is known of a target without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// The member of the family that it is, such as `db`.
    pub kind: String,
    /// The V2 `target_type`, such as `postgres`.
    pub type_name: String,
}

/// Whether targets, and nothing but targets, have this path; or the folder itself.
pub fn is_stored_path(path: &str) -> bool {
    path.starts_with(PLACE) || PLACE.strip_suffix('/') == Some(path)
}

/// The path that people know of what is stored at `path`, an object or a folder; `None` where it
/// is no target's.
pub fn shown(path: &str) -> Option<&str> {
    let slash = PLACE.len() - 1;
    path.starts_with(PLACE).then(|| path.get(slash..)).flatten()
}

/// Where the target that people call `shown` is stored.
///
/// # Errors
/// [`BadPath`] for one that is too long or too deep by then.
pub fn stored_path(shown: &ItemPath) -> Result<ItemPath, BadPath> {
    ItemPath::parse(&format!("{PLACE}{}", shown.bare()))
}

/// What people call the target stored at `stored`; `None` where that is no target's place.
pub fn shown_path(stored: &ItemPath) -> Option<ItemPath> {
    shown(stored.as_str()).and_then(|shown| ItemPath::parse(shown).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ItemPath {
        ItemPath::parse(text).unwrap()
    }

    #[test]
    fn a_target_has_two_paths_and_an_item_one() {
        let stored = stored_path(&path("db/prod")).unwrap();
        assert_eq!(stored.as_str(), "/.targets/db/prod");
        assert_eq!(shown_path(&stored), Some(path("/db/prod")));
        assert!(is_stored_path(stored.as_str()));
        for item in ["/db/prod", "/.targetsx/a", "/a/.targets/b", "/.target", "/.Targets/a"] {
            assert!(!is_stored_path(item), "{item}");
            assert_eq!(shown(item), None, "{item}");
        }
        // A target may be called so, too: it is not the place.
        let odd = stored_path(&path("/.targets/x")).unwrap();
        assert_eq!(shown(odd.as_str()), Some("/.targets/x"));
    }

    #[test]
    fn the_place_itself_is_nobodys() {
        assert!(is_stored_path("/.targets") && is_stored_path("/.targets/"));
        assert_eq!(shown("/.targets"), None);
        assert_eq!(shown("/.targets/"), Some("/"));
        assert_eq!(shown("/.targets/db/"), Some("/db/"));
    }

    #[test]
    fn what_gets_too_long_is_refused() {
        let long = path(&["a"; 64].join("/"));
        assert!(matches!(stored_path(&long), Err(BadPath::TooDeep(65))));
    }
}
