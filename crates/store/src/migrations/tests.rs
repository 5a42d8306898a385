//! The rule that lets a node of the release before go on: what a migration may do, and that such a
//! node does go on.

use std::sync::Arc;

use keysherd_base::ManualClock;

use super::*;
use crate::engine::Place;
use crate::postgres::Server;
use crate::tests::fixture::*;
use crate::tests::on_server;
use crate::{PostgresSettings, Store, StoreConfig, StorePlace, items, roles};

/// What an [`Step::Expand`] does not do.
const FORBIDDEN: &[&str] = &[
    "DROP ",
    "RENAME",
    "DELETE FROM",
    "UPDATE ",
    "INSERT INTO",
    "ALTER COLUMN",
    "ADD CONSTRAINT",
    "CREATE TRIGGER",
    "CREATE VIEW",
    "CREATE UNIQUE",
    "TRUNCATE",
];

/// What is wrong with a migration, if anything is.
fn breach(migration: &Migration) -> Option<String> {
    let Migration { number, text, step } = *migration;
    if let Step::Contract { since } = step {
        return (since <= BASE || since > number).then(|| format!("{number}: since {since}"));
    }
    let code: String = text.lines().map(|line| line.split("--").next().unwrap()).collect();
    let code = code.to_uppercase();
    if let Some(word) = FORBIDDEN.iter().find(|word| code.contains(**word)) {
        return Some(format!("{number}: {word}"));
    }
    let demands = |statement: &&str| {
        statement.contains("ALTER TABLE")
            && !(statement.contains("ADD COLUMN")
                && (!statement.contains("NOT NULL") || statement.contains("DEFAULT"))
                && !statement.contains("REFERENCES")
                && !statement.contains("UNIQUE")
                && !statement.contains("CHECK"))
    };
    code.split(';').find(demands).map(|statement| format!("{number}: {}", statement.trim()))
}

#[test]
fn migrations_after_the_first_release_only_add() {
    let breaches: Vec<String> =
        MIGRATIONS.iter().filter(|one| one.number > BASE).filter_map(breach).collect();
    assert_eq!(breaches, Vec::<String>::new(), "programs of the release before would fail");
    let numbers: Vec<i64> = MIGRATIONS.iter().map(|one| one.number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

#[test]
fn the_rule_finds_what_would_break_others() {
    for text in [
        "DROP TABLE roles;",
        "ALTER TABLE roles RENAME COLUMN path TO name;",
        "ALTER TABLE roles ADD COLUMN note TEXT NOT NULL;",
        "ALTER TABLE roles ADD COLUMN note TEXT UNIQUE;",
        "ALTER TABLE roles ADD COLUMN note TEXT NOT NULL DEFAULT '' CHECK (note <> 'x');",
        "CREATE UNIQUE INDEX roles_by_note ON roles (note);",
        "UPDATE roles SET body = '{}';",
        "CREATE INDEX a ON roles (path); ALTER TABLE roles ALTER COLUMN path TYPE BYTEA;",
    ] {
        assert!(breach(&expand(next(), text)).is_some(), "{text}");
    }
    for text in [ADDING, "CREATE INDEX roles_by_time ON roles (modified);"] {
        assert_eq!(breach(&expand(next(), text)), None, "{text}");
    }
    let contract = |since| Migration {
        number: next() + 1,
        text: "DROP TABLE x",
        step: Step::Contract { since },
    };
    assert_eq!(breach(&contract(next())), None);
    assert!(breach(&contract(BASE)).is_some() && breach(&contract(next() + 2)).is_some());
}

/// The number of the next release's migration.
fn next() -> i64 {
    newest() + 1
}

/// What the next release may bring.
const ADDING: &str =
    "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
    ALTER TABLE items ADD COLUMN note TEXT NOT NULL DEFAULT '';
    ALTER TABLE roles ADD COLUMN color BIGINT; -- RENAME is only a word here";
/// And the one after it.
const REMOVING: &str = "ALTER TABLE roles DROP COLUMN color;";

fn next_release() -> Vec<Migration> {
    [MIGRATIONS, &[expand(next(), ADDING)]].concat()
}

fn release_after_it() -> Vec<Migration> {
    let step = Step::Contract { since: next() };
    [&next_release()[..], &[Migration { number: next() + 1, text: REMOVING, step }]].concat()
}

/// A store of a server, as each node opens it.
struct Nodes {
    database: PostgresSettings,
    folders: Vec<tempfile::TempDir>,
}

impl Nodes {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { database: on_server::database_of(folder.path()), folders: vec![folder] }
    }

    fn open(&mut self) -> Result<Store, Fault> {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let config = StoreConfig {
            database: Some(self.database.clone()),
            alone: false,
            ..embedded(folder.path(), &clock)
        };
        self.folders.push(folder);
        Store::open(config)
    }

    /// What a program with these migrations does at its start.
    fn migrate(&self, migrations: &[Migration]) -> Result<Schema, Fault> {
        let place = Place::Server(Server::new(self.database.clone(), false)?);
        apply_all(&Tx::new(place.open_writer()?), migrations)
    }
}

#[test]
fn a_node_goes_on_while_the_next_release_migrates_and_may_be_started_after_it() {
    let mut nodes = Nodes::new();
    let old = nodes.open().unwrap();
    done(&old, |tx| crate::accounts::insert(tx, &account(ACCOUNT)));
    let work = |store: &Store, round: usize| {
        let name = format!("/{round}");
        done(store, move |tx| {
            items::insert(tx, &item(&name))?;
            roles::insert(tx, &role(&name)).map(drop)
        });
        let found = see(store, |q| items::by_path(q, ACCOUNT, &path(&format!("/{round}"))));
        assert!(found.is_some());
        assert_eq!(see(store, |q| roles::all_of(q, ACCOUNT)).len(), round + 1);
    };
    work(&old, 0);
    // While the old one writes without a pause.
    std::thread::scope(|scope| {
        let migrating = scope.spawn(|| nodes.migrate(&next_release()).unwrap());
        let mut rounds = 1;
        while !migrating.is_finished() || rounds < 5 {
            work(&old, rounds);
            rounds += 1;
        }
        assert_eq!(migrating.join().unwrap().version, newest());
        work(&old, rounds);
    });
    let place = StorePlace::new(std::path::PathBuf::new(), Some(nodes.database.clone()));
    let schema = place.schema().unwrap();
    assert_eq!(schema, Schema { version: next(), known: newest(), oldest: BASE });
    assert!(schema.is_usable());
    // It may come back, too: a rollback of the program needs none of the data.
    drop(old);
    let again = nodes.open().unwrap();
    assert!(see(&again, |q| items::by_path(q, ACCOUNT, &path("/0"))).is_some());
    // As long as it runs, nothing that it needs may go.
    let fault = nodes.migrate(&release_after_it()).unwrap_err();
    assert!(fault.public().contains("stop all control planes"), "{fault:?}");
    assert!(see(&again, |q| roles::by_path(q, ACCOUNT, &path("/0"))).is_some());
    drop(again);
    // The server notices in its own time that those sessions have ended.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while let Err(fault) = nodes.migrate(&release_after_it()) {
        assert!(std::time::Instant::now() < until, "{fault:?}");
    }
    let fault = nodes.open().err().unwrap();
    assert!(fault.public().contains("use the newer program"), "{fault}");
    assert_eq!(nodes.migrate(&next_release()).unwrap().oldest, next(), "this one knows enough");
}

#[test]
fn a_file_of_the_next_release_is_read_by_this_one_and_of_the_one_after_it_not() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let open = || Store::open(embedded(folder.path(), &clock));
    let store = open().unwrap();
    done(&store, |tx| crate::accounts::insert(tx, &account(ACCOUNT)));
    drop(store);
    let migrate = |migrations: &[Migration]| {
        let file = folder.path().join("control.db");
        apply_all(&Tx::new(Place::File(file).open_writer().unwrap()), migrations)
    };
    assert_eq!(migrate(&next_release()).unwrap().version, newest());
    let store = open().unwrap();
    done(&store, |tx| items::insert(tx, &item("/a")).map(drop));
    drop(store);
    migrate(&release_after_it()).unwrap();
    assert!(open().err().unwrap().public().contains("use the newer program"));
}
