//! The parts of a record that searches and statistics look at, read without copying.
//!
//! Reading one is a few times cheaper than [`Record::parse`], which checks the encoding too. What
//! is shown to somebody is parsed strictly; this is for finding it.
//!
//! [`Record::parse`]: crate::Record::parse

use std::borrow::Cow;

use keysherd_base::Timestamp;
use serde::Deserialize;

use crate::action;
use crate::record::{BadRecord, bad};

/// Parameters that name an item.
const ITEM_PARAMS: &[&str] = &["item_name", "new_name", "protection_key"];
/// The parameter that names a folder.
const FOLDER_PARAM: &str = "folder_name";

/// What a record says, in short.
#[derive(Debug, Deserialize)]
pub struct Brief<'a> {
    seq_num: u64,
    timestamp: i64,
    status: u16,
    duration_us: u64,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    product: Cow<'a, str>,
    #[serde(borrow, default)]
    access_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    access_type: Cow<'a, str>,
    #[serde(borrow, default)]
    unique_id: Cow<'a, str>,
    #[serde(borrow)]
    request_parameters: Vec<(Text<'a>, Option<Text<'a>>)>,
}

/// A text that borrows where it can, inside of other types too.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Something in the tree of items that a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// An item, by its path.
    Item(&'a str),
    /// A folder and what is below it, by its path with a slash at the end.
    Folder(&'a str),
}

impl<'a> Brief<'a> {
    /// Reads the encoding of a record.
    ///
    /// # Errors
    /// [`BadRecord`] when it is none. Not every alteration of a record is noticed here.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BadRecord> {
        serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))
    }

    /// Its number in the account's chain.
    pub const fn seq(&self) -> u64 {
        self.seq_num
    }

    /// When it was recorded.
    pub const fn time(&self) -> Timestamp {
        Timestamp(self.timestamp)
    }

    /// The outcome as an HTTP status; 200 for every success.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the request succeeded.
    pub const fn succeeded(&self) -> bool {
        self.status == 200
    }

    /// How long the request took, in microseconds.
    pub const fn duration_us(&self) -> u64 {
        self.duration_us
    }

    /// The action.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The product.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The auth method's access id; empty: unknown.
    pub fn access_id(&self) -> &str {
        self.access_id.as_ref().map_or("", |text| &*text.0)
    }

    /// The kind of the auth method; empty: unknown.
    pub fn access_type(&self) -> &str {
        &self.access_type
    }

    /// Who the bearer was within the method; empty: unknown.
    pub fn unique_id(&self) -> &str {
        &self.unique_id
    }

    /// The value of the first parameter with this name that was not redacted.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The items and folders that the record names.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let folders: &[&str] = match self.action() {
            action::MOVE_OBJECTS if self.param("objects-type") == Some("item") => {
                &["source", "target"]
            }
            action::LIST_ITEMS | action::DELETE_ITEMS => &["path"],
            _ => &[],
        };
        self.params().filter_map(move |(name, value)| {
            if !value.starts_with('/') {
                return None;
            }
            if ITEM_PARAMS.contains(&name) {
                return Some(Place::Item(value));
            }
            (name == FOLDER_PARAM || folders.contains(&name)).then_some(Place::Folder(value))
        })
    }

    fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.request_parameters
            .iter()
            .filter_map(|(name, value)| Some((&*name.0, &*value.as_ref()?.0)))
    }
}

impl<'a> Place<'a> {
    /// Its path.
    pub const fn path(self) -> &'a str {
        match self {
            Self::Item(path) | Self::Folder(path) => path,
        }
    }

    /// The folders it lies in, outermost first and without the root, each with a slash at the end.
    /// A folder lies in itself.
    pub fn folders(self) -> impl Iterator<Item = &'a str> {
        let path = self.path();
        let slashes = path.match_indices('/').map(|(at, _)| at).skip(1);
        slashes.filter_map(move |at| path.get(..=at))
    }

    /// Whether it lies in `folder`, which has a slash at the end, or below.
    pub fn is_in(self, folder: &str) -> bool {
        self.path().starts_with(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Param;
    use crate::record::tests::sample_record;

    #[test]
    fn reads_what_the_record_says() {
        let record = sample_record(41);
        let bytes = record.encode();
        let brief = Brief::read(&bytes).unwrap();
        assert_eq!((brief.seq(), brief.time(), brief.status()), (41, record.time, 200));
        assert_eq!(brief.access_id(), "p-abcdefghijkl");
        assert_eq!(brief.unique_id(), "alice@example.com");
        assert_eq!((brief.action(), brief.access_type()), ("get_secret_value", "saml2"));
        assert_eq!(brief.param("value"), None);
        let places: Vec<_> = brief.places().collect();
        assert_eq!(places, [Place::Item("/a/b")]);
        assert!(Brief::read(&bytes[1..]).is_err());
    }

    #[test]
    fn knows_which_parameters_name_items_and_which_folders() {
        let mut record = sample_record(1);
        let places = |record: &crate::Record| -> Vec<String> {
            let bytes = record.encode();
            let brief = Brief::read(&bytes).unwrap();
            brief.places().map(|place| format!("{place:?}")).collect()
        };
        record.draft.action = action::MOVE_OBJECTS.into();
        record.draft.params = vec![
            Param::public("objects-type", "item"),
            Param::public("source", "/a/"),
            Param::public("target", "/b/c/"),
        ];
        assert_eq!(places(&record), [r#"Folder("/a/")"#, r#"Folder("/b/c/")"#]);
        record.draft.params[0] = Param::public("objects-type", "role");
        assert_eq!(places(&record), Vec::<String>::new(), "roles are no items");
        record.draft.action = action::GET_ROLE.into();
        record.draft.params = vec![Param::public("path", "/a/"), Param::public("name", "/x")];
        assert_eq!(places(&record), Vec::<String>::new());
        record.draft.params = vec![Param::public("item_name", "a \"quoted\\ name")];
        assert_eq!(places(&record), Vec::<String>::new(), "no path");
        record.draft.params = vec![Param::public("item_name", "/a/\"quoted\\ name")];
        assert_eq!(places(&record), [r#"Item("/a/\"quoted\\ name")"#]);
    }

    #[test]
    fn a_place_lies_in_each_of_its_folders() {
        let folders = |place: Place<'static>| -> Vec<&str> { place.folders().collect() };
        assert_eq!(folders(Place::Item("/a/b/c")), ["/a/", "/a/b/"]);
        assert_eq!(folders(Place::Folder("/a/b/")), ["/a/", "/a/b/"]);
        assert_eq!(folders(Place::Item("/c")), Vec::<&str>::new());
        assert!(Place::Item("/a/b").is_in("/a/") && Place::Item("/a/b").is_in("/"));
        assert!(!Place::Item("/ab/c").is_in("/a/"));
    }
}
