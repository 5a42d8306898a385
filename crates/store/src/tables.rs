//! Every table of the schema with its columns, for what treats all of them alike.
//!
//! The noun modules have the statements that serve requests; these are for carrying a whole store
//! elsewhere, and for looking it over.

use std::fmt::Write as _;
use std::sync::LazyLock;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number of 64 bits.
    Int,
    /// A text.
    Text,
    /// Bytes.
    Blob,
}

use Kind::{Blob, Int, Text};

/// What is read and written as one: a table, or some columns of one.
pub struct Table {
    /// The table.
    pub name: &'static str,
    /// The columns, those of the key first.
    pub columns: &'static [(&'static str, Kind)],
    /// How many of the columns are its key.
    key: usize,
    /// Rows read at one time: all of them are in memory.
    page: usize,
    /// Which rows; all where it is empty.
    only: &'static str,
    /// Whether writing a row sets columns of one that is there already.
    completes: bool,
}

/// The name in [`crate::meta`] of the mark of an import that has not come to its end.
pub(crate) const IMPORT_MARK: &str = "import";
/// Rows of [`crate::meta`] that tell of the database rather than of what is in it.
const OF_CONTENT: &str = "name NOT IN ('schema_version', 'schema_oldest', 'import')";

const fn table(
    name: &'static str,
    key: usize,
    page: usize,
    columns: &'static [(&'static str, Kind)],
) -> Table {
    Table { name, columns, key, page, only: "", completes: false }
}

/// All of them, so that each comes after those that it refers to. A new column goes to the end of
/// its table, a new table to the end of the list.
pub const TABLES: &[Table] = &[
    Table { only: OF_CONTENT, ..table("meta", 1, 500, &[("name", Text), ("value", Text)]) },
    table("accounts", 1, 100, &[("id", Blob), ("settings", Text), ("body", Text)]),
    table(
        "auth_methods",
        1,
        100,
        &[
            ("id", Int),
            ("account", Blob),
            ("path", Text),
            ("access_id", Text),
            ("email", Text),
            ("modified", Int),
            ("body", Text),
        ],
    ),
    table(
        "roles",
        1,
        4,
        &[("id", Int), ("account", Blob), ("path", Text), ("modified", Int), ("body", Text)],
    ),
    table(
        "assocs",
        1,
        100,
        &[
            ("id", Text),
            ("account", Blob),
            ("role", Int),
            ("method", Int),
            ("condition", Text),
            ("created", Int),
        ],
    ),
    table(
        "items",
        1,
        200,
        &[
            ("id", Int),
            ("account", Blob),
            ("display_id", Text),
            ("path", Text),
            ("folder", Text),
            ("deletion_at", Int),
            ("modified", Int),
            ("body", Text),
        ],
    ),
    // An item's key may have been made after it.
    Table {
        only: "protection_key IS NOT NULL",
        completes: true,
        ..table("items", 1, 1_000, &[("id", Int), ("protection_key", Int)])
    },
    table(
        "item_versions",
        2,
        8,
        &[
            ("item", Int),
            ("version", Int),
            ("state", Text),
            ("key_id", Blob),
            ("key_version", Int),
            ("body", Text),
            ("ciphertext", Blob),
            ("candidate", Int),
        ],
    ),
    table(
        "folders",
        1,
        100,
        &[("id", Int), ("account", Blob), ("path", Text), ("modified", Int), ("body", Text)],
    ),
    table(
        "keys",
        2,
        200,
        &[
            ("key_id", Blob),
            ("version", Int),
            ("account", Blob),
            ("state", Text),
            ("key_group", Text),
            ("customer_fragment", Blob),
            ("managers", Int),
            ("threshold", Int),
            ("created", Int),
            ("manifest", Blob),
        ],
    ),
    table(
        "key_rotations",
        2,
        200,
        &[
            ("key_id", Blob),
            ("version", Int),
            ("account", Blob),
            ("state", Text),
            ("access_id", Text),
            ("started", Int),
            ("finished", Int),
            ("values_found", Int),
            ("problem", Text),
        ],
    ),
    table("revoked_tokens", 1, 1_000, &[("token", Blob), ("account", Blob), ("expires", Int)]),
    table("audit", 1, 200, &[("id", Int), ("link", Blob), ("record", Blob)]),
    table(
        "audit_heads",
        1,
        500,
        &[
            ("account", Blob),
            ("chain", Int),
            ("seq", Int),
            ("time", Int),
            ("link", Blob),
            ("signature", Blob),
        ],
    ),
    table(
        "login_guards",
        1,
        1_000,
        &[("subject", Blob), ("failures", Int), ("locked_until", Int), ("last_failure", Int)],
    ),
    table("login_places", 2, 1_000, &[("subject", Blob), ("place", Blob), ("seen", Int)]),
    table(
        "second_factors",
        1,
        200,
        &[
            ("method", Int),
            ("sealed", Blob),
            ("confirmed", Int),
            ("last_step", Int),
            ("recovery", Text),
            ("created", Int),
        ],
    ),
    table(
        "uid_tokens",
        1,
        200,
        &[
            ("id", Int),
            ("method", Int),
            ("token_id", Text),
            ("revoked", Int),
            ("ends", Int),
            ("event_at", Int),
            ("body", Text),
        ],
    ),
    table(
        "bearer_groups",
        1,
        50,
        &[("id", Text), ("account", Blob), ("path", Text), ("alias", Text), ("body", Text)],
    ),
    table(
        "gateway_clusters",
        1,
        8,
        &[
            ("id", Int),
            ("account", Blob),
            ("access_id", Text),
            ("name", Text),
            ("body", Text),
            ("config_version", Int),
            ("config_key", Text),
            ("config", Blob),
        ],
    ),
    table(
        "gateway_instances",
        1,
        100,
        &[("spki", Blob), ("cluster", Int), ("last_seen", Int), ("body", Text)],
    ),
    table("changes", 1, 100, &[("number", Int), ("time", Int), ("body", Text)]),
    table("gateway_leases", 2, 200, &[("cluster", Int), ("name", Text), ("body", Text)]),
    table(
        "gateway_places",
        3,
        200,
        &[("cluster", Int), ("lease", Text), ("name", Text), ("body", Text)],
    ),
    table(
        "gateway_journals",
        1,
        1_000,
        &[("journal", Blob), ("gateway", Blob), ("taken", Int), ("seen", Int)],
    ),
    table("gateway_journal_gaps", 2, 1_000, &[("journal", Blob), ("number", Int)]),
    table("used_proofs", 1, 1_000, &[("mark", Blob), ("until", Int)]),
    table(
        "gateway_access",
        1,
        100,
        &[("id", Int), ("cluster", Int), ("name", Text), ("body", Text)],
    ),
    table("item_targets", 2, 1_000, &[("item", Int), ("target", Int)]),
    table(
        "credential_leases",
        1,
        200,
        &[
            ("id", Blob),
            ("account", Blob),
            ("item", Int),
            ("cluster", Int),
            ("state", Text),
            ("due", Int),
            ("attempts", Int),
            ("settled", Int),
            ("body", Text),
        ],
    ),
    table(
        "credential_rotations",
        1,
        200,
        &[("item", Int), ("account", Blob), ("cluster", Int), ("due", Int), ("body", Text)],
    ),
    table(
        "target_assocs",
        1,
        1_000,
        &[("id", Text), ("account", Blob), ("item", Int), ("target", Int), ("created", Int)],
    ),
    // No table: the greatest number that a table ever gave, so that none is given twice.
    table(NUMBERS, 1, 100, &[("name", Text), ("last", Int)]),
];

/// The last of [`TABLES`], of which the engines have their own.
pub(crate) const NUMBERS: &str = "numbers";

/// The tables that number their rows.
pub(crate) const NUMBERED: &[&str] = &[
    "auth_methods",
    "roles",
    "items",
    "folders",
    "uid_tokens",
    "gateway_clusters",
    "gateway_access",
];

/// The statements about one of [`TABLES`].
pub(crate) struct Statements {
    pub(crate) table: &'static Table,
    /// The first rows, as many as ?1 says.
    pub(crate) first: String,
    /// The same after the row whose key is ?2 and following.
    pub(crate) next: String,
    pub(crate) count: String,
    /// Writes one row.
    pub(crate) put: String,
    /// Writes rows given as an array for each column.
    pub(crate) put_all: String,
}

/// The statements about all of [`TABLES`], in their order; none for [`NUMBERS`].
pub(crate) fn statements() -> &'static [Statements] {
    static ALL: LazyLock<Vec<Statements>> = LazyLock::new(|| {
        TABLES.iter().filter(|table| table.name != NUMBERS).map(Statements::of).collect()
    });
    &ALL
}

impl Table {
    /// How many columns are its key.
    pub(crate) const fn key(&self) -> usize {
        self.key
    }

    /// Rows read at one time.
    pub(crate) const fn page(&self) -> usize {
        self.page
    }

    /// What a person may call it.
    pub fn title(&self) -> &'static str {
        if self.completes { "items with a key of their own" } else { self.name }
    }
}

impl Statements {
    fn of(table: &'static Table) -> Self {
        let name = table.name;
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let (all, key) = (names.join(", "), names.get(..table.key).unwrap_or_default().join(", "));
        let filter = |word: &str| match table.only {
            "" => String::new(),
            only => format!(" {word} {only}"),
        };
        let places = numbered(names.len(), |n| format!("?{n}"));
        let after = numbered(table.key, |n| format!("?{}", n + 1));
        let arrays = table.columns.iter().enumerate().map(|(n, (_, kind))| {
            let of = match kind {
                Int => "bigint",
                Text => "text",
                Blob => "bytea",
            };
            format!("?{}::{of}[]", n + 1)
        });
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        let sets = names.iter().enumerate().skip(table.key);
        let mut put = format!("INSERT INTO {name} ({all}) VALUES ({places})");
        let mut put_all = format!("INSERT INTO {name} ({all}) SELECT * FROM unnest({arrays})");
        if table.completes {
            let one: Vec<_> = sets.clone().map(|(n, to)| format!("{to} = ?{}", n + 1)).collect();
            put = format!("UPDATE {name} SET {} WHERE {key} = ?1", one.join(", "));
            let many: Vec<_> = sets.map(|(_, to)| format!("{to} = given.{to}")).collect();
            put_all = format!(
                "UPDATE {name} SET {} FROM unnest({arrays}) AS given ({all}) \
                 WHERE {name}.{key} = given.{key}",
                many.join(", ")
            );
        }
        let order = format!("ORDER BY {key} LIMIT ?1");
        Self {
            table,
            first: format!("SELECT {all} FROM {name}{} {order}", filter("WHERE")),
            next: format!(
                "SELECT {all} FROM {name} WHERE ({key}) > ({after}){} {order}",
                filter("AND")
            ),
            count: format!("SELECT COUNT(*) FROM {name}{}", filter("WHERE")),
            put,
            put_all,
        }
    }
}

fn numbered(count: usize, shown: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for n in 1..=count {
        let comma = if n == 1 { "" } else { ", " };
        // Writing to a text does not fail.
        let _ = write!(text, "{comma}{}", shown(n));
    }
    text
}
