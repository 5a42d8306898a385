//! `keysherd db`: looking after the database of a control plane.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use keysherd_audit::HEAD_LABEL;
use keysherd_base::{Fault, FaultKind};
use keysherd_control::{ControlKeys, SealedRows, sealed_rows};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, Signature};
use keysherd_store::export_file::{Counts, EXPORT_LABEL};
use keysherd_store::{ChainState, Checked, Schema, StorePlace, TABLES};
use serde_json::{Value, json};

use crate::config::db::{DbConfig, DbErrand};
use crate::exit::Exit;

/// Does what the flags say.
pub(crate) fn run(flags: &ArgMatches) -> Result<(), Exit> {
    let config = DbConfig::load(flags, &|name| std::env::var(name).ok())?;
    crate::logging::start(false);
    let control = control_dir(&config.data_dir);
    let place = StorePlace::new(control.join("store"), config.database.clone());
    let keys = control.join("keys");
    let said = match &config.errand {
        DbErrand::Check => return check(&config, &place, &keys),
        DbErrand::Migrate { dry_run } => migrate(&place, *dry_run)?,
        DbErrand::Export(file) => export(&place, &keys, file)?,
        DbErrand::Import(file) => import(&place, &keys, file)?,
    };
    print(&config, &said);
    Ok(())
}

/// What is printed, for people and for programs.
struct Said {
    text: String,
    json: Value,
}

fn print(config: &DbConfig, said: &Said) {
    let mut out = std::io::stdout();
    let _closed = match config.json {
        true => writeln!(out, "{}", said.json),
        false => writeln!(out, "{}", said.text.trim_end()),
    };
}

/// Control's own directory: a server's has one for each role.
fn control_dir(data_dir: &Path) -> PathBuf {
    let beside = data_dir.join("control");
    if data_dir.join("keys").is_dir() || !beside.is_dir() { data_dir.to_owned() } else { beside }
}

fn migrate(place: &StorePlace, dry_run: bool) -> Result<Said, Exit> {
    let (before, after) = match dry_run {
        true => {
            let now = place.schema()?;
            (now, now)
        }
        false => place.migrate()?,
    };
    let Schema { version, known, oldest } = after;
    let text = match (before.version == version, version < known) {
        (false, _) => format!("schema version {} became {version}", before.version),
        (true, true) => format!("schema version {version}: db migrate would make it {known}"),
        (true, false) => format!("schema version {version}: nothing to do"),
    };
    let json = json!({"before": before.version, "version": version, "known": known,
                      "oldest_program": oldest});
    Ok(Said { text, json })
}

fn export(place: &StorePlace, keys: &Path, path: &Path) -> Result<Said, Exit> {
    let audit = ControlKeys::load(keys)?.audit;
    let failed = |error: std::io::Error| Exit::Files(format!("{}: {error}", path.display()));
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned();
    let file = options.open(path).map_err(failed)?;
    let written = write_export(place, &file, &|body| audit.sign(EXPORT_LABEL, body).0);
    let synced = written.and_then(|counts| file.sync_all().map(|()| counts).map_err(failed));
    if synced.is_err() {
        // What is there is of no use to anybody.
        let _ = fs::remove_file(path);
    }
    let counts = synced?;
    let text = format!("{}: {}", path.display(), rows_in_words(&counts));
    Ok(Said { text, json: json!({"file": path, "rows": rows(&counts)}) })
}

fn write_export(
    place: &StorePlace,
    file: &File,
    sign: &dyn Fn(&[u8]) -> [u8; 64],
) -> Result<Counts, Exit> {
    Ok(place.export(BufWriter::new(file), sha256, sign)?)
}

fn import(place: &StorePlace, keys: &Path, path: &Path) -> Result<Said, Exit> {
    let key = ControlKeys::audit_public(keys)?;
    let file =
        File::open(path).map_err(|error| Exit::Files(format!("{}: {error}", path.display())))?;
    let (of_file, of_head) = (signed_by(key, EXPORT_LABEL), signed_by(key, HEAD_LABEL));
    let counts = place
        .import(BufReader::new(file), sha256, &of_file, &of_head)
        .map_err(|fault| refused(path, fault))?;
    let text = format!("{}: {}", place.shown(), rows_in_words(&counts));
    Ok(Said { text, json: json!({"store": place.shown(), "rows": rows(&counts)}) })
}

/// A file that is not good is found not to be intact; everything else is about the place.
fn refused(path: &Path, fault: Fault) -> Exit {
    match fault.kind() {
        FaultKind::BadRequest => Exit::NotIntact(format!("{}: {}", path.display(), fault.public())),
        _ => fault.into(),
    }
}

fn signed_by(key: PublicKey, label: &'static str) -> impl Fn(&[u8], &[u8; 64]) -> bool {
    move |body, signature| key.verify(label, body, &Signature(*signature))
}

/// Everything that a check found.
struct Report {
    schema: Schema,
    checked: Checked,
    chains: Vec<ChainState>,
    sealed: SealedRows,
}

fn check(config: &DbConfig, place: &StorePlace, keys: &Path) -> Result<(), Exit> {
    let inspection = place.inspect()?;
    let keys = ControlKeys::load(keys)?;
    let schema = inspection.schema()?;
    let mut checked = inspection.check()?;
    let mut chains = Vec::new();
    let of_head = signed_by(keys.audit.public(), HEAD_LABEL);
    let told = inspection.check_chains(sha256, &of_head, &mut |chain| chains.push(chain));
    checked.note("the heads of the audit logs", told)?;
    let sealed = inspection.read(|reader| sealed_rows(&keys, reader));
    let sealed = checked.note("what control has sealed for itself", sealed)?.unwrap_or_default();
    if !schema.is_usable() {
        checked.problems.push(format!(
            "the schema has version {} and this program knows version {}: run keysherd db migrate, \
             or use the newer program",
            schema.version, schema.known
        ));
    }
    let headless = checked.note("the audit logs", inspection.has_headless_chain())?;
    if headless == Some(true) {
        checked.problems.push("audit records have lost the signed head of their chain".to_owned());
    }
    if sealed.closed > 0 {
        let closed = sealed.closed;
        checked
            .problems
            .push(format!("{closed} sealed rows do not open with the keys of this node"));
    }
    let report = Report { schema, checked, chains, sealed };
    print(config, &Said { text: report.text(), json: report.json() });
    match report.problems() {
        0 => Ok(()),
        problems => Err(Exit::NotIntact(format!("{}: {problems} problems", place.shown()))),
    }
}

impl Report {
    fn problems(&self) -> usize {
        let broken = self.chains.iter().filter(|(_, state)| state.is_err()).count();
        self.checked.problems.len() + broken
    }

    fn text(&self) -> String {
        let Schema { version, known, oldest } = self.schema;
        let mut text = format!(
            "schema version {version}; this program knows {known}; programs from {oldest} on work \
             with it\n{}\n",
            rows_in_words(&self.checked.counts)
        );
        for (account, state) in &self.chains {
            text.push_str(&match state {
                Ok(chain) => {
                    format!("{account}: {} audit records, none altered or missing\n", chain.records)
                }
                Err(finding) => {
                    format!("WRONG: {account}: the audit log is NOT INTACT: {finding}\n")
                }
            });
        }
        text.push_str(&format!(
            "{} sealed rows open with the keys of this node\n",
            self.sealed.open
        ));
        for problem in &self.checked.problems {
            text.push_str(&format!("WRONG: {problem}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let chains = self.chains.iter().map(|(account, state)| match state {
            Ok(chain) => json!({"account_id": account.to_string(), "ok": true,
                                "records": chain.records}),
            Err(finding) => json!({"account_id": account.to_string(), "ok": false,
                                   "finding": finding}),
        });
        json!({
            "ok": self.problems() == 0,
            "schema": {"version": self.schema.version, "known": self.schema.known,
                       "oldest_program": self.schema.oldest},
            "rows": rows(&self.checked.counts),
            "chains": chains.collect::<Vec<_>>(),
            "sealed_rows": {"open": self.sealed.open, "closed": self.sealed.closed},
            "problems": self.checked.problems,
        })
    }
}

/// The rows by table: all but the last entry, which is no table.
fn named(counts: &Counts) -> impl Iterator<Item = (&'static str, u64)> {
    let tables = TABLES.len() - 1;
    TABLES.iter().take(tables).map(|table| table.title()).zip(*counts)
}

fn rows(counts: &Counts) -> Value {
    named(counts).map(|(name, count)| (name.to_owned(), json!(count))).collect()
}

fn rows_in_words(counts: &Counts) -> String {
    let some = named(counts).filter(|(_, count)| *count > 0);
    let parts: Vec<String> = some.map(|(name, count)| format!("{name} {count}")).collect();
    let total: u64 = named(counts).map(|(_, count)| count).sum();
    if parts.is_empty() {
        "no rows".to_owned()
    } else {
        format!("{total} rows: {}", parts.join(", "))
    }
}
