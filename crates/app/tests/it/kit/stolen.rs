//! What thieves have: a manager's fragments, read from its directory and epoch key without its own
//! store; stored documents, read from the control plane's database; and a second implementation.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_crypto::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use minicbor::Decoder;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde_json::{Value, json};

use super::run::{Finished, finish};

const CLEAR: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("clear");
const SEALED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("sealed");
const AAD_LABEL: &[u8] = b"KSF1/at-rest\0";
/// Kind byte of records that hold fragments.
const SHARES: u8 = 2;

/// One manager's fragments of one key version.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) key_id: String,
    pub(crate) version: u32,
    pub(crate) threshold: u8,
    pub(crate) managers: u8,
    /// What `open_document.py` takes: manager, epoch, x, s.
    pub(crate) value: Value,
}

/// The fragments in a stopped manager's directory. `key_file` holds its epoch key.
pub(crate) fn shares_in(store: &Path, key_file: &Path) -> Vec<Share> {
    let file = std::fs::read(key_file).unwrap();
    let (_, rest) = file.split_at(b"KSF1-EK\n".len() + 8);
    let key = GcmKey::aes256(rest[..32].try_into().unwrap());
    // A copy, because redb writes when it opens.
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(store, copy.path()).unwrap();
    let db = Database::open(copy.path()).unwrap();
    let reading = db.begin_read().unwrap();
    let clear = reading.open_table(CLEAR).unwrap();
    let owner = clear.get("owner").unwrap().unwrap().value()[2..].to_vec();
    let sealed = reading.open_table(SEALED).unwrap();
    let mut shares = Vec::new();
    for entry in sealed.iter().unwrap() {
        let (name, record) = entry.unwrap();
        let (name, record) = (name.value(), record.value());
        if name[0] != SHARES {
            continue;
        }
        let (epoch, rest) = record.split_at(8);
        let (nonce, sealed) = rest.split_at(NONCE_BYTES);
        let aad = [AAD_LABEL, &owner, &name[1..], epoch, &name[..1]].concat();
        let mut plain = vec![0; sealed.len() - TAG_BYTES];
        key.open_into(nonce.try_into().unwrap(), &aad, sealed, &mut plain).unwrap();
        shares.push(share(&plain).unwrap());
    }
    shares
}

/// The stored versions of an item's value in a stopped control plane's directory, oldest first.
pub(crate) fn documents_in(control: &Path, item: i64) -> Vec<Vec<u8>> {
    let db = rusqlite::Connection::open(control.join("store/control.db")).unwrap();
    let text = "SELECT ciphertext FROM item_versions WHERE item = ?1 ORDER BY version";
    let mut statement = db.prepare(text).unwrap();
    let rows = statement.query_map([item], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The root of the project.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the second implementation.
pub(crate) fn open_document(args: &[&str], input: &[u8]) -> Finished {
    let mut command = Command::new("python3");
    // Isolated: nothing but the standard library is there to import.
    command.arg("-IS").arg(project().join("tests/second/open_document.py")).args(args);
    finish(&mut command, input)
}

/// What the second implementation is asked: the document, the fragments of the managers in `of`,
/// and customer fragments (id and value, both in hex).
pub(crate) fn question(
    document: &[u8],
    shares: &[Share],
    of: &[u64],
    fragments: &[(&str, &str)],
) -> Vec<u8> {
    let of_manager = |share: &&Share| of.contains(&share.value["manager"].as_u64().unwrap());
    let mut keys: Vec<Value> = Vec::new();
    for share in shares.iter().filter(of_manager) {
        let same = |key: &&mut Value| {
            key["key_id"] == share.key_id.as_str() && key["version"] == share.version
        };
        match keys.iter_mut().find(same) {
            Some(key) => key["shares"].as_array_mut().unwrap().push(share.value.clone()),
            None => keys.push(json!({
                "key_id": share.key_id, "version": share.version,
                "threshold": share.threshold, "managers": share.managers,
                "shares": [share.value],
            })),
        }
    }
    let fragments: serde_json::Map<String, Value> =
        fragments.iter().map(|(id, value)| ((*id).to_owned(), json!(value))).collect();
    json!({
        "document": STANDARD.encode(document), "keys": keys, "customer_fragments": fragments,
    })
    .to_string()
    .into_bytes()
}

fn share(record: &[u8]) -> Result<Share, minicbor::decode::Error> {
    let mut from = Decoder::new(record);
    from.array()?;
    from.u8()?;
    from.array()?;
    from.bytes()?;
    let key_id = hex::encode(from.bytes()?);
    let version = from.u32()?;
    from.array()?;
    let (threshold, managers) = (from.u8()?, from.u8()?);
    let (manager, epoch) = (from.u8()?, from.u32()?);
    let x = hex::encode(from.bytes()?);
    let mut s = serde_json::Map::new();
    for _ in 0..from.array()?.unwrap() {
        from.array()?;
        let set = from.u16()?;
        s.insert(set.to_string(), hex::encode(from.bytes()?).into());
    }
    let value = json!({ "manager": manager, "epoch": epoch, "x": x, "s": s });
    Ok(Share { key_id, version, threshold, managers, value })
}
