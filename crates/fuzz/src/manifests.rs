//! Manifests behind good signatures: what managers could be made to sign.

use std::sync::LazyLock;

use keysherd_base::Secret;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::labels;
use keysherd_fragments::manifest::SignedManifest;

use crate::fragment_samples as samples;

static BUNDLE: LazyLock<PinnedBundle> = LazyLock::new(|| {
    let owner = SigningKey::from_seed(&Secret::new([77; 32]));
    let signed = samples::bundle().seal(&owner);
    PinnedBundle::open(owner.public(), signed).expect("invariant: the owner signed it")
});

/// All managers of the bundle sign the bytes: a manifest that is then trusted says what was signed,
/// names exactly its signers, and is not trusted with a signature less.
pub fn manifests(data: &[u8]) {
    let sign = |number| samples::manager_key(number).sign(labels::SIGN_MANIFEST, data);
    let mut signed =
        SignedManifest { body: data.to_vec(), signatures: (1..=3).map(sign).collect() };
    let Ok(trusted) = signed.verify(&BUNDLE) else { return };
    let manifest = trusted.manifest();
    assert_eq!(manifest.to_bytes(), data);
    assert_eq!(usize::from(manifest.threshold.n()), signed.signatures.len());
    assert_eq!(manifest.managers, samples::manifest().managers);
    signed.signatures.swap(0, 1);
    assert!(signed.verify(&BUNDLE).is_err(), "signatures of others");
    signed.signatures.swap(0, 1);
    signed.signatures.pop();
    assert!(signed.verify(&BUNDLE).is_err(), "a signature less");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let good = samples::manifest();
    let mut other_group = good.clone();
    other_group.group_key = other_group.public_shares[0];
    vec![good.to_bytes(), other_group.to_bytes()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_seed_is_trusted_and_the_second_contradicts_itself() {
        let verify = |body: &Vec<u8>| {
            let sign = |number| samples::manager_key(number).sign(labels::SIGN_MANIFEST, body);
            SignedManifest { body: body.clone(), signatures: (1..=3).map(sign).collect() }
                .verify(&BUNDLE)
                .map(|_| ())
        };
        let outcomes: Vec<_> = seeds().iter().map(verify).collect();
        assert_eq!(outcomes, [Ok(()), Err(keysherd_fragments::refusal::Refusal::BadManifest)]);
    }
}
