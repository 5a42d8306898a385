//! The registry of domain-separation labels (design 5.1). Every label of suite 1 is in this file.
//!
//! A PRF label is followed by one zero byte and fixed-length fields; the zero byte is part of the
//! constants here. A signature label is text: the signed bytes are `label | 00 | body`. No label,
//! with its zero byte, is a prefix of another, which a test proves.

/// Leg S: one partial of the replicated-key PRF.
pub const LEG_S: &[u8] = b"KSF1/S\0";
/// Leg S: the check value by which the holders of one key compare it.
pub const LEG_S_CHECK: &[u8] = b"KSF1/S-kcv\0";
/// Leg S: HKDF salt that joins the contributions of the holders to one key.
pub const LEG_S_GENERATION: &[u8] = b"KSF1/S-gen";
/// Leg C: the PRF under the customer fragment.
pub const LEG_C: &[u8] = b"KSF1/C\0";
/// Leg C: the check value by which a gateway recognizes the customer fragment of a key.
pub const LEG_C_CHECK: &[u8] = b"KSF1/C-check\0";
/// Leg C: what makes a customer fragment of the answer of a hardware module.
pub const LEG_C_MODULE: &[u8] = b"KSF1/C-hsm\0";
/// Leg C: what makes the key of a customer fragment under which a gateway keeps what it opened.
pub const LEG_C_CACHE: &[u8] = b"KSF1/cache\0";
/// The checksum of a recovery share of a customer fragment.
pub const FRAGMENT_SHARE: &[u8] = b"KSF1/cf-share\0";
/// The check characters of one of its printed rows.
pub const FRAGMENT_SHARE_ROW: &[u8] = b"KSF1/cf-share-row\0";
/// What a manager's fragments are sealed to the recovery key with, and for.
pub const RECOVERY: &[u8] = b"KSF1/recovery\0";
/// HKDF salt that joins the three legs.
pub const COMBINE: &[u8] = b"KSF1/combine";
/// HKDF info of the key-encryption key and its commitment.
pub const KEK: &[u8] = b"KSF1/kek\0";
/// The hedged nonce of a DLEQ proof.
pub const DLEQ_NONCE: &[u8] = b"KSF1/dleq-nonce\0";
/// The hash by which managers compare the parameters of a generation.
pub const GENERATION_PARAMETERS: &[u8] = b"KSF1/gen-params\0";
/// The hash by which managers compare what all of them said in round 1 of a generation.
pub const GENERATION_VIEW: &[u8] = b"KSF1/gen-view\0";
/// The hash chain of a manager's log.
pub const LOG_ENTRY: &[u8] = b"KSF1/log-entry\0";

/// The hash by which managers compare the parameters of a refresh.
pub const REFRESH_PARAMETERS: &[u8] = b"KSF1/refresh-params\0";
/// The hash by which managers compare what all of them said in round 1 of a refresh.
pub const REFRESH_VIEW: &[u8] = b"KSF1/refresh-view\0";
/// The hash by which managers compare the parameters of a repair.
pub const REPAIR_PARAMETERS: &[u8] = b"KSF1/repair-params\0";

/// RFC 9497 section 4.1: hash to a group element, VOPRF mode.
pub const HASH_TO_GROUP: &[u8] = b"HashToGroup-OPRFV1-\x01-ristretto255-SHA512";
/// RFC 9497 section 4.1: hash to a scalar, VOPRF mode.
pub const HASH_TO_SCALAR: &[u8] = b"HashToScalar-OPRFV1-\x01-ristretto255-SHA512";
/// RFC 9497 section 2.2.1: seed of the weights of a batched proof, VOPRF mode.
pub const DLEQ_SEED: &[u8] = b"Seed-OPRFV1-\x01-ristretto255-SHA512";

/// Signature of the control plane over a permit.
pub const SIGN_PERMIT: &str = "KSF1-sig/permit";
/// Signature of a gateway instance over a derivation request.
pub const SIGN_DERIVE_REQUEST: &str = "KSF1-sig/derive-req";
/// Signature of a manager over its answer to a derivation request.
pub const SIGN_DERIVE_ANSWER: &str = "KSF1-sig/derive-resp";
/// Signature of the owner over a trust bundle.
pub const SIGN_BUNDLE: &str = "KSF1-sig/bundle";
/// Signature of an owner key over the key that follows it.
pub const SIGN_SUCCESSION: &str = "KSF1-sig/owner-succession";
/// Signature of a role's identity key over its request to be trusted.
pub const SIGN_ENROLLMENT: &str = "KSF1-sig/enrollment";
/// Signature of a manager over a key manifest.
pub const SIGN_MANIFEST: &str = "KSF1-sig/manifest";
/// Signature of a gateway cluster over the key of one of its instances.
pub const SIGN_INSTANCE: &str = "KSF1-sig/instance";
/// Signature of a gateway instance over a request to generate a key.
pub const SIGN_GENERATE_REQUEST: &str = "KSF1-sig/generate-req";
/// Signature of a manager over what it says in round 1 of a generation.
pub const SIGN_ROUND1: &str = "KSF1-sig/generate-round1";
/// Signature of a manager over the record of an epoch.
pub const SIGN_EPOCH: &str = "KSF1-sig/epoch";
/// Signature of a manager over what it says in round 1 of a refresh.
pub const SIGN_REFRESH_ROUND1: &str = "KSF1-sig/refresh-round1";
/// Signature of a manager over what it computed in a refresh.
pub const SIGN_REFRESH_COLLECTED: &str = "KSF1-sig/refresh-collected";
/// Signature of a gateway instance over a request to refresh keys.
pub const SIGN_REFRESH_REQUEST: &str = "KSF1-sig/refresh-req";
/// Signature of the owner over an order to the managers.
pub const SIGN_ORDER: &str = "KSF1-sig/owner-order";
/// Signature of a manager over its statement that a key version is erased.
pub const SIGN_DESTROY_RECEIPT: &str = "KSF1-sig/destroy-receipt";
/// Signature of a manager over its fragments as it sealed them to the recovery key.
pub const SIGN_RECOVERY: &str = "KSF1-sig/recovery-export";

/// Labels of suite 1 that roles use by themselves: transit messages and the unconfirmed values of a
/// gateway (design 5.7). They stand here so that none can be used twice by mistake. Those of
/// `keysherd-crypto` are in its own list, which the test reads.
pub const ELSEWHERE: &[&[u8]] = &[b"KSF1/msg\0", b"KSF1/pending\0"];

/// Every label of this file that enters a PRF or a hash.
pub const PRF: &[&[u8]] = &[
    LEG_S,
    LEG_S_CHECK,
    LEG_S_GENERATION,
    LEG_C,
    LEG_C_CHECK,
    LEG_C_MODULE,
    LEG_C_CACHE,
    FRAGMENT_SHARE,
    FRAGMENT_SHARE_ROW,
    RECOVERY,
    COMBINE,
    KEK,
    DLEQ_NONCE,
    GENERATION_PARAMETERS,
    GENERATION_VIEW,
    LOG_ENTRY,
    REFRESH_PARAMETERS,
    REFRESH_VIEW,
    REPAIR_PARAMETERS,
    HASH_TO_GROUP,
    HASH_TO_SCALAR,
    DLEQ_SEED,
];

/// Every signature label of this file.
pub const SIGNATURES: &[&str] = &[
    SIGN_PERMIT,
    SIGN_DERIVE_REQUEST,
    SIGN_DERIVE_ANSWER,
    SIGN_BUNDLE,
    SIGN_SUCCESSION,
    SIGN_ENROLLMENT,
    SIGN_MANIFEST,
    SIGN_INSTANCE,
    SIGN_GENERATE_REQUEST,
    SIGN_ROUND1,
    SIGN_EPOCH,
    SIGN_REFRESH_ROUND1,
    SIGN_REFRESH_COLLECTED,
    SIGN_REFRESH_REQUEST,
    SIGN_ORDER,
    SIGN_DESTROY_RECEIPT,
    SIGN_RECOVERY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_a_prefix_of_another() {
        let texts = SIGNATURES.iter().chain(&keysherd_crypto::labels::ALL);
        let signed = texts.map(|label| [label.as_bytes(), &[0]].concat());
        let hashed = PRF.iter().chain(ELSEWHERE).map(|label| label.to_vec());
        let all: Vec<Vec<u8>> = signed.chain(hashed).collect();
        for (at, label) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert!(at == other_at || !other.starts_with(label), "{label:?} begins {other:?}");
            }
        }
    }

    #[test]
    fn the_registry_lists_every_constant_of_this_file() {
        let source = include_str!("labels.rs");
        let constants = source.lines().filter(|line| line.starts_with("pub const ")).count();
        // Three of the constants are the lists themselves.
        assert_eq!(PRF.len() + SIGNATURES.len() + 3, constants);
    }
}
