//! Listing items: a walk over the store's pages that keeps what the caller may see and asked for.
//!
//! It reads no more rows than the page needs when everything is visible and nothing is filtered.
//! For a caller who sees little it jumps over folders in which no rule shows anything.

use keysherd_audit::{Param, action};
use keysherd_base::limits::{LISTING_BYTES_MAX, PAGE_LEN};
use keysherd_base::{Fault, FolderPath, ItemPath, Timestamp};
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::RuleKind;
use keysherd_domain::target;
use keysherd_plane::Caller;
use keysherd_plane::items::{ItemList, ItemListReply, ItemView};
use keysherd_store::items::{self as stored, Page, Scope};
use keysherd_store::{Query, folders};

use super::view::Viewer;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

#[cfg(test)]
mod tests;

/// Rows read at a time at least where not all of them count.
pub(super) const ROWS_SELECTIVE: usize = 256;
/// Sorts behind every path of a folder when it is put behind the folder's own.
const LAST: char = '\u{10ffff}';

/// Lists the items the caller may see; nobody learns from a listing what they may not.
///
/// # Errors
/// Only for a token that is not good, or when the store is broken.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    message: ItemList,
) -> Result<ItemListReply, Fault> {
    let who = control.principal(caller).await?;
    let draft = audit_draft(caller, &who, action::LIST_ITEMS, "", params(&message));
    let now = control.now();
    let filling = control.clone();
    let outcome = control.store.read_blocking(move |reader| {
        let mut listed = walk(reader, &who, &message, now)?;
        filling.fill_item_uses(&mut listed.items);
        Ok(listed)
    });
    let outcome = outcome.await;
    control.recorded(draft, outcome).await
}

fn params(message: &ItemList) -> Vec<Param> {
    let mut params = Vec::new();
    params.extend(message.folder.iter().map(|path| Param::public("path", path.to_string())));
    params.extend(message.filter.iter().map(|text| Param::public("filter", text.clone())));
    params.extend(message.kinds.iter().map(|kind| Param::public("type", kind.clone())));
    params.extend(message.tag.iter().map(|tag| Param::public("tag", tag.clone())));
    params
}

/// The listing as of one snapshot.
pub(crate) fn walk(
    q: &dyn Query,
    who: &Principal,
    message: &ItemList,
    now: Timestamp,
) -> Result<ItemListReply, Fault> {
    let mut walk = Walk {
        q,
        who,
        message,
        now,
        viewer: Viewer::new(q, who, now)?,
        targets: wants_targets(message),
        found: Vec::new(),
        bytes: 0,
        more: false,
        left_out: false,
    };
    walk.run(&FolderPath::parse(target::PLACE)?)?;
    let (items, more) = (walk.found, walk.more);
    let folders = sub_folders(q, who, message, now)?;
    Ok(ItemListReply { items, folders, more })
}

/// The folders directly in the listed one in which the caller may see something. They come with
/// the first page.
fn sub_folders(
    q: &dyn Query,
    who: &Principal,
    message: &ItemList,
    now: Timestamp,
) -> Result<Vec<FolderPath>, Fault> {
    let (Some(folder), None) = (&message.folder, &message.after) else { return Ok(Vec::new()) };
    if !sees_in(who, folder.as_str(), now) {
        return Ok(Vec::new());
    }
    let mut names = folders::names_in(q, who.account, folder)?;
    let listed = |name: &str| wants_targets(message) || end_of_targets(name, "/").is_none();
    names.retain(|name| listed(name.as_str()) && sees_in(who, name.as_str(), now));
    Ok(names)
}

fn sees_in(who: &Principal, folder: &str, now: Timestamp) -> bool {
    who.may_see_below(RuleKind::Item, folder, now)
}

/// What sorts behind everything in the outermost folder around `path` in which no rule shows
/// anything; `None` when each may hold something the bearer sees.
pub(super) fn end_of_hidden(who: &Principal, path: &ItemPath, now: Timestamp) -> Option<String> {
    let text = path.as_str();
    text.match_indices('/').skip(1).find_map(|(slash, _)| {
        let (folder, _) = text.split_at(slash + 1);
        (!sees_in(who, folder, now)).then(|| format!("{folder}{LAST}"))
    })
}

/// What sorts behind all targets, if one is stored at `path` and the listed `folder` is no place of
/// targets: people do not look for them among items.
pub(super) fn end_of_targets(path: &str, folder: &str) -> Option<String> {
    let passed = target::is_stored_path(path) && !target::is_stored_path(folder);
    passed.then(|| format!("{}{LAST}", target::PLACE))
}

/// Whether targets are listed, and nothing else.
fn wants_targets(message: &ItemList) -> bool {
    message.kinds.iter().any(|kind| kind == ItemKind::Target.filter_name())
}

struct Walk<'a> {
    q: &'a dyn Query,
    who: &'a Principal,
    message: &'a ItemList,
    now: Timestamp,
    viewer: Viewer<'a>,
    /// Whether targets are listed, and nothing else.
    targets: bool,
    found: Vec<ItemView>,
    /// About how much is in them.
    bytes: usize,
    more: bool,
    /// Whether some row so far was not visible or not asked for.
    left_out: bool,
}

/// About how many bytes an item takes in memory and in an answer.
fn weight(item: &Item) -> usize {
    let texts = item.tags.iter().chain(&item.websites).map(String::len).sum::<usize>();
    let custom = item.custom_fields.iter().map(|(name, text)| name.len() + text.len());
    1_024 + item.description.len() + texts + custom.sum::<usize>()
}

impl Walk<'_> {
    /// `place` is where targets are stored.
    fn run(&mut self, place: &FolderPath) -> Result<(), Fault> {
        if let Some(folder) = &self.message.folder
            && !sees_in(self.who, folder.as_str(), self.now)
        {
            return Ok(());
        }
        let mut after = self.message.after.clone();
        let everywhere = match self.targets {
            true => Scope::Below(place),
            false => Scope::All,
        };
        loop {
            let limit = self.rows_wanted();
            let page = Page {
                scope: self.message.folder.as_ref().map_or(everywhere, Scope::Directly),
                after: after.as_deref(),
                modified_after: self.message.modified_after,
                limit,
            };
            let rows = stored::page(self.q, self.who.account, &page)?;
            let is_last = rows.len() < limit;
            let end = self.take(rows)?;
            match end {
                Some(end) if !self.more && !is_last => after = Some(end.after),
                _ => return Ok(()),
            }
        }
    }

    /// Rows worth reading: one more than the page still needs, which tells whether there are more;
    /// or a good many once some of them did not count.
    fn rows_wanted(&self) -> usize {
        let open = self
            .message
            .limit
            .map_or(PAGE_LEN, |limit| limit.saturating_sub(self.found.len()).saturating_add(1));
        open.clamp(if self.left_out { ROWS_SELECTIVE } else { 1 }, PAGE_LEN)
    }

    /// Keeps of these rows what counts. Gives where the next ones start; `None` without rows.
    fn take(&mut self, rows: Vec<Item>) -> Result<Option<End>, Fault> {
        let mut end: Option<End> = None;
        for item in rows {
            if let Some(jump) = end.as_ref().filter(|end| end.jumped)
                && item.path.as_str() <= jump.after.as_str()
            {
                continue;
            }
            let jump = end_of_targets(item.path.as_str(), "/").filter(|_| !self.targets);
            if let Some(after) = jump {
                self.left_out = true;
                end = Some(End { after, jumped: true });
                continue;
            }
            let held = self.viewer.permissions(&item);
            if held.is_empty() {
                self.left_out = true;
                end = Some(self.after_hidden(&item.path));
                continue;
            }
            end = Some(End { after: item.path.to_string(), jumped: false });
            if !self.counts(&item) {
                self.left_out = true;
                continue;
            }
            if self.message.limit.is_some_and(|limit| self.found.len() >= limit) {
                self.more = true;
                return Ok(end);
            }
            self.bytes += weight(&item);
            let view = self.viewer.view(item, held)?;
            self.found.push(view);
            if self.bytes >= LISTING_BYTES_MAX {
                self.more = true;
                return Ok(end);
            }
        }
        Ok(end)
    }

    /// Where to go on behind an item the caller may not see: behind the outermost folder around it
    /// in which no rule shows anything.
    fn after_hidden(&self, path: &ItemPath) -> End {
        let text = path.as_str();
        // Items directly in one folder: the folder itself is not hidden, or nothing were read.
        if self.message.folder.is_none()
            && let Some(after) = end_of_hidden(self.who, path, self.now)
        {
            return End { after, jumped: true };
        }
        End { after: text.to_owned(), jumped: false }
    }

    fn counts(&self, item: &Item) -> bool {
        let m = self.message;
        let path = target::shown(item.path.as_str()).unwrap_or(item.path.as_str());
        let named = m.filter.as_ref().is_none_or(|text| path.contains(text.as_str()));
        let tagged = m.tag.as_ref().is_none_or(|tag| item.tags.contains(tag));
        let word = item.kind.filter_name();
        let of_kind = m.kinds.is_empty() || m.kinds.iter().any(|kind| kind == word);
        let sub_kind = match item.kind {
            ItemKind::StaticSecret => Some(item.secret_kind.name()),
            ItemKind::Target => item.target.as_ref().map(|facts| facts.type_name.as_str()),
            _ => None,
        };
        let of_sub_kind = m.secret_kinds.is_empty()
            || m.secret_kinds.iter().any(|kind| Some(kind.as_str()) == sub_kind);
        named && tagged && of_kind && of_sub_kind
    }
}

/// Where a walk stands.
struct End {
    /// The next rows come behind this.
    after: String,
    /// Whether rows between the last one that was read and this were left out.
    jumped: bool,
}
