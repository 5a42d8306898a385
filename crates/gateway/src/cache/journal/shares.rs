//! How much of what control has not yet is of which account: one that is read without end must not
//! leave no room for the reads of others.
//!
//! Counted by file, roughly: what earlier processes have left is nobody's, and what is written in
//! the moment in which a file counts as brought may not be counted.

use std::collections::HashMap;

use keysherd_base::Uid;

/// What an account has waiting, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// In files.
    pub(super) file: u64,
    /// In the audit log, once they are there: a few bytes on disk can name a receipt that becomes
    /// a long record each time.
    pub(super) log: u64,
}

/// The shares of all accounts.
#[derive(Default)]
pub(super) struct Shares {
    by_journal: HashMap<Uid, HashMap<Uid, Share>>,
    totals: HashMap<Uid, Share>,
}

impl Shares {
    /// What an account has waiting.
    pub(super) fn of(&self, account: Uid) -> Share {
        self.totals.get(&account).copied().unwrap_or_default()
    }

    /// A read of the account is written to a journal's file.
    pub(super) fn add(&mut self, journal: Uid, account: Uid, more: Share) {
        let of_journal = self.by_journal.entry(journal).or_default();
        for share in
            [of_journal.entry(account).or_default(), self.totals.entry(account).or_default()]
        {
            share.file = share.file.saturating_add(more.file);
            share.log = share.log.saturating_add(more.log);
        }
    }

    /// Control has all that was written to a journal's file.
    pub(super) fn end(&mut self, journal: Uid) {
        for (account, less) in self.by_journal.remove(&journal).unwrap_or_default() {
            let Some(share) = self.totals.get_mut(&account) else { continue };
            share.file = share.file.saturating_sub(less.file);
            share.log = share.log.saturating_sub(less.log);
            if *share == Share::default() {
                self.totals.remove(&account);
            }
        }
    }
}
