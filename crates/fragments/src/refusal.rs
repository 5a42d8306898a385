//! Why something was refused: one small enum with stable numbers, used on the wire and in logs.

use std::fmt;

use keysherd_base::{Fault, FaultKind, RngFailed};

use crate::manager_set::ManagerIndex;

/// Declares [`Refusal`] as one table, so that number, kind and text of a refusal cannot drift
/// apart. (The crate's only macro that defines an item.)
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:ident, $text:literal;)*) => {
        /// Why a message, a permit, a key or an answer was refused.
        ///
        /// The numbers are part of the protocol and never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Refusal { $($(#[$doc])* $name = $code),* }

        impl Refusal {
            /// Every refusal.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The refusal with this number, if there is one.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What failed and what to do next.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What a public caller is told it is.
            pub const fn kind(self) -> FaultKind {
                match self { $(Self::$name => FaultKind::$kind),* }
            }
        }
    };
}

refusals! {
    /// Bytes that are not the one encoding of a message.
    Malformed = 1, BadRequest, "malformed message; both sides must run the same protocol version";
    /// Over a limit of the protocol.
    TooLarge = 2, TooLarge, "message over its limit; split the batch";
    /// A message number nobody knows.
    UnknownMessage = 3, BadRequest, "unknown message; upgrade the older side";

    /// No cluster in the trust bundle has this gateway.
    UnknownGateway = 10, Unauthorized,
        "gateway is in no cluster of the trust bundle; let the owner add it and sign the bundle";
    /// The cluster's statement about the gateway's key does not verify or has expired.
    BadEndorsement = 11, Unauthorized,
        "the cluster's endorsement of this gateway is invalid or expired; renew it";

    /// No permit key that is valid now signed the permit.
    BadPermitSignature = 20, Unauthorized,
        "permit is not signed by a permit key of the trust bundle that is valid now";
    /// The permit begins later than the skew allows.
    PermitNotYetValid = 21, Unauthorized, "permit is not yet valid; check the clocks";
    /// The permit is over.
    PermitExpired = 22, Unauthorized, "permit has expired; ask for a new one";
    /// The permit runs longer than a permit may.
    PermitTooLong = 23, Unauthorized, "permit is valid for longer than 60 seconds";
    /// The permit was made under a newer trust bundle.
    BundleStale = 24, Unavailable,
        "this manager has an older trust bundle than the permit; send it the newer one";
    /// The account is not one of the bundle's.
    WrongAccount = 25, Unauthorized, "permit is for an account this trust bundle does not list";
    /// The bundle changed since the permit was verified.
    BundleChanged = 26, Unavailable, "trust bundle changed meanwhile; verify the permit again";
    /// The permit has no entry, too many, or a use count or an op out of range.
    BadPermit = 27, BadRequest, "permit has no entries, too many, or a field out of range";

    /// The permit is for another gateway than the one on the line.
    WrongGateway = 30, Unauthorized, "permit, connection and request are not by one gateway";
    /// The request's own signature is wrong.
    BadRequestSignature = 31, Unauthorized, "request is not signed by the gateway's key";
    /// The request is for another manager.
    WrongManager = 32, BadRequest, "request is addressed to another manager";
    /// The request names another permit.
    WrongPermit = 33, BadRequest, "request does not belong to this permit";
    /// An entry index is out of range, repeated or out of order.
    BadEntries = 34, BadRequest, "entry indexes must ascend and lie in the permit";

    /// The manager has no such key version.
    UnknownKey = 40, NotFound, "no such key version at this manager";
    /// The key's group is not one of the cluster's.
    GroupNotAllowed = 41, Unauthorized,
        "the key's group is not allowed for this gateway cluster in the trust bundle";
    /// The key version is pending, waiting to be destroyed, or destroyed.
    KeyNotEnabled = 42, Forbidden,
        "key version is not enabled: never completed, waiting to be destroyed, or destroyed";
    /// The owner froze the key.
    KeyFrozen = 43, Forbidden, "key is frozen by its owner";
    /// The customer fragment is not one of the cluster's.
    FragmentNotAllowed = 44, Unauthorized,
        "the key's customer fragment is not allowed for this gateway cluster";
    /// The group demands a customer fragment and the key has none.
    FragmentRequired = 45, Forbidden, "keys of this group must have a customer fragment";
    /// The key belongs to another account.
    KeyOfOtherAccount = 46, NotFound, "no such key version in this account";
    /// The key version exists already.
    KeyExists = 47, Conflict, "key version exists already; choose a new one";

    /// The cluster may not do this.
    OpNotAllowed = 50, Unauthorized, "operation is not allowed for this gateway cluster";
    /// The operation does not derive keys of this class.
    ClassNotAllowed = 51, Forbidden, "operation does not extend to this class of key";

    /// The permit's uses are spent.
    PermitUsedUp = 60, Unauthorized, "permit was used as often as it may be; ask for a new one";
    /// A token bucket is empty.
    RateLimited = 61, RateLimited, "derivations per second over the owner's cap; slow down";
    /// The number of distinct items is over the budget.
    TooManyItems = 62, RateLimited, "distinct items over the owner's cap for this hour or day";
    /// Memory set aside for counting is full.
    CountersFull = 63, RateLimited, "too many permits or items are being counted; wait";

    /// The owner did not sign this bundle.
    BadBundleSignature = 70, Unauthorized, "trust bundle is not signed by the pinned owner key";
    /// An older bundle than the pinned one.
    BundleOlder = 71, Conflict, "trust bundle is older than the pinned one";
    /// Another bundle with the pinned version number.
    BundleForked = 72, Conflict, "two trust bundles have one version; the owner must sign a newer";
    /// A bundle of another deployment.
    WrongDeployment = 73, Unauthorized, "trust bundle belongs to another deployment";
    /// The bundle contradicts itself.
    BadBundle = 74, BadRequest, "trust bundle contradicts itself; make it again";

    /// A manifest without the signatures of all its managers.
    BadManifestSignature = 80, Unauthorized, "key manifest is not signed by all its managers";
    /// A manifest that contradicts itself.
    BadManifest = 81, BadRequest, "key manifest contradicts itself; generate the key again";
    /// A manifest that differs from what this manager saw.
    ManifestMismatch = 82, Conflict,
        "key manifest differs from this manager's own view; generate the key again";

    /// No such generation session, or it is another gateway's.
    UnknownSession = 90, NotFound, "no such generation session; begin again";
    /// The session ran out of time.
    SessionExpired = 91, Timeout, "generation session expired; begin again";
    /// Too many sessions at once.
    TooManySessions = 92, RateLimited, "too many generation sessions at once; wait";
    /// A session with this id exists.
    SessionExists = 93, Conflict, "generation session exists already; choose a new id";
    /// A round-1 statement does not verify.
    BadRound1 = 94, Unauthorized, "a manager's round-1 statement does not verify";
    /// Managers were shown different round-1 statements.
    ViewsDiffer = 95, Conflict, "managers saw different round-1 statements; begin again";
    /// A deal does not verify against its sender's commitment.
    BadDeal = 96, Conflict, "a manager dealt a share that does not verify; the owner must look";
    /// Deals are still missing.
    DealMissing = 97, Unavailable, "not all deals have arrived; collect again";
    /// This sender's deal is here already.
    DealRepeated = 98, Conflict, "a deal of this manager has arrived already";
    /// A leg-S contribution is zero or was seen before.
    ContributionReplayed = 99, Conflict, "a leg-S contribution repeats another; begin again";
    /// Not exactly the n managers of the key take part.
    NotAllParticipants = 100, BadRequest, "all managers of the key must take part";
    /// The step does not follow the last one.
    WrongStep = 101, Conflict, "generation step out of order";

    /// The record of an epoch does not prove itself.
    BadEpochRecord = 102, Unauthorized,
        "epoch record is not signed by all who took part, or does not fit the key";
    /// This manager's share is of a past epoch, or lost.
    ShareOutdated = 103, Unavailable,
        "this manager missed a refresh and waits for its repair; use the other managers";
    /// This manager has not asked the others yet whether its shares are current.
    EpochUnchecked = 104, Unavailable,
        "this manager cannot reach enough others to know that its shares are current";
    /// The managers of a refresh are not at the epoch it begins from.
    WrongEpoch = 105, Conflict, "managers are not at the epoch this refresh begins from; try again";
    /// Another refresh or repair of the same key is under way.
    RefreshBusy = 106, Conflict, "the key is being refreshed or repaired already; wait a minute";
    /// A refresh leaves out a manager that answers.
    PeerLeftOut = 107, Conflict, "the refresh leaves out a manager that can be reached; try again";
    /// Too many refreshes of the key came to nothing.
    RefreshUnresolved = 108, Unavailable,
        "several refreshes of this key were not finished; see that all its managers run";
    /// A repaired share does not fit the public shares.
    BadRepair = 109, Unavailable,
        "a manager helped with a wrong value in a repair; nothing was taken, the owner must look";
    /// The manager's signature on its answer is wrong.
    BadAnswerSignature = 110, Unavailable, "a manager's answer is not signed by its key";
    /// The answer is to another request, or has another shape.
    AnswerMismatch = 111, Unavailable, "a manager's answer does not fit the request";
    /// A point is the identity or not canonical.
    BadPoint = 112, Unavailable, "a manager answered with an invalid group element";
    /// A proof of correct derivation is missing or wrong.
    BadProof = 113, Unavailable, "a manager did not prove its derivation";
    /// Managers answered from different epochs.
    EpochsDiffer = 114, Unavailable, "managers are at different epochs; try again";
    /// Fewer than t managers gave a usable answer.
    NotEnoughManagers = 115, Unavailable, "not enough fragment managers answered; try again";
    /// The derived key is not the one the ciphertext commits to.
    CommitmentMismatch = 116, Internal,
        "ciphertext does not belong to the derived key: altered, or another customer fragment";
    /// Two quorums derive different keys.
    SelfTestFailed = 117, Internal, "two quorums derive different keys; generate the key again";
    /// Holders of one leg-S key disagree while there is nothing to decide who lies.
    HoldersDisagree = 118, Unavailable,
        "two managers contradict each other; the owner must remove one before writes go on";
    /// No group of the managers that answered derives the committed key, and not all answered.
    Undecided = 119, Unavailable,
        "key does not fit the ciphertext and not all managers answered to say why; try again";

    /// The random source failed.
    RandomnessFailed = 120, Internal, "the random source failed; nothing was done";
    /// A stored record of fragments cannot be read.
    BadRecord = 121, Internal,
        "a stored fragment record cannot be read: the manager's disk is full or fails, or the \
         record is damaged; its log says which; make space, or repair this manager";

    /// The pinned owner did not sign this order.
    BadOrderSignature = 125, Unauthorized, "order is not signed by the pinned owner key";
    /// The order begins later than the skew allows.
    OrderNotYetValid = 126, Conflict,
        "order was signed in the future; check the clocks of the owner's machine and of this one";
    /// The order is over.
    OrderExpired = 127, Conflict, "order has expired; let the owner sign a new one";
    /// The order ends before it begins, or runs longer than an order may.
    OrderTooLong = 128, BadRequest, "order must be valid for at least a moment, at most 30 days";
    /// A newer order about the same key or group was obeyed already.
    OrderSuperseded = 129, Conflict,
        "a newer order about the same key or group was obeyed already; let the owner sign again";
    /// There is no destruction to cancel.
    NotScheduled = 130, Conflict, "no destruction of this key version is scheduled";
    /// The key version is erased for good.
    KeyDestroyed = 131, Conflict, "key version is destroyed; nothing brings it back";
    /// The trust bundle has no such key group.
    UnknownGroup = 132, NotFound, "no key group of this name in the trust bundle";
    /// A destroy receipt that the manager it names did not sign.
    BadReceipt = 133, BadRequest, "destroy receipt is not signed by the manager's key";
    /// The log is shorter, or what is asked for was archived, or it is too much at one time.
    NotInLog = 134, NotFound,
        "no such entries in the manager's log: it ends before them, or they were archived";

    /// A statement about the next owner key that is none, or for another deployment.
    BadSuccession = 140, Unauthorized,
        "the change of the owner key is not signed by the pinned owner for this deployment";
    /// A request to be trusted that its own key did not sign.
    BadEnrollment = 141, Unauthorized,
        "the request is not signed by the key it is about; let that machine make it again";
}

impl Refusal {
    /// The number.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind(), refusal.text()).with_private(format_args!("{refusal:?}"))
    }
}

impl From<RngFailed> for Refusal {
    fn from(_: RngFailed) -> Self {
        Self::RandomnessFailed
    }
}

/// A refusal and the manager that caused it, where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blame {
    /// What was refused.
    pub refusal: Refusal,
    /// Who caused it.
    pub culprit: Option<ManagerIndex>,
}

impl Blame {
    /// A refusal that `culprit` caused.
    pub const fn on(culprit: ManagerIndex, refusal: Refusal) -> Self {
        Self { refusal, culprit: Some(culprit) }
    }
}

impl From<Refusal> for Blame {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, culprit: None }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.culprit {
            Some(culprit) => write!(f, "manager {culprit}: {}", self.refusal),
            None => self.refusal.fmt(f),
        }
    }
}

impl std::error::Error for Blame {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_come_back() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), Some(*refusal));
            assert!(refusal.text().len() > 10);
        }
        assert_eq!(Refusal::from_code(0), None);
        assert_eq!(Refusal::from_code(u16::MAX), None);
    }
}
