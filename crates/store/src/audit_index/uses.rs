//! When objects were last used, and by whom: taken down from the records in batches, so that a
//! read costs no write of its own.

use std::collections::{BTreeMap, HashMap};

use keysherd_audit::{Brief, action};
use keysherd_base::{AccountId, Fault, ItemPath, Timestamp};

use super::days::{self, DayKey, DaySums};
use crate::items;
use crate::query::{Query, Reader, Row, Tx, first, run};

const LAST: &str = "SELECT time, access_id, unique_id FROM uses \
                    WHERE account = ?1 AND object = ?2";
const PUT: &str = "INSERT INTO uses (account, object, time, access_id, unique_id) \
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account, object) DO UPDATE SET \
                   time = excluded.time, access_id = excluded.access_id, \
                   unique_id = excluded.unique_id WHERE excluded.time >= uses.time";

/// The last use of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// When it was recorded.
    pub time: Timestamp,
    /// By which auth method.
    pub access_id: String,
    /// By whom within the method.
    pub unique_id: String,
}

/// What was read from the chains and is not in the index yet.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    pub(super) uses: HashMap<(AccountId, String), LastUse>,
    pub(super) days: BTreeMap<DayKey, DaySums>,
}

/// The name of an item in the index.
pub(super) fn item(id: i64) -> String {
    format!("i/{id}")
}

/// The name of an auth method in the index.
pub(super) fn method(access_id: &str) -> String {
    format!("m/{access_id}")
}

/// The items of an account by path, each looked up once.
pub(super) struct Items<'a> {
    account: AccountId,
    chains: &'a Reader,
    known: HashMap<String, Option<(i64, Timestamp)>>,
}

impl<'a> Items<'a> {
    /// None looked up yet.
    pub(super) fn new(account: AccountId, chains: &'a Reader) -> Self {
        Self { account, chains, known: HashMap::new() }
    }

    /// The item that has the path now, and when it was made.
    fn at(&mut self, path: &str) -> Result<Option<(i64, Timestamp)>, Fault> {
        if let Some(known) = self.known.get(path) {
            return Ok(*known);
        }
        let parsed = ItemPath::parse(path).ok();
        let found = parsed.map(|path| items::by_path(self.chains, self.account, &path));
        let found = found.transpose()?.flatten().map(|item| (item.id.0, item.created));
        self.known.insert(path.to_owned(), found);
        Ok(found)
    }
}

impl Overlay {
    /// How much is in it.
    pub(super) fn len(&self) -> usize {
        self.uses.len() + self.days.len()
    }

    /// Takes down what a record tells.
    pub(super) fn take(&mut self, record: &Brief<'_>, items: &mut Items<'_>) -> Result<(), Fault> {
        let account = items.account;
        days::add(&mut self.days, account, record);
        if !record.succeeded() || record.access_id().is_empty() {
            return Ok(());
        }
        self.put(account, method(record.access_id()), record);
        if !is_use(record) {
            return Ok(());
        }
        for place in record.places() {
            // A path is looked up when the record is a second old or so; should the item be
            // another one by then, it was made later and has not been used.
            let found = items.at(place.path())?;
            if let Some((id, _)) = found.filter(|(_, created)| *created <= record.time()) {
                self.put(account, item(id), record);
            }
        }
        if let Some(Ok(id)) = record.param("item_id").map(str::parse::<i64>) {
            self.put(account, item(id), record);
        }
        Ok(())
    }

    fn put(&mut self, account: AccountId, object: String, record: &Brief<'_>) {
        let time = record.time();
        let newer = |known: &LastUse| known.time > time;
        if self.uses.get(&(account, object.clone())).is_some_and(newer) {
            return;
        }
        let (access_id, unique_id) = (record.access_id().into(), record.unique_id().into());
        self.uses.insert((account, object), LastUse { time, access_id, unique_id });
    }

    /// Writes everything into the index.
    pub(super) fn write(&self, tx: &Tx) -> Result<(), Fault> {
        for ((account, object), last) in &self.uses {
            let args = [
                account.into(),
                object.into(),
                last.time.0.into(),
                (&last.access_id).into(),
                (&last.unique_id).into(),
            ];
            run(tx, PUT, &args)?;
        }
        days::write(tx, &self.days)
    }
}

/// Whether the record tells of a use of an item's value, not only of its description.
fn is_use(record: &Brief<'_>) -> bool {
    match record.action() {
        action::GET_SECRET_VALUE
        | action::GET_DYNAMIC_SECRET_VALUE
        | action::GET_DYNAMIC_SECRET_DETAILS
        | action::GET_ROTATED_SECRET_VALUE
        | action::GET_ROTATED_SECRET_DETAILS
        | action::GET_TARGET_DETAILS => true,
        action::GET_ITEM_DERIVATION_CREDS => {
            matches!(record.param("operation"), Some("encrypt" | "decrypt" | "use_target"))
        }
        _ => false,
    }
}

/// The last use of an object as the index has it.
pub(super) fn stored(
    q: &dyn Query,
    account: AccountId,
    object: &str,
) -> Result<Option<LastUse>, Fault> {
    first(q, LAST, &[(&account).into(), object.into()], last_of)
}

fn last_of(row: &Row<'_>) -> Result<LastUse, Fault> {
    Ok(LastUse {
        time: Timestamp(row.int(0)?),
        access_id: row.text(1)?.to_owned(),
        unique_id: row.text(2)?.to_owned(),
    })
}
