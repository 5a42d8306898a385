//! How far a target came: the last record it has, and the chain's link there.
//!
//! A file of its own, replaced as a whole and only after the target said that it has the records.
//! Earlier places are kept as well, the denser the newer: when control was set back to a backup,
//! the newest of them that its log still leads through is where to go on.

use std::path::{Path, PathBuf};

use keysherd_api::Beginning;
use keysherd_audit::{Link, NO_LINK};
use keysherd_base::{AccountId, Fault, Uid};
use keysherd_crypto::hash::sha256;
use serde::{Deserialize, Serialize};

use crate::files;

/// The newest places, of which all are kept.
const DENSE: usize = 16;
/// Most earlier places: the dense ones, and one for each power of two.
const EARLIER_MAX: usize = DENSE + 64;
/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A record and its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: u64,
    /// `None`: not known, as nobody looked yet.
    pub(super) link: Option<Link>,
}

/// The place in the log, and earlier ones, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) at: Place,
    earlier: Vec<Place>,
    /// Which wish to begin somewhere it has followed.
    begun: Option<Uid>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    at: KeptPlace,
    earlier: Vec<KeptPlace>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    begun: Option<Uid>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptPlace {
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    link: Option<String>,
}

impl Cursor {
    /// Before the record `first`.
    pub(super) fn before(first: u64) -> Self {
        let seq = first.saturating_sub(1);
        let at = Place { seq, link: (seq == 0).then_some(NO_LINK) };
        Self { at, earlier: Vec::new(), begun: None }
    }

    /// The place of a target that shall begin as `wish` says: this one, if it has followed that
    /// wish already.
    pub(super) fn following(self, wish: Option<&Beginning>) -> Self {
        match wish {
            Some(wish) if self.begun != Some(wish.id) => {
                Self { begun: Some(wish.id), ..Self::before(wish.from) }
            }
            _ => self,
        }
    }

    /// Which wish to begin somewhere it has followed.
    pub(super) fn begun(&self) -> Option<Uid> {
        self.begun
    }

    /// Goes on to a later place.
    pub(super) fn advance(&mut self, seq: u64, link: Link) {
        self.earlier.push(self.at);
        let (dense, mut bucket) = (self.earlier.len().saturating_sub(DENSE), None);
        let mut number = 0;
        // The oldest one of each power of two of the distance, and all of the last few.
        self.earlier.retain(|place| {
            let distance = seq.saturating_sub(place.seq).max(1).ilog2();
            number += 1;
            number > dense || bucket.replace(distance) != Some(distance)
        });
        self.at = Place { seq, link: Some(link) };
    }

    /// Goes back to the newest earlier place, or to the beginning.
    pub(super) fn go_back(&mut self) {
        self.at = self.earlier.pop().unwrap_or(Place { seq: 0, link: Some(NO_LINK) });
    }

    fn to_kept(&self) -> Kept {
        let place = |place: &Place| KeptPlace { seq: place.seq, link: place.link.map(hex::encode) };
        let earlier = self.earlier.iter().map(place).collect();
        Kept { at: place(&self.at), earlier, begun: self.begun }
    }

    /// As text.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub(super) fn to_json(&self) -> Result<String, Fault> {
        serde_json::to_string(&self.to_kept()).map_err(Fault::internal)
    }

    /// Reads what [`Self::to_json`] wrote; `None` for anything else.
    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        Self::from_kept(serde_json::from_slice(text).ok()?)
    }

    fn from_kept(kept: Kept) -> Option<Self> {
        let place = |kept: KeptPlace| {
            let link = match kept.link {
                None => None,
                Some(text) => {
                    let mut link = Link::default();
                    hex::decode_to_slice(text, &mut link).ok()?;
                    Some(link)
                }
            };
            Some(Place { seq: kept.seq, link })
        };
        let earlier = kept.earlier.into_iter().map(place).collect::<Option<Vec<_>>>()?;
        let at = place(kept.at)?;
        let in_order = earlier.iter().chain([&at]).is_sorted_by_key(|place| place.seq);
        let begun = kept.begun;
        (earlier.len() <= EARLIER_MAX && in_order).then_some(Self { at, earlier, begun })
    }
}

/// The file of one target's cursor.
#[derive(Clone)]
pub(super) struct CursorFile {
    dir: PathBuf,
    name: String,
}

impl CursorFile {
    /// That of the target `name` of `account`, in `dir`.
    pub(super) fn new(dir: &Path, account: AccountId, name: &str) -> Self {
        let hash = sha256(&[account.0.as_bytes(), name.as_bytes()]);
        Self { dir: dir.to_owned(), name: format!("{}.json", hex::encode(&hash[..16])) }
    }

    /// What it holds, and whether it is damaged; without a file, the beginning of the log.
    pub(super) fn read(&self) -> (Cursor, bool) {
        let path = self.dir.join(&self.name);
        let read = || {
            let length = std::fs::metadata(&path).ok()?.len();
            let bytes = (length <= FILE_BYTES_MAX).then(|| std::fs::read(&path).ok())??;
            Cursor::from_json(&bytes)
        };
        match read() {
            Some(cursor) => (cursor, false),
            None => (Cursor::before(1), path.exists()),
        }
    }

    /// What it holds, if there is anything.
    pub(super) fn noted(&self) -> Option<Cursor> {
        let (cursor, damaged) = self.read();
        (!damaged && cursor.at.seq > 0).then_some(cursor)
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// [`Fault::internal`] when that fails; the old one is there then.
    pub(super) fn write(&self, cursor: &Cursor) -> Result<(), Fault> {
        let text = cursor.to_json()?;
        files::write(&self.dir, &self.name, text.as_bytes()).map_err(|error| self.failed(&error))
    }

    /// The same where others must not wait for the disk. It is written also when nobody waits for
    /// it any longer.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn keep(&self, cursor: &Cursor) -> Result<(), Fault> {
        let (file, cursor) = (self.clone(), cursor.clone());
        let written = tokio::task::spawn_blocking(move || file.write(&cursor)).await;
        written.map_err(Fault::internal)?
    }

    /// Takes it away.
    ///
    /// # Errors
    /// [`Fault::internal`] when it stays.
    pub(super) fn remove(&self) -> Result<(), Fault> {
        match files::remove(&self.dir, &self.name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: &std::io::Error) -> Fault {
        Fault::internal(format_args!("{}: {error}", self.dir.join(&self.name).display()))
    }
}

#[cfg(test)]
mod tests {
    use keysherd_base::Uid;

    use super::*;

    #[test]
    fn the_place_outlives_a_restart_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = CursorFile::new(dir.path(), AccountId(Uid([1; 16])), "main");
        assert_eq!(file.read(), (Cursor::before(1), false));
        let mut cursor = Cursor::before(1);
        cursor.advance(5, [5; 32]);
        cursor.advance(9, [9; 32]);
        file.write(&cursor).unwrap();
        assert_eq!(file.read(), (cursor, false));
        let path = dir.path().join(&file.name);
        for damaged in [
            "",
            "{}",
            r#"{"at":{"seq":1,"link":"zz"},"earlier":[]}"#,
            r#"{"at":{"seq":1},"earlier":[{"seq":2}]}"#,
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(file.read(), (Cursor::before(1), true), "{damaged}");
        }
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(file.read(), (Cursor::before(1), false));
        let other = CursorFile::new(dir.path(), AccountId(Uid([2; 16])), "main");
        assert_ne!(file.name, other.name);
    }

    #[test]
    fn a_wish_to_begin_somewhere_is_followed_once() {
        let mut cursor = Cursor::before(1);
        cursor.advance(9, [9; 32]);
        assert_eq!(cursor.clone().following(None), cursor);
        let wish = |id: u8, from: u64| Beginning { id: Uid([id; 16]), from };
        let mut again = cursor.following(Some(&wish(1, 5)));
        assert_eq!((again.at, again.earlier.len()), (Place { seq: 4, link: None }, 0));
        again.advance(7, [7; 32]);
        let kept = Cursor::from_json(again.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(kept.clone().following(Some(&wish(1, 5))), again);
        assert_eq!(kept.following(Some(&wish(2, 1))).at.seq, 0);
    }

    #[test]
    fn earlier_places_are_few_and_dense_near_the_end() {
        let mut cursor = Cursor::before(1);
        for seq in 1..=10_000 {
            cursor.advance(seq, [1; 32]);
        }
        assert!(cursor.earlier.len() <= EARLIER_MAX);
        let mut back = Vec::new();
        while cursor.at.seq > 0 {
            back.push(cursor.at.seq);
            cursor.go_back();
        }
        assert_eq!(back[..16], (9_985..=10_000).rev().collect::<Vec<_>>());
        assert!(back.windows(2).all(|pair| 10_001 - pair[1] <= 4 * (10_001 - pair[0])), "{back:?}");
        assert!(back.last().is_some_and(|seq| *seq < 7_500), "{back:?}");
        cursor.go_back();
        assert_eq!(cursor.at, Place { seq: 0, link: Some(NO_LINK) });
    }
}
