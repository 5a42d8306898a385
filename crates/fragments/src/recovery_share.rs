//! Recovery shares of a customer fragment, or of the key that fragment managers seal theirs to: any
//! `k` of `m` people restore it (design 5.11).
//!
//! ```text
//! format u8 = 1 | type u8 (0 standard, 1 hsm_wrapped, 2 hsm_secured, 3 recovery key)
//! | k and m, 4 bits each | number u8, 1 to m | ceremony 4 | fragment id 16 | share of the value 32
//! | checksum 4 = first bytes of SHA-256("KSF1/cf-share" 00 | all before)
//! ```
//! These 60 bytes are printed in base32 (RFC 4648) as four numbered rows of 24 characters, each
//! with two more that tell a mistyped row. The ceremony is a random number that all shares of one
//! splitting have: shares of two splittings of one fragment do not fit each other.
//!
//! What is shared is the value in the fragment's file. For a fragment that is kept in hardware that
//! is the seed, so the hardware's key has to be kept too. Of a recovery key it is the seed, and the
//! id is the beginning of the public key's SHA-256.

use std::fmt;

use keysherd_base::{Rng, Secret, SecretString, Uid};
use keysherd_crypto::hash::{constant_time_eq, sha256};
use keysherd_crypto::hpke;
use keysherd_crypto::shamir::{self, SharingFailed};

use crate::fragment_file::{FragmentEntry, FragmentKind, VALUE_BYTES, id_text};
use crate::labels;

#[cfg(test)]
mod tests;
mod text;

/// Most shares, and most of them that can be needed.
pub const SHARES_MAX: u8 = 15;
/// Bytes of an encoded share.
const SHARE_BYTES: usize = 60;
const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// One person's share.
#[derive(Debug)]
pub struct RecoveryShare {
    /// Where the fragment comes from; a hardware key's label is not part of it.
    pub kind: SharedKind,
    /// How many restore the fragment.
    pub threshold: u8,
    /// How many there are.
    pub shares: u8,
    /// Which one this is, from 1.
    pub number: u8,
    /// The splitting it comes of.
    pub ceremony: [u8; 4],
    /// The fragment.
    pub id: Uid,
    value: Secret<[u8; VALUE_BYTES]>,
}

/// The type of a shared fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SharedKind {
    /// The shared value is the fragment.
    Standard = 0,
    /// The shared value is the seed of a `hsm_wrapped` fragment.
    HsmWrapped = 1,
    /// The shared value is the seed of a `hsm_secured` fragment.
    HsmSecured = 2,
    /// The shared value is the seed of the key that fragment managers seal their fragments to.
    RecoveryKey = 3,
}

/// What shares restore.
#[derive(Debug)]
pub struct Restored {
    /// The fragment.
    pub id: Uid,
    /// Where it comes from.
    pub kind: SharedKind,
    /// The value for its file.
    pub value: Secret<[u8; VALUE_BYTES]>,
}

/// Why shares were not made, read or put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareProblem {
    /// A text without four numbered rows.
    NotAShare,
    /// A row that was not typed or read right.
    Row(u8),
    /// Every row is right, but the whole is not one share.
    Checksum,
    /// A format of another version of this program.
    Format,
    /// Not 2 <= k <= m <= [`SHARES_MAX`].
    Parameters,
    /// Shares of different fragments.
    OtherFragment,
    /// Shares of a recovery key where a fragment is wanted, or the other way.
    OtherKind,
    /// They fit each other, but do not give the recovery key they name.
    WrongKey,
    /// Shares of one fragment from different splittings.
    OtherCeremony,
    /// One share twice.
    Repeated(u8),
    /// How many there are and how many are needed.
    TooFew(usize, u8),
    /// More than enough shares that do not fit each other.
    Contradiction,
    /// The random source failed.
    Random,
}

impl fmt::Display for ShareProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAShare => f.write_str("not a recovery share: it has four rows, 1 to 4"),
            Self::Row(row) => write!(f, "row {row} has an error; compare it with the paper"),
            Self::Checksum => f.write_str("the rows are not all of one share"),
            Self::Format => f.write_str("a recovery share of another version of this program"),
            Self::Parameters => write!(
                f,
                "2 to {SHARES_MAX} shares can be made, and at least 2 of them must be needed"
            ),
            Self::OtherFragment => f.write_str("the shares are of different fragments"),
            Self::OtherKind => f.write_str(
                "shares of a recovery key and shares of a customer fragment are different things",
            ),
            Self::WrongKey => f.write_str(
                "the shares do not give the recovery key they name: at least one was altered",
            ),
            Self::OtherCeremony => f.write_str(
                "the shares come of different splittings; take those with one ceremony number",
            ),
            Self::Repeated(number) => write!(f, "share {number} is given twice"),
            Self::TooFew(have, need) => write!(f, "{have} shares are given, {need} are needed"),
            Self::Contradiction => {
                f.write_str("the shares contradict each other: at least one was altered")
            }
            Self::Random => f.write_str("the random source failed; no share was made"),
        }
    }
}

impl std::error::Error for ShareProblem {}

impl SharedKind {
    fn of(kind: &FragmentKind) -> Self {
        match kind {
            FragmentKind::Standard => Self::Standard,
            FragmentKind::HsmWrapped { .. } => Self::HsmWrapped,
            FragmentKind::HsmSecured { .. } => Self::HsmSecured,
        }
    }

    /// The kind, with the label of the hardware key where it has one. A recovery key is no
    /// fragment, and [`combine`] never gives one.
    pub fn with_label(self, key_label: String) -> FragmentKind {
        match self {
            Self::Standard | Self::RecoveryKey => FragmentKind::Standard,
            Self::HsmWrapped => FragmentKind::HsmWrapped { key_label },
            Self::HsmSecured => FragmentKind::HsmSecured { key_label },
        }
    }
}

/// Shares the value of `entry` among `shares` people, of whom `threshold` restore it.
///
/// # Errors
/// [`ShareProblem::Parameters`], [`ShareProblem::Random`].
pub fn split(
    entry: &FragmentEntry,
    threshold: u8,
    shares: u8,
    rng: &dyn Rng,
) -> Result<Vec<RecoveryShare>, ShareProblem> {
    let of = (SharedKind::of(&entry.kind), entry.id);
    share_out(of, &entry.value, threshold, shares, rng)
}

/// Shares the seed of a recovery key, whose public key is `public`.
///
/// # Errors
/// [`ShareProblem::Parameters`], [`ShareProblem::Random`].
pub fn split_recovery_key(
    seed: &Secret<[u8; VALUE_BYTES]>,
    threshold: u8,
    shares: u8,
    rng: &dyn Rng,
) -> Result<Vec<RecoveryShare>, ShareProblem> {
    let of = (SharedKind::RecoveryKey, recovery_key_id(&hpke::public_key(seed)));
    share_out(of, seed, threshold, shares, rng)
}

/// By what shares name a recovery key: the beginning of its public key's SHA-256.
pub fn recovery_key_id(public: &[u8]) -> Uid {
    Uid(copied(&sha256(&[public])[..16]))
}

fn share_out(
    (kind, id): (SharedKind, Uid),
    value: &Secret<[u8; VALUE_BYTES]>,
    threshold: u8,
    shares: u8,
    rng: &dyn Rng,
) -> Result<Vec<RecoveryShare>, ShareProblem> {
    if shares > SHARES_MAX {
        return Err(ShareProblem::Parameters);
    }
    let ceremony = rng.array().map_err(|_| ShareProblem::Random)?;
    let made = shamir::split(value.expose(), threshold, shares, rng);
    let made = made.map_err(|failed| match failed {
        SharingFailed::Random => ShareProblem::Random,
        _ => ShareProblem::Parameters,
    })?;
    let share = |share: shamir::Share| RecoveryShare {
        kind,
        threshold,
        shares,
        number: share.index,
        ceremony,
        id,
        value: fixed(share.value.expose()),
    };
    Ok(made.into_iter().map(share).collect())
}

/// Puts shares together. All that are given must fit each other.
///
/// Shares that somebody forged, checksum and all, can give a wrong value when no more than needed
/// are given: compare the fragment's fingerprint.
///
/// # Errors
/// [`ShareProblem`].
pub fn combine(shares: &[RecoveryShare]) -> Result<Restored, ShareProblem> {
    let restored = put_together(shares)?;
    let key = restored.kind == SharedKind::RecoveryKey;
    if key { Err(ShareProblem::OtherKind) } else { Ok(restored) }
}

/// Puts the shares of a recovery key together, and gives its seed.
///
/// # Errors
/// [`ShareProblem`].
pub fn combine_recovery_key(
    shares: &[RecoveryShare],
) -> Result<Secret<[u8; VALUE_BYTES]>, ShareProblem> {
    let restored = put_together(shares)?;
    if restored.kind != SharedKind::RecoveryKey {
        return Err(ShareProblem::OtherKind);
    }
    let named = recovery_key_id(&hpke::public_key(&restored.value)) == restored.id;
    if named { Ok(restored.value) } else { Err(ShareProblem::WrongKey) }
}

fn put_together(shares: &[RecoveryShare]) -> Result<Restored, ShareProblem> {
    let first = shares.first().ok_or(ShareProblem::TooFew(0, 2))?;
    for (place, share) in shares.iter().enumerate() {
        if share.id != first.id {
            return Err(ShareProblem::OtherFragment);
        }
        let splitting = |share: &RecoveryShare| {
            (share.ceremony, share.threshold, share.shares, share.kind as u8)
        };
        if splitting(share) != splitting(first) {
            return Err(ShareProblem::OtherCeremony);
        }
        if shares[..place].iter().any(|other| other.number == share.number) {
            return Err(ShareProblem::Repeated(share.number));
        }
    }
    let parts: Vec<shamir::Share> = shares
        .iter()
        .map(|share| shamir::Share {
            index: share.number,
            value: Secret::new(share.value.expose().to_vec()),
        })
        .collect();
    let value = shamir::combine(first.threshold, &parts).map_err(|failed| match failed {
        SharingFailed::TooFew => ShareProblem::TooFew(shares.len(), first.threshold),
        _ => ShareProblem::Contradiction,
    })?;
    Ok(Restored { id: first.id, kind: first.kind, value: fixed(value.expose()) })
}

impl RecoveryShare {
    /// What is printed or written down: who it belongs to, and the four rows.
    pub fn to_text(&self, name: &str, fingerprint: Option<&str>) -> SecretString {
        let Self { number, shares, threshold, .. } = self;
        let ceremony: String = self.ceremony.iter().map(|byte| format!("{byte:02x}")).collect();
        let head = format!(
            "Keysherd recovery share {number} of {shares}; any {threshold} of them restore\n\
             fragment     {} {name}\nfingerprint  {}\nceremony     {ceremony}\n\n",
            id_text(&self.id),
            fingerprint.unwrap_or("kept in hardware")
        );
        text::write(head, &self.encoded())
    }

    /// As [`Self::to_text`], for a share of a recovery key.
    pub fn to_key_text(&self) -> SecretString {
        let Self { number, shares, threshold, .. } = self;
        let ceremony: String = self.ceremony.iter().map(|byte| format!("{byte:02x}")).collect();
        let head = format!(
            "Keysherd recovery key: share {number} of {shares}; any {threshold} of them open what \
             the fragment managers exported\nrecovery key {}\nceremony     {ceremony}\n\n",
            self.id
        );
        text::write(head, &self.encoded())
    }

    /// Reads what [`Self::to_text`] gave, or only its rows, as people type them.
    ///
    /// # Errors
    /// [`ShareProblem`].
    pub fn parse(text: &str) -> Result<Self, ShareProblem> {
        let bytes = text::read(text)?;
        Self::decoded(bytes.expose())
    }

    fn encoded(&self) -> Secret<[u8; SHARE_BYTES]> {
        let mut bytes = Secret::new([0; SHARE_BYTES]);
        let out = bytes.expose_mut();
        let counts = self.threshold << 4 | self.shares;
        out[..4].copy_from_slice(&[FORMAT, self.kind as u8, counts, self.number]);
        out[4..8].copy_from_slice(&self.ceremony);
        out[8..24].copy_from_slice(self.id.as_bytes());
        out[24..56].copy_from_slice(self.value.expose());
        let checksum = checksum(&out[..56]);
        out[56..].copy_from_slice(&checksum);
        bytes
    }

    fn decoded(bytes: &[u8; SHARE_BYTES]) -> Result<Self, ShareProblem> {
        let (body, sum) = bytes.split_at(SHARE_BYTES - CHECKSUM_BYTES);
        if !constant_time_eq(sum, &checksum(body)) {
            return Err(ShareProblem::Checksum);
        }
        let kind = match bytes[1] {
            0 => SharedKind::Standard,
            1 => SharedKind::HsmWrapped,
            2 => SharedKind::HsmSecured,
            3 => SharedKind::RecoveryKey,
            _ => return Err(ShareProblem::Format),
        };
        let (threshold, shares, number) = (bytes[2] >> 4, bytes[2] & 15, bytes[3]);
        let possible = (2..=shares).contains(&threshold) && (1..=shares).contains(&number);
        let id = Uid(copied(&bytes[8..24]));
        if bytes[0] != FORMAT || !possible || id == Uid::default() {
            return Err(ShareProblem::Format);
        }
        let ceremony = copied(&bytes[4..8]);
        let value = fixed(&bytes[24..56]);
        Ok(Self { kind, threshold, shares, number, ceremony, id, value })
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    copied(&sha256(&[labels::FRAGMENT_SHARE, body])[..CHECKSUM_BYTES])
}

fn copied<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("invariant: lengths of the format")
}

fn fixed(bytes: &[u8]) -> Secret<[u8; VALUE_BYTES]> {
    Secret::new(copied(bytes))
}
