//! Paths of items and folders: one spelling each.

use keysherd_base::limits::{PATH_BYTES_MAX, PATH_DEPTH_MAX, SEGMENT_BYTES_MAX};
use keysherd_base::{FolderPath, ItemPath};

/// Reads the bytes as the name of an item and as that of a folder.
///
/// What is accepted has the normal form, in which it reads back as itself, and was written in it
/// but for the outer slashes.
pub fn paths(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = ItemPath::parse(text) {
        check_item(text, &path);
    }
    if let Ok(folder) = FolderPath::parse(text) {
        check_folder(text, &folder);
    }
}

fn check_item(written: &str, path: &ItemPath) {
    let normal = path.as_str();
    assert_eq!(normal.strip_prefix('/'), Some(path.bare()));
    assert!(written == normal || written == path.bare(), "{written:?} became {normal:?}");
    check_segments(path.bare());
    assert!(normal.len() <= PATH_BYTES_MAX);
    assert_eq!(ItemPath::parse(normal).as_ref(), Ok(path));
    assert_eq!(ItemPath::parse(path.bare()).as_ref(), Ok(path));
    assert_eq!(format!("{}{}", path.parent(), path.leaf()), normal);
    assert!(path.parent().contains(path));
    assert_eq!(path.parent().is_root(), path.is_at_root());
    assert!(!path.as_folder().contains(path), "an object does not lie in itself");
    assert_eq!(path.as_folder().as_item().as_ref(), Some(path));
    let json = serde_json::to_string(path).expect("invariant: a text is JSON");
    assert_eq!(serde_json::from_str::<ItemPath>(&json).ok().as_ref(), Some(path));
}

fn check_folder(written: &str, folder: &FolderPath) {
    let normal = folder.as_str();
    assert_eq!(FolderPath::parse(normal).as_ref(), Ok(folder));
    let bare = normal.trim_matches('/');
    let spellings = [bare.to_owned(), format!("/{bare}"), format!("{bare}/"), format!("/{bare}/")];
    assert!(spellings.iter().any(|known| known == written), "{written:?} became {normal:?}");
    match folder.as_item() {
        None => assert!(folder.is_root() && normal == "/" && matches!(written, "" | "/")),
        Some(item) => {
            check_segments(bare);
            assert_eq!(item.as_folder(), *folder);
            assert!(!folder.contains(&item));
        }
    }
}

fn check_segments(bare: &str) {
    let segments: Vec<&str> = bare.split('/').collect();
    assert!(segments.len() <= PATH_DEPTH_MAX);
    for segment in segments {
        assert!(!matches!(segment, "" | "." | ".."), "{segment:?} in {bare:?}");
        assert!(segment.len() <= SEGMENT_BYTES_MAX);
        assert!(!segment.chars().any(char::is_control), "{segment:?}");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let long = "s".repeat(SEGMENT_BYTES_MAX);
    let deep = "d/".repeat(PATH_DEPTH_MAX);
    ["", "/", "/team/db/password", "team/db/", "/a/./b", "/a/../b", "//a", "a//b", "/a\u{7f}b"]
        .into_iter()
        .chain([long.as_str(), deep.as_str(), deep.trim_end_matches('/'), "/ä/漢字/\u{202e}x"])
        .map(|text| text.as_bytes().to_vec())
        .collect()
}
