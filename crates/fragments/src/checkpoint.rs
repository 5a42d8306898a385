//! Positions in a manager's log, and the proof that one position leads to another (design 5.8).
//!
//! Every answer carries the position after its own entry as a signed note. Who remembers one can
//! have the manager prove, with the hashes of the entries in between and without their contents,
//! that its log still leads through it ([`follows`]). A log that was cut or written anew does not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Uid;
use keysherd_crypto::hash::sha256;
use keysherd_crypto::note;
use keysherd_crypto::sign::{PublicKey, SigningKey};

use crate::labels;

#[cfg(test)]
mod tests;

/// Most entries that one proof leads over: 512 KiB of hashes.
pub const PROOF_ENTRIES_MAX: usize = 16_384;

/// How the first line of a checkpoint begins.
const ORIGIN: &str = "keysherd-fragments/";

/// A position in the log: how many entries come before it, and the hash that chains them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// How many entries.
    pub size: u64,
    /// The chained hash of the last of them; zeros for none.
    pub head: [u8; 32],
}

impl Checkpoint {
    /// The position after `entry` was appended here.
    #[must_use]
    pub fn after(&self, entry: &[u8]) -> Self {
        self.after_hash(&sha256(&[entry]))
    }

    /// The position after an entry with this SHA-256 was appended here.
    #[must_use]
    pub fn after_hash(&self, entry_sha256: &[u8; 32]) -> Self {
        let size = self.size.to_be_bytes();
        let head = sha256(&[labels::LOG_ENTRY, &size, &self.head, entry_sha256]);
        Self { size: self.size.saturating_add(1), head }
    }

    /// The text of this position in the log of `manager`: that of a C2SP tlog-checkpoint, origin,
    /// size and base64 of the hash, one line each.
    pub fn to_note(&self, manager: &Uid) -> Vec<u8> {
        self.text(manager).into_bytes()
    }

    fn text(&self, manager: &Uid) -> String {
        let head = STANDARD.encode(self.head);
        format!("{ORIGIN}{manager}\n{}\n{head}\n", self.size)
    }

    /// Reads what [`Self::to_note`] wrote; `None` for anything else.
    pub fn from_note(note: &[u8]) -> Option<(Uid, Self)> {
        let text = std::str::from_utf8(note).ok()?;
        let mut lines = text.strip_prefix(ORIGIN)?.strip_suffix('\n')?.split('\n');
        let (manager, size, head) = (lines.next()?, lines.next()?, lines.next()?);
        let manager = keysherd_base::AccountId::parse(&format!("acc-{manager}")).ok()?.0;
        let head = STANDARD.decode(head).ok()?.try_into().ok()?;
        let position = Self { size: size.parse().ok()?, head };
        (position.to_note(&manager) == note).then_some((manager, position))
    }

    /// The position as a C2SP signed note of the manager with this identity key.
    pub fn sign(&self, manager: &Uid, identity: &SigningKey) -> Vec<u8> {
        let signed = note::sign(identity, &origin(manager), &self.text(manager));
        signed.expect("invariant: origins and checkpoints are texts of notes").into_bytes()
    }

    /// Reads a signed note without looking at its signature, for who has verified what it came in.
    pub fn read_signed(signed: &[u8]) -> Option<(Uid, Self)> {
        let text = note::text(std::str::from_utf8(signed).ok()?)?;
        Self::from_note(text.as_bytes())
    }

    /// Opens a note that the manager with this identity key signed; gives the id of its store and
    /// the position.
    pub fn open_signed(signed: &[u8], identity: &PublicKey) -> Option<(Uid, Self)> {
        let (manager, _) = Self::read_signed(signed)?;
        let text = note::open(std::str::from_utf8(signed).ok()?, &origin(&manager), identity)?;
        Self::from_note(text.as_bytes())
    }
}

/// Whether entries with these hashes, 32 bytes each, lead from `from` to `to`.
pub fn follows(from: &Checkpoint, hashes: &[u8], to: &Checkpoint) -> bool {
    let (hashes, rest) = hashes.as_chunks::<32>();
    rest.is_empty() && hashes.iter().fold(*from, |at, hash| at.after_hash(hash)) == *to
}

fn origin(manager: &Uid) -> String {
    format!("{ORIGIN}{manager}")
}
