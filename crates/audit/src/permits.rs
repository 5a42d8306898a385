//! Which permits a record explains. Managers log each derivation with the id of its permit, so a
//! derivation that no record explains is found by comparing the logs.

use keysherd_base::Uid;

use crate::draft::Param;
use crate::record::Record;

/// The parameter that names the permits a request was given.
pub const PERMITS_PARAM: &str = "permits";

/// The permits that one request was given, and how many entries of each.
///
/// Written as `<32 hex digits>*<entries>`, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedPermits(Vec<(Uid, u64)>);

impl ExplainedPermits {
    /// Adds `entries` entries of a permit.
    pub fn add(&mut self, permit: Uid, entries: u64) {
        self.0.push((permit, entries));
    }

    /// The parameter that says so; `None` for no permit.
    pub fn param(&self) -> Option<Param> {
        let texts: Vec<String> =
            self.0.iter().map(|(permit, entries)| format!("{permit}*{entries}")).collect();
        (!texts.is_empty()).then(|| Param::public(PERMITS_PARAM, texts.join(" ")))
    }

    /// What a record explains. What cannot be read explains nothing.
    pub fn of(record: &Record) -> Self {
        let params = record.draft.params.iter().filter(|param| param.name() == PERMITS_PARAM);
        let texts = params.filter_map(Param::value).flat_map(|value| value.split(' '));
        Self(texts.filter_map(read_one).collect())
    }

    /// Each permit with its number of entries.
    pub fn iter(&self) -> impl Iterator<Item = (Uid, u64)> {
        self.0.iter().copied()
    }
}

fn read_one(text: &str) -> Option<(Uid, u64)> {
    let (permit, entries) = text.split_once('*')?;
    let hex = permit.len() == 32 && permit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(permit, 16).ok().filter(|_| hex)?;
    Some((Uid(number.to_be_bytes()), entries.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use keysherd_base::{AccountId, Timestamp};

    use super::*;
    use crate::draft::Draft;

    fn record(params: Vec<Param>) -> Record {
        let account = AccountId(Uid([1; 16]));
        let mut draft = Draft::new(account, Uid([2; 16]), "c".into(), "a", Timestamp(3));
        draft.params = params;
        Record { seq: 1, time: Timestamp(4), status: 200, error: None, duration_us: 0, draft }
    }

    #[test]
    fn what_is_explained_comes_back() {
        let mut explained = ExplainedPermits::default();
        assert_eq!(explained.param(), None);
        explained.add(Uid([7; 16]), 1);
        explained.add(Uid([0; 16]), 1_000);
        let param = explained.param().unwrap();
        assert!(param.value().unwrap().ends_with("0000*1000"));
        assert_eq!(ExplainedPermits::of(&record(vec![param])), explained);
    }

    #[test]
    fn what_cannot_be_read_explains_nothing() {
        for text in ["", "x*1", "07*1", "+7070707070707070707070707070707*1"] {
            let read = ExplainedPermits::of(&record(vec![Param::public(PERMITS_PARAM, text)]));
            assert_eq!(read, ExplainedPermits::default(), "{text:?}");
        }
        let hidden = Param::redacted(PERMITS_PARAM);
        assert_eq!(ExplainedPermits::of(&record(vec![hidden])), ExplainedPermits::default());
    }
}
