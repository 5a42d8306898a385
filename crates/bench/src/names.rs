//! The secrets of the bench: paths at depth 3 and values of 100 bytes, all of fixed width, so that
//! a request is built by writing over the last one.

/// Bytes of a path.
const NAME_BYTES: usize = "/bench-00/group-000/secret-00000000".len();
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 100;
/// Folders at the top; the role of the bench has a rule for each.
pub(crate) const FOLDERS: u32 = 10;

/// The paths of all secrets.
pub(crate) struct Names {
    text: String,
}

impl Names {
    /// The paths of secrets 0 to `count`.
    pub(crate) fn new(count: u32) -> Self {
        let text = (0..count)
            .map(|index| {
                let (folder, group) = (index % FOLDERS, index / FOLDERS % 100);
                format!("/bench-{folder:02}/group-{group:03}/secret-{index:08}")
            })
            .collect();
        Self { text }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.text.len() / NAME_BYTES).unwrap_or(u32::MAX)
    }

    /// The path of secret `index`, which must be less than the count.
    pub(crate) fn of(&self, index: u32) -> &str {
        let from = usize::try_from(index).unwrap_or(usize::MAX) * NAME_BYTES;
        &self.text[from..from + NAME_BYTES]
    }

    /// What stands for a path in a template.
    pub(crate) fn blank() -> String {
        crate::template::blank(NAME_BYTES)
    }
}

/// How a value of secret `index` begins, whoever wrote it.
pub(crate) fn value_start(index: u32) -> String {
    format!("secret {index:08} run ")
}

/// The value that write number `count` of the run `run` gives to secret `index`.
pub(crate) fn value(index: u32, run: u64, count: u32) -> String {
    let start = value_start(index);
    format!("{start}{run:015} write {count:08} {:.<1$}", "", VALUE_BYTES - start.len() - 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_values_have_their_width_and_differ() {
        let names = Names::new(1_234);
        assert_eq!(names.count(), 1_234);
        assert_eq!(names.of(0), "/bench-00/group-000/secret-00000000");
        assert_eq!(names.of(1_233), "/bench-03/group-023/secret-00001233");
        assert_eq!(Names::blank().len(), names.of(7).len());
        let (one, two) = (value(7, 1_767_607_872_999, 1), value(7, 1_767_607_872_999, 2));
        assert_eq!((one.len(), two.len()), (VALUE_BYTES, VALUE_BYTES));
        assert!(one != two && one.starts_with(&value_start(7)));
        assert_eq!(value(99_999_999, 999_999_999_999_999, 99_999_999).len(), VALUE_BYTES);
    }
}
