//! One page of a listing.

use keysherd_base::limits::PAGE_LEN;

/// Some members, and whether there are more.
pub(crate) struct Page<T> {
    pub(crate) members: Vec<T>,
    pub(crate) more: bool,
}

/// The first `limit` of `found`, at most a page.
pub(crate) fn page<T>(mut found: impl Iterator<Item = T>, limit: usize) -> Page<T> {
    let members = found.by_ref().take(limit.min(PAGE_LEN)).collect();
    Page { members, more: found.next().is_some() }
}
