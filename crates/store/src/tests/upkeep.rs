//! A store carried from one engine to the other and back, looked over, and brought up to date.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use keysherd_base::{FaultKind, ManualClock};

use filled::{bytes, fill, raw, text};

use super::fixture::*;
use super::on_server;
use crate::export_file::{Cell, Counts};
use crate::tables::{TABLES, statements};
use crate::{
    PostgresSettings, Store, StoreConfig, StorePlace, accounts, auth_methods, item_versions, items,
    keys,
};

mod filled;

/// A closed store in a folder of its own.
struct Closed {
    folder: tempfile::TempDir,
    database: Option<PostgresSettings>,
}

impl Closed {
    fn empty(on_a_server: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = on_a_server.then(|| on_server::database_of(folder.path()));
        Self { folder, database }
    }

    fn filled(on_a_server: bool) -> Self {
        let closed = Self::empty(on_a_server);
        let store = closed.open();
        for id in [ACCOUNT, OTHER] {
            done(&store, move |tx| accounts::insert(tx, &account(id)));
        }
        fill(&store);
        closed
    }

    fn open(&self) -> Store {
        Store::open(self.config()).unwrap()
    }

    fn config(&self) -> StoreConfig {
        let clock = Arc::new(ManualClock::new(NOW));
        let database = self.database.clone();
        StoreConfig { database, alone: false, ..embedded(self.folder.path(), &clock) }
    }

    fn place(&self) -> StorePlace {
        StorePlace::new(self.folder.path().to_owned(), self.database.clone())
    }

    fn exported(&self) -> Vec<u8> {
        let mut file = Vec::new();
        self.place().export(&mut file, toy_hash, toy_sign).unwrap();
        file
    }

    fn import(&self, file: &[u8]) -> Result<Counts, keysherd_base::Fault> {
        self.import_from(Cursor::new(file))
    }

    fn import_from(&self, file: impl Read + Seek) -> Result<Counts, keysherd_base::Fault> {
        self.place().import(file, toy_hash, &toy_verify, &toy_verify)
    }

    /// That it is whole, and can be written to where it was left.
    fn assert_works(&self) {
        let inspection = self.place().inspect().unwrap();
        let checked = inspection.check().unwrap();
        assert_eq!(checked.problems, Vec::<String>::new());
        let mut chains = Vec::new();
        inspection
            .check_chains(toy_hash, &toy_verify, &mut |(_, state)| {
                chains.push(state.unwrap().records)
            })
            .unwrap();
        assert_eq!(chains, [2, 1]);
        drop(inspection);
        let store = self.open();
        let key = see(&store, |q| items::by_path(q, ACCOUNT, &path("/keys/later"))).unwrap().id;
        assert_eq!(see(&store, |q| items::count_with_key(q, key)), 1);
        let found = see(&store, |q| items::by_path(q, ACCOUNT, &path("/many/19"))).unwrap().id;
        let value = see(&store, |q| item_versions::latest(q, found)).unwrap();
        assert_eq!(value.ciphertext[..], [19; 200_000]);
        let next = done(&store, |tx| items::insert(tx, &item("/next")));
        assert_eq!(next.0, 24, "a number was given twice");
        done(&store, |tx| auth_methods::insert(tx, &method("/cd", "p-bbbbbbbbbbbb")).map(drop));
        wait(store.commit(vec![draft(ACCOUNT)], |_| Ok(()))).unwrap();
    }
}

#[test]
fn a_store_goes_to_a_server_and_back_and_is_the_same_to_the_byte() {
    let first = Closed::filled(false);
    let file = first.exported();
    assert!(file.len() > 4_000_000);
    let on_server = Closed::empty(true);
    let counts = on_server.import(&file).unwrap();
    assert!(counts.iter().all(|count| *count > 0), "the test has something of each: {counts:?}");
    assert_eq!(on_server.exported(), file);
    let back = Closed::empty(false);
    back.import(&file).unwrap();
    assert_eq!(back.exported(), file);
    for closed in [&first, &on_server, &back] {
        closed.assert_works();
    }
    // What was made on the server goes the same way.
    let second = Closed::empty(false);
    second.import(&on_server.exported()).unwrap();
    assert_eq!(second.exported(), on_server.exported());
}

/// A file with frames that anybody can make: links have no key.
struct Forged {
    file: Vec<u8>,
    link: [u8; 32],
}

impl Forged {
    /// With the first frame of a good one.
    fn beginning_as(file: &[u8]) -> Self {
        let first = &file[..8 + 5 + 5 + 32];
        Self { file: first.to_vec(), link: *first.last_chunk().unwrap() }
    }

    fn frame(&mut self, kind: u8, body: &[u8]) {
        let length = (body.len() as u64).to_be_bytes();
        self.link = toy_hash(&[b"KS1-db-export", &[0], &self.link, &[kind], &length, body]);
        let frame = [&[kind][..], &length[4..], body, &self.link].concat();
        self.file.extend_from_slice(&frame);
    }
}

#[test]
fn a_file_that_was_changed_is_refused_before_anything_is() {
    let source = Closed::filled(false);
    let file = source.exported();
    let target = Closed::empty(false);
    let refused = |bytes: &[u8]| {
        let fault = target.import(bytes).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault:?}");
        assert!(!target.folder.path().join("control.db").exists(), "{fault}");
        fault.public().to_owned()
    };
    for length in [0, 7, 8, 20, 1_000, file.len() / 2, file.len() - 1] {
        let why = refused(&file[..length]);
        assert!(why.contains("cut off") || (length < 8 && why.contains("not a file")), "{why}");
    }
    let mut step = 0;
    while step < file.len() {
        let mut changed = file.clone();
        changed[step] ^= 0x10;
        refused(&changed);
        step += 1 + file.len() / 23;
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(refused(&longer).contains("after its end"));
    // What somebody without the keys says is in it is not even read: it may be anything.
    let mut forged = Forged::beginning_as(&file);
    let mut seal = [0; TABLES.len() * 8 + 64];
    seal[..8].copy_from_slice(&1_000_000_u64.to_be_bytes());
    forged.frame(2, &[&[0][..], &1_000_000_u32.to_be_bytes(), &[7; 4_096]].concat());
    forged.frame(3, &seal);
    assert!(refused(&forged.file).contains("not signed"));
    // Of somebody with other keys.
    let mut forged = Vec::new();
    source.place().export(&mut forged, toy_hash, |_| [3; 64]).unwrap();
    assert!(refused(&forged).contains("not signed"));
    // With a row less, by somebody who can work out links.
    target.import(&file).unwrap();
}

#[test]
fn only_an_empty_store_that_nobody_uses_is_filled() {
    let file = Closed::filled(false).exported();
    for on_a_server in [false, true] {
        let target = Closed::empty(on_a_server);
        let store = target.open();
        let fault = target.import(&file).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "it is in use: {fault:?}");
        drop(store);
        target.import(&file).unwrap();
        let fault = target.import(&file).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Conflict, "{fault:?}");
        assert!(fault.public().contains("not empty"), "{fault}");
        target.assert_works();
    }
}

/// A file that ends with an error the second time that it is read to its half.
struct Failing<'a> {
    file: Cursor<&'a [u8]>,
    rewinds: u32,
}

impl Read for Failing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let half = self.file.get_ref().len() as u64 / 2;
        if self.rewinds > 1 && self.file.position() > half {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.file.read(out)
    }
}

impl Seek for Failing<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.rewinds += 1;
        self.file.seek(to)
    }
}

#[test]
fn an_import_that_did_not_end_is_known_and_can_be_begun_again() {
    let file = Closed::filled(false).exported();
    for on_a_server in [false, true] {
        let target = Closed::empty(on_a_server);
        let failing = Failing { file: Cursor::new(file.as_slice()), rewinds: 0 };
        target.import_from(failing).unwrap_err();
        // Nobody takes it for a new store, or for a whole one.
        let fault = Store::open(target.config()).err().unwrap();
        assert!(fault.public().contains("db import again"), "{fault}");
        let checked = target.place().inspect().unwrap().check().unwrap();
        assert_eq!(checked.problems.len(), 1, "{:?}", checked.problems);
        assert!(checked.counts[..TABLES.len() - 1].iter().all(|count| *count == 0));
        target.import(&file).unwrap();
        target.assert_works();
    }
}

#[test]
fn what_contradicts_itself_is_found() {
    for on_a_server in [false, true] {
        let closed = Closed::filled(on_a_server);
        let store = closed.open();
        // A key that is gone takes the values with it; and a body of another kind.
        done(&store, |tx| keys::delete(tx, KEY).map(drop));
        let row = vec![text("g-2"), Cell::Blob(vec![1; 16]), text("x"), text("y"), text("no json")];
        let endless = vec![
            bytes(15),
            Cell::Blob(vec![1; 16]),
            Cell::Int(1),
            Cell::Int(0),
            text("active"),
            Cell::Null,
            Cell::Int(0),
            Cell::Int(1),
            text("{}"),
        ];
        done(&store, move |tx| {
            raw(tx, "bearer_groups", row);
            raw(tx, "credential_leases", endless);
            Ok(())
        });
        drop(store);
        let problems = closed.place().inspect().unwrap().check().unwrap().problems;
        let said = problems.join("\n");
        assert_eq!(problems.len(), 4, "{said}");
        assert!(said.contains("1 rows: temporary credentials have no end"), "{said}");
        assert!(said.contains("1 gateway clusters: their configuration is sealed under"), "{said}");
        assert!(said.contains("20 rows: values are wrapped by a key that is not there"), "{said}");
        assert!(said.contains("1 rows: their body is no JSON"), "{said}");
    }
}

#[test]
fn damage_of_the_file_is_reported_wherever_it_is() {
    let closed = Closed::filled(false);
    let file = closed.folder.path().join("control.db");
    let whole = std::fs::read(&file).unwrap();
    // The beginning of some page of many: whatever it was of, the engine notices.
    let pages = whole.len() / 4_096;
    for page in (3..12).map(|part| pages * part / 12) {
        let mut content = whole.clone();
        content[page * 4_096..page * 4_096 + 64].fill(0xaa);
        std::fs::write(&file, content).unwrap();
        let inspection = closed.place().inspect().unwrap();
        let checked = inspection.check().unwrap();
        assert!(!checked.problems.is_empty(), "page {page}");
        let told = inspection.check_chains(toy_hash, &toy_verify, &mut |_| ());
        assert!(!told.is_err_and(|fault| fault.kind() == FaultKind::Unavailable));
    }
}

/// One table that cannot be read hides nothing of the others.
#[test]
fn what_cannot_be_read_is_a_problem_among_others() {
    for on_a_server in [false, true] {
        let closed = Closed::filled(on_a_server);
        let store = closed.open();
        done(&store, |tx| keys::delete(tx, KEY).map(drop));
        done(&store, |tx| {
            // A column of another kind, as in a page that is not what it was.
            crate::query::run(tx, "ALTER TABLE roles RENAME COLUMN path TO lost", &[])?;
            Ok(())
        });
        drop(store);
        let problems = closed.place().inspect().unwrap().check().unwrap().problems;
        let said = problems.join("\n");
        assert!(said.contains("not all rows can be read"), "{said}");
        assert!(said.contains("its roles: "), "{said}");
        assert!(said.contains("20 rows: values are wrapped by a key that is not there"), "{said}");
        assert!(said.contains("1 gateway clusters: their configuration"), "{said}");
    }
}

#[test]
fn where_there_is_no_store_nothing_is_made() {
    for on_a_server in [false, true] {
        let empty = Closed::empty(on_a_server);
        let place = empty.place();
        let faults = [
            place.inspect().err().unwrap(),
            place.export(io::sink(), toy_hash, toy_sign).unwrap_err(),
            place.migrate().unwrap_err(),
            place.schema().unwrap_err(),
        ];
        for fault in faults {
            assert_eq!(fault.kind(), FaultKind::NotFound, "{fault:?}");
        }
        assert_eq!(std::fs::read_dir(empty.folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn every_table_and_column_is_carried() {
    let closed = Closed::filled(false);
    let store = closed.open();
    let sql = "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c \
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
    let found = see(&store, |q| {
        crate::query::all(q, sql, &[], |row| {
            let kind = match row.text(2)? {
                "TEXT" => "Text",
                "BLOB" => "Blob",
                _ => "Int",
            };
            Ok(format!("{}.{} {kind}", row.text(0)?, row.text(1)?))
        })
    });
    let found: BTreeSet<String> = found.into_iter().collect();
    let carried = statements().iter().flat_map(|statements| {
        let table = statements.table;
        table.columns.iter().map(|(name, kind)| format!("{}.{name} {kind:?}", table.name))
    });
    assert_eq!(carried.collect::<BTreeSet<_>>(), found, "a new column goes into tables.rs, too");
    let numbered = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'";
    let numbered =
        see(&store, |q| crate::query::all(q, numbered, &[], |row| Ok(row.text(0)?.to_owned())));
    let known = crate::tables::NUMBERED.iter().map(|name| (*name).to_owned());
    assert_eq!(numbered.into_iter().collect::<BTreeSet<_>>(), known.collect::<BTreeSet<_>>());
}

#[test]
fn an_export_is_one_moment_of_a_store_that_goes_on() {
    for on_a_server in [false, true] {
        let closed = Closed::filled(on_a_server);
        let before = closed.exported();
        let store = closed.open();
        /// Writes to the store as soon as the first bytes come.
        struct Disturbing<'a>(&'a Store, Vec<u8>);
        impl io::Write for Disturbing<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.1.len() > 2_000_000 {
                    let name = format!("/new/{}", self.1.len());
                    done(self.0, move |tx| items::insert(tx, &item(&name)).map(drop));
                }
                self.1.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut out = Disturbing(&store, Vec::new());
        closed.place().export(&mut out, toy_hash, toy_sign).unwrap();
        let file = out.1;
        // All tables are of the moment; only the numbers that were given are of later.
        let end = before.len() - 1_000;
        assert!(file[..end] == before[..end], "the export has what came later");
        drop(store);
        let target = Closed::empty(false);
        target.import(&file).unwrap();
    }
}
