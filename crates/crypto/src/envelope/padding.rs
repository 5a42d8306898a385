//! PADME padding (Nikitin and others, "Reducing Metadata Leakage from Encrypted Files and
//! Communication with PURBs", 2019): a length keeps its leading bits only.
//!
//! Padded form: value, zeros, length of the value as big-endian u32. The length stands at the end
//! so that removing the padding shortens the buffer and moves nothing.

use keysherd_base::{Secret, SecretBytes};

use crate::OpenFailed;

/// Bytes of the length at the end.
const LENGTH_BYTES: usize = 4;

/// Pads `value`, which must be shorter than 4 GiB.
pub(super) fn add(value: &[u8]) -> SecretBytes {
    let length = u32::try_from(value.len()).expect("invariant: values are limited to megabytes");
    let total = padme(value.len() + LENGTH_BYTES);
    let mut padded = Vec::with_capacity(total);
    padded.extend_from_slice(value);
    padded.resize(total - LENGTH_BYTES, 0);
    padded.extend_from_slice(&length.to_be_bytes());
    Secret::new(padded)
}

/// Takes the padding off; only what [`add`] gives is accepted.
pub(super) fn remove(mut padded: SecretBytes) -> Result<SecretBytes, OpenFailed> {
    let bytes = padded.expose();
    let (body, length) = bytes.split_last_chunk::<LENGTH_BYTES>().ok_or(OpenFailed)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| OpenFailed)?;
    let zeros = body.get(length..).ok_or(OpenFailed)?;
    if zeros.iter().any(|byte| *byte != 0) || padme(length + LENGTH_BYTES) != bytes.len() {
        return Err(OpenFailed);
    }
    padded.expose_mut().truncate(length);
    Ok(padded)
}

/// The least length not below `length` whose binary form has zeros after as many leading bits as
/// its exponent takes to write down.
fn padme(length: usize) -> usize {
    let Some(exponent) = length.checked_ilog2().filter(|exponent| *exponent > 0) else {
        return length;
    };
    let mask = (1 << (exponent - exponent.ilog2() - 1)) - 1;
    (length + mask) & !mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn padme_keeps_the_leading_bits() {
        let pairs = [
            (0, 0),
            (1, 1),
            (2, 2),
            (8, 8),
            (9, 10),
            (11, 12),
            (100, 104),
            (128, 128),
            (129, 144),
            (1000, 1024),
            (1025, 1088),
            (1_000_000, 1_015_808),
            (1_048_577, 1_081_344),
        ];
        for (length, padded) in pairs {
            assert_eq!(padme(length), padded, "{length}");
        }
    }

    #[test]
    fn refuses_every_other_form() {
        for bad in [
            vec![],
            vec![0; 3],
            vec![0, 0, 0, 1],
            vec![7, 0, 0, 0, 0],
            vec![0, 0, 0, 0, 0],
            vec![7, 0, 0, 0, 2],
            vec![255; 8],
            vec![1, 2, 3, 4, 5, 9, 0, 0, 0, 5],
        ] {
            assert!(remove(Secret::new(bad.clone())).is_err(), "{bad:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_from_a_bounded_form(value: Vec<u8>) {
            let padded = add(&value);
            let length = padded.expose().len();
            prop_assert!(length >= value.len() + 4);
            prop_assert!((length - value.len() - 4) * 100 <= (value.len() + 4) * 12);
            prop_assert_eq!(padme(length), length);
            let removed = remove(padded).unwrap();
            prop_assert_eq!(removed.expose(), &value);
        }

        #[test]
        fn arbitrary_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            if let Ok(value) = remove(Secret::new(bytes.clone())) {
                let padded = add(value.expose());
                prop_assert_eq!(padded.expose(), &bytes);
            }
        }
    }
}
