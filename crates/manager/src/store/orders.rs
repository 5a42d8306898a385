//! What the store keeps of the owner's orders: the newest about each target, and receipts.

use keysherd_base::{AccountId, Fault, SecretBytes, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::order::{FreezeScope, Target};
use redb::ReadableDatabase;

use super::record::OrderRecord;
use super::{KeyRecord, Kind, SEALED, Store, broken, does_not_open, key_of};

impl Store {
    /// Every order that is remembered.
    ///
    /// # Errors
    /// When a record does not open.
    pub(crate) fn orders(&self) -> Result<Vec<OrderRecord>, Fault> {
        let sealing = self.sealing();
        let transaction = self.db.begin_read().map_err(broken)?;
        let table = transaction.open_table(SEALED).map_err(broken)?;
        let (first, end) = ([Kind::Order as u8], [Kind::Order as u8 + 1]);
        let mut orders = Vec::new();
        for entry in table.range(first.as_slice()..end.as_slice()).map_err(broken)? {
            let (name, record) = entry.map_err(broken)?;
            let name = key_of(name.value()).ok_or_else(does_not_open)?;
            let record = self.open_record(&sealing, Kind::Order, &name, record.value())?;
            orders.push(OrderRecord::from_bytes(&record).ok_or_else(does_not_open)?);
        }
        Ok(orders)
    }

    /// Keeps the newest order about `target`. Durable on return.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_order(&self, target: &Target, record: &OrderRecord) -> Result<(), Fault> {
        self.write(&[(Kind::Order, name_of(target), Some(&record.to_bytes()))])
    }

    /// The receipt of an erased key version.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn receipt(&self, key: &KeyVersion) -> Result<Option<Signed>, Fault> {
        let record = self.read(Kind::Receipt, key)?;
        let open = |record: SecretBytes| Signed::from_bytes(record.expose());
        record.map(open).transpose().map_err(|_| does_not_open())
    }

    /// Erases the fragments of a key version; its record and the receipt stay. Durable on return.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn erase_shares(
        &self,
        key: &KeyVersion,
        record: &KeyRecord,
        receipt: &Signed,
    ) -> Result<(), Fault> {
        let receipt = SecretBytes::new(receipt.to_bytes());
        self.write(&[
            (Kind::Shares, *key, None),
            (Kind::Shelf, *key, None),
            (Kind::Key, *key, Some(&record.to_bytes())),
            (Kind::Receipt, *key, Some(&receipt)),
        ])
    }
}

/// The name of an order's record: names of records have the shape of a key version, so this is a
/// hash of the target in that shape.
fn name_of(target: &Target) -> KeyVersion {
    let version = match target {
        Target::Destruction(key) => key.version.to_be_bytes(),
        Target::Freeze(_) => [0; 4],
    };
    let parts: [&[u8]; 4] = match target {
        Target::Destruction(key) => [&[1], key.account.0.as_bytes(), key.id.as_bytes(), &version],
        Target::Freeze(FreezeScope::Key { account, id }) => {
            [&[2], account.0.as_bytes(), id.as_bytes(), &[]]
        }
        Target::Freeze(FreezeScope::Group(name)) => [&[3], name.as_bytes(), &[], &[]],
    };
    let hash = sha256(&parts);
    let half = |from: usize| {
        let mut half = [0; 16];
        half.iter_mut().zip(hash.iter().skip(from)).for_each(|(to, from)| *to = *from);
        Uid(half)
    };
    KeyVersion { account: AccountId(half(0)), id: half(16), version: 0 }
}
