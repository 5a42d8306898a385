//! What somebody looks for in the audit log, and the terms under which an index finds it.
//!
//! A term is a 32-bit hash of a kind and a text. Two terms may be one hash: an index is only asked
//! where to look, and each record found is compared with the [`Filter`] itself.

use keysherd_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::brief::Brief;

/// The hash of a term.
pub type Term = u32;

/// Which outcomes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// Exactly this HTTP status.
    Exactly(u16),
    /// Everything that failed.
    Failed,
}

/// What is looked for: records that fit every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Recorded before this time.
    pub to: Option<Timestamp>,
    /// About the item with this path.
    pub item: Option<String>,
    /// About something in this folder or below it; the path has a slash at the end.
    pub folder: Option<String>,
    /// By this auth method.
    pub access_id: Option<String>,
    /// By this bearer within the auth method.
    pub unique_id: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// With this outcome.
    pub status: Option<StatusFilter>,
}

impl Filter {
    /// Whether the record is looked for.
    pub fn matches(&self, record: &Brief<'_>) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let timely = self.from.is_none_or(|from| record.time() >= from)
            && self.to.is_none_or(|to| record.time() < to);
        let outcome = match self.status {
            None => true,
            Some(StatusFilter::Exactly(status)) => record.status() == status,
            Some(StatusFilter::Failed) => !record.succeeded(),
        };
        timely
            && outcome
            && is(&self.access_id, record.access_id())
            && is(&self.unique_id, record.unique_id())
            && is(&self.action, record.action())
            && self.item.as_ref().is_none_or(|item| record.places().any(|at| at.path() == item))
            && self.folder.as_ref().is_none_or(|folder| record.places().any(|at| at.is_in(folder)))
    }

    /// The filter as a text: the same for the same filter only.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("invariant: texts and numbers always serialize")
    }

    /// The terms that every record looked for has. What they leave out, such as times, is to be
    /// compared.
    pub fn terms(&self) -> Vec<Term> {
        let mut terms = Vec::new();
        match (&self.access_id, &self.unique_id) {
            (Some(access), Some(unique)) => terms.push(who(access, unique)),
            (Some(access), None) => terms.push(term(Kind::Access, access)),
            (None, Some(unique)) => terms.push(term(Kind::Unique, unique)),
            (None, None) => {}
        }
        terms.extend(self.action.as_ref().map(|action| term(Kind::Action, action)));
        terms.extend(self.status.map(|status| match status {
            StatusFilter::Exactly(status) => term(Kind::Status, &status.to_string()),
            StatusFilter::Failed => term(Kind::Failed, ""),
        }));
        terms.extend(self.item.as_ref().map(|item| term(Kind::Place, item)));
        let folder = self.folder.as_ref().filter(|folder| *folder != "/");
        terms.extend(folder.map(|folder| term(Kind::Folder, folder)));
        terms
    }
}

/// The terms of a record, each once, into `terms`, which is emptied first.
pub fn terms_of(record: &Brief<'_>, terms: &mut Vec<Term>) {
    terms.clear();
    let (access, unique) = (record.access_id(), record.unique_id());
    terms.push(term(Kind::Access, access));
    terms.push(term(Kind::Unique, unique));
    terms.push(who(access, unique));
    terms.push(term(Kind::Action, record.action()));
    terms.push(term(Kind::Status, &record.status().to_string()));
    if !record.succeeded() {
        terms.push(term(Kind::Failed, ""));
    }
    for place in record.places() {
        terms.push(term(Kind::Place, place.path()));
        terms.extend(place.folders().map(|folder| term(Kind::Folder, folder)));
    }
    terms.sort_unstable();
    terms.dedup();
}

#[derive(Clone, Copy)]
enum Kind {
    Access = 1,
    Unique,
    Who,
    Action,
    Status,
    Failed,
    Place,
    Folder,
}

fn term(kind: Kind, text: &str) -> Term {
    folded(fnv(fnv(OFFSET, &[kind as u8]), text.as_bytes()))
}

fn who(access: &str, unique: &str) -> Term {
    let hash = fnv(fnv(OFFSET, &[Kind::Who as u8]), access.as_bytes());
    folded(fnv(fnv(hash, &[0]), unique.as_bytes()))
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a with 64 bits: not a cryptographic hash, and need not be one.
fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn folded(hash: u64) -> Term {
    let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
    u32::from_be_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample_record;

    fn filters() -> Vec<(Filter, bool)> {
        let time = sample_record(1).time;
        let text = |text: &str| Some(text.to_owned());
        let with = |change: &dyn Fn(&mut Filter), fits: bool| {
            let mut filter = Filter::default();
            change(&mut filter);
            (filter, fits)
        };
        vec![
            with(&|_| {}, true),
            with(&|f| f.from = Some(time), true),
            with(&|f| f.from = Some(Timestamp(time.0 + 1)), false),
            with(&|f| f.to = Some(time), false),
            with(&|f| f.to = Some(Timestamp(time.0 + 1)), true),
            with(&|f| f.item = text("/a/b"), true),
            with(&|f| f.item = text("/a"), false),
            with(&|f| f.folder = text("/a/"), true),
            with(&|f| f.folder = text("/"), true),
            with(&|f| f.folder = text("/a/b/"), false),
            with(&|f| f.access_id = text("p-abcdefghijkl"), true),
            with(&|f| f.access_id = text("p-abcdefghijkm"), false),
            with(&|f| f.unique_id = text("alice@example.com"), true),
            with(&|f| f.unique_id = text(""), false),
            with(&|f| f.action = text("get_secret_value"), true),
            with(&|f| f.action = text("get_item"), false),
            with(&|f| f.status = Some(StatusFilter::Exactly(200)), true),
            with(&|f| f.status = Some(StatusFilter::Failed), false),
        ]
    }

    #[test]
    fn each_part_decides() {
        let bytes = sample_record(1).encode();
        let brief = Brief::read(&bytes).unwrap();
        for (filter, fits) in filters() {
            assert_eq!(filter.matches(&brief), fits, "{filter:?}");
        }
    }

    #[test]
    fn what_fits_has_the_terms() {
        let bytes = sample_record(1).encode();
        let brief = Brief::read(&bytes).unwrap();
        let mut terms = Vec::new();
        terms_of(&brief, &mut terms);
        for (filter, fits) in filters() {
            let found = filter.terms().iter().all(|term| terms.contains(term));
            let timeless = filter.from.is_none() && filter.to.is_none();
            assert_eq!(found, fits || !timeless, "{filter:?}");
        }
        let both = Filter {
            access_id: Some("p-abcdefghijkl".to_owned()),
            unique_id: Some("alice@example.com".to_owned()),
            ..Filter::default()
        };
        assert!(both.terms().iter().all(|term| terms.contains(term)));
    }
}
