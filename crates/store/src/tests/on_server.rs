//! The same tests over PostgreSQL: what a store does must not depend on its engine.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{audit_index, behavior, chain, changes, commit, listing, moving, server, uid_tokens};
use crate::PostgresSettings;

thread_local! {
    /// Whether the stores of this thread's test are on the server.
    static MEANT: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn is_meant() -> bool {
    MEANT.get()
}

/// Runs a test with its stores on the server.
pub(crate) fn on_server(test: fn()) {
    MEANT.set(true);
    let outcome = std::panic::catch_unwind(test);
    MEANT.set(false);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// The database that belongs to a folder; made when it is first asked for.
pub(crate) fn database_of(folder: &Path) -> PostgresSettings {
    static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let name = name_of(folder);
    if MADE.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
        server::shared().create(&name);
    }
    settings(server::shared(), &name)
}

/// How a store finds a database.
pub(crate) fn settings(server: &server::Postgres, database: &str) -> PostgresSettings {
    at(&server.url(database))
}

/// How a store finds what is at a URL.
pub(crate) fn at(url: &str) -> PostgresSettings {
    let no_file = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    PostgresSettings::parse(url, None, no_file).unwrap()
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().replace('.', "store-")
}

/// Changes a closed store behind its back.
pub(crate) fn tamper(folder: &Path, sql: &str) {
    let mut sql = sql.to_owned();
    for length in ["3", "32", "64"] {
        let ours = format!("decode(repeat('00', {length}), 'hex')");
        sql = sql.replace(&format!("zeroblob({length})"), &ours);
    }
    let changed = server::shared().sql(&name_of(folder), &format!("{sql} RETURNING 1"));
    assert!(!changed.is_empty(), "{sql}");
}

type Case = (&'static str, fn());

/// A list of tests by their names.
macro_rules! cases {
    ($($module:ident::$test:ident),* $(,)?) => {
        &[$((stringify!($test), $module::$test as fn())),*]
    };
}

/// Tests that run here, too.
const SAME: &[Case] = cases![
    audit_index::a_search_finds_what_looking_at_every_record_finds,
    audit_index::a_search_that_finds_nothing_ends_after_a_while_and_goes_on,
    audit_index::accounts_do_not_meet_in_the_index,
    audit_index::last_uses_and_sums_follow_the_records,
    behavior::the_embedded_store_behaves,
    chain::a_changed_chain_is_not_continued_and_so_not_made_genuine,
    chain::a_damaged_chain_fails_nobody_but_the_jobs_that_add_to_it,
    chain::a_removed_head_does_not_hide_the_records,
    chain::chains_of_many_accounts_are_in_order_before_and_after_reopening,
    chain::records_are_listed_by_page,
    changes::a_place_is_lost_when_rows_are_gone_too_many_or_of_another_history,
    changes::identities_are_told_whatever_changes_of_them,
    changes::items_are_told_by_every_path_they_have_had,
    changes::logins_are_told_of_nobodys_account,
    changes::many_items_of_one_account_are_told_as_any,
    changes::revocations_are_told_with_their_end,
    changes::what_fails_or_concerns_nobody_is_not_told,
    changes::whoever_is_told_that_a_change_was_made_finds_it_in_the_feed,
    commit::a_failed_job_takes_back_only_itself_and_is_recorded,
    commit::a_full_queue_refuses_and_recovers,
    commit::a_job_runs_even_if_nobody_waits_for_it,
    commit::a_long_job_ends_the_transaction_by_the_clock,
    commit::a_panic_while_reading_leaves_the_connection_usable,
    commit::a_reader_sees_one_moment,
    commit::a_transaction_takes_at_most_512_jobs,
    commit::everything_that_waits_shares_one_commit,
    commit::scans_leave_a_connection_for_point_reads,
    listing::a_hundred_thousand_items_are_listed_in_order,
    listing::names_are_taken_literally,
    listing::scopes_and_times_select,
    moving::a_path_that_gets_too_long_or_too_deep_stops_the_whole_move,
    moving::a_taken_path_stops_the_whole_move,
    moving::everything_below_moves_and_nothing_else,
    moving::explicit_folders_move_with_themselves,
    moving::folders_move_into_and_out_of_one_another,
    moving::names_beyond_ascii_and_with_patterns_move_whole,
    moving::roles_and_methods_move_too,
    uid_tokens::a_tree_goes_with_its_method_and_events_come_due,
    uid_tokens::branches_are_found_and_revoked_as_one,
];

/// Tests of files, or of the index, which is a file wherever the chains are.
const OF_FILES: &[&str] = &[
    "a_clock_that_was_set_back_hides_nothing",
    "every_table_is_followed_or_known_not_to_be",
    "a_rare_find_among_many_records_costs_few_looks",
    "tampering_with_the_file_is_found",
    "there_must_be_a_store_to_read",
    "the_index_is_made_anew_when_it_is_lost_damaged_or_of_another_chain",
];

#[test]
fn a_store_on_a_server_behaves_as_the_embedded_one() {
    for (name, test) in SAME {
        let started = std::time::Instant::now();
        on_server(*test);
        println!("{name}: {:?}", started.elapsed());
    }
}

#[test]
fn no_test_is_left_out() {
    let sources = [
        include_str!("audit_index.rs"),
        include_str!("behavior.rs"),
        include_str!("chain.rs"),
        include_str!("changes.rs"),
        include_str!("commit.rs"),
        include_str!("listing.rs"),
        include_str!("moving.rs"),
        include_str!("uid_tokens.rs"),
    ];
    let same: BTreeSet<&str> = SAME.iter().map(|(name, _)| *name).collect();
    for source in sources {
        for after in source.split("#[test]\n").skip(1) {
            let name = after.split_once("fn ").unwrap().1.split_once('(').unwrap().0;
            assert!(same.contains(name) || OF_FILES.contains(&name), "{name} runs on files only");
        }
    }
}
