//! A sorted table of texts that finds an entry, and every entry that is a prefix of a text.

use std::cmp::Ordering;

use super::case::Case;

/// Texts with a value each. Built once, then only read; no lookup allocates.
#[derive(Clone, Debug)]
pub(super) struct TextTable<T> {
    case: Case,
    entries: Vec<Entry<T>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    /// Canonical in the table's case.
    text: Box<str>,
    /// The longest other entry that is a prefix of this one.
    shorter: Option<usize>,
    value: T,
}

impl<T> TextTable<T> {
    /// An empty table.
    pub(super) const fn new(case: Case) -> Self {
        Self { case, entries: Vec::new() }
    }

    /// The value of `text`, made by `absent` when it is new. [`TextTable::link`] must follow.
    ///
    /// Cheap when texts come in order; each one out of order moves those after it.
    pub(super) fn entry(&mut self, text: &str, absent: impl FnOnce() -> T) -> &mut T {
        let index = match self.place(text) {
            Ok(index) => index,
            Err(index) => {
                let text = self.case.canonical(text);
                self.entries.insert(index, Entry { text, shorter: None, value: absent() });
                index
            }
        };
        &mut self.entries[index].value
    }

    /// Ends the building: finds for each entry the longest one that is a prefix of it.
    pub(super) fn link(&mut self) {
        // In sorted order the entries that are prefixes of the current one form a stack.
        let mut open: Vec<usize> = Vec::new();
        for index in 0..self.entries.len() {
            let text = &self.entries[index].text;
            while let Some(top) = open.last() {
                if text.starts_with(&*self.entries[*top].text) {
                    break;
                }
                open.pop();
            }
            self.entries[index].shorter = open.last().copied();
            open.push(index);
        }
    }

    /// The value of `text`.
    pub(super) fn get(&self, text: &str) -> Option<&T> {
        self.search(text).ok().map(|index| &self.entries[index].value)
    }

    /// Every value, in the order of the texts.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// Every entry that is a prefix of `text` (`text` itself included), the longest first: what
    /// follows it in `text`, and its value.
    pub(super) fn prefixes_of<'t>(
        &'t self,
        text: &'t str,
    ) -> impl Iterator<Item = (&'t str, &'t T)> {
        // Whatever is a prefix of `text` is one of the last entry not after it, too: between a
        // prefix and `text` everything starts with that prefix.
        let last = match self.search(text) {
            Ok(index) => Some(index),
            Err(index) => index.checked_sub(1),
        };
        std::iter::successors(last, |index| self.entries[*index].shorter).filter_map(|index| {
            let entry = &self.entries[index];
            self.case.strip_prefix(text, &entry.text).map(|rest| (rest, &entry.value))
        })
    }

    /// Every value whose text starts with `prefix`.
    pub(super) fn starting_with<'t>(&'t self, prefix: &'t str) -> impl Iterator<Item = &'t T> {
        let first = self.search(prefix).unwrap_or_else(|index| index);
        self.entries[first..]
            .iter()
            .take_while(|entry| self.case.strip_prefix(&entry.text, prefix).is_some())
            .map(|entry| &entry.value)
    }

    /// As [`Self::search`], in one step where texts come in order.
    fn place(&self, text: &str) -> Result<usize, usize> {
        let Some(last) = self.entries.last() else { return Err(0) };
        match self.case.compare(&last.text, text) {
            Ordering::Less => Err(self.entries.len()),
            Ordering::Equal => Ok(self.entries.len() - 1),
            Ordering::Greater => self.search(text),
        }
    }

    fn search(&self, text: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| self.case.compare(&entry.text, text))
    }
}

impl TextTable<()> {
    /// A set of texts.
    pub(super) fn set<'a>(case: Case, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts: Vec<_> = texts.into_iter().collect();
        texts.sort_unstable_by(|a, b| case.compare(a, b));
        let mut set = Self::new(case);
        for text in texts {
            set.entry(text, || ());
        }
        set.link();
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(case: Case, texts: &[String]) -> TextTable<Box<str>> {
        let mut table = TextTable::new(case);
        for text in texts {
            table.entry(text, || case.canonical(text));
        }
        table.link();
        table
    }

    fn cases() -> impl Strategy<Value = Case> {
        prop_oneof![Just(Case::Sensitive), Just(Case::Insensitive)]
    }

    proptest! {
        #[test]
        fn lookups_agree_with_a_scan(
            case in cases(),
            texts in prop::collection::vec("[aAbä]{0,4}", 0..24),
            probe in "[aAbä]{0,6}",
        ) {
            let table = table(case, &texts);
            let mut spelled: Vec<_> = texts.iter().map(|text| case.canonical(text)).collect();
            spelled.sort();
            spelled.dedup();
            let canonical = case.canonical(&probe);

            prop_assert_eq!(table.get(&probe).is_some(), spelled.contains(&canonical));
            let mut found: Vec<_> =
                table.prefixes_of(&probe).map(|(_, value)| value.clone()).collect();
            found.reverse();
            let expect: Vec<_> =
                spelled.iter().filter(|text| canonical.starts_with(&***text)).cloned().collect();
            prop_assert_eq!(found, expect);
            let longer: Vec<_> = table.starting_with(&probe).cloned().collect();
            let expect: Vec<_> =
                spelled.iter().filter(|text| text.starts_with(&*canonical)).cloned().collect();
            prop_assert_eq!(longer, expect);
        }

        #[test]
        fn what_follows_a_prefix_is_the_rest_of_the_text(
            texts in prop::collection::vec("[aAä]{0,3}", 1..8),
            probe in "[aAä]{0,6}",
        ) {
            let table = table(Case::Insensitive, &texts);
            for (rest, value) in table.prefixes_of(&probe) {
                prop_assert!(probe.ends_with(rest));
                let total = value.chars().count() + rest.chars().count();
                prop_assert_eq!(total, probe.chars().count());
            }
        }
    }
}
