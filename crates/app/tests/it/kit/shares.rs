//! What a thief of a manager's directory and epoch key has: its fragments, read without Keysherd's
//! own store.

use std::path::Path;

use keysherd_crypto::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use minicbor::Decoder;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde_json::{Value, json};

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
