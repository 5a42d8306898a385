//! What a store may do to an envelope, and that none of it opens.

use super::*;

/// Where the payload of an envelope with one wrap begins.
const PAYLOAD: usize = WRAPS_OFFSET + WRAP_BYTES;
/// Where its chunks begin.
const CHUNKS: usize = PAYLOAD + 40;
/// A small chunk and its tag.
const SEALED_CHUNK: usize = 32;

#[test]
fn no_flipped_bit_opens() {
    for options in [PLAIN, PADDED] {
        let sealed = sealed_with(&bytes(40), options, SMALL);
        for bit in 0..sealed.len() * 8 {
            let mut wrong = sealed.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&wrong), None, "bit {bit} of byte {}", bit / 8);
        }
    }
}

#[test]
fn no_truncation_and_no_extension_opens() {
    let sealed = sealed_with(&bytes(48), PLAIN, SMALL);
    for length in 0..sealed.len() {
        assert_eq!(opened(&sealed[..length]), None, "{length} bytes left");
        assert_eq!(opened(&sealed[sealed.len() - length..]), None, "last {length} bytes");
    }
    for extra in 1..40 {
        assert_eq!(opened(&[sealed.as_slice(), &vec![0; extra]].concat()), None, "{extra}");
    }
}

#[test]
fn chunks_cannot_be_moved_repeated_or_dropped() {
    let sealed = sealed_with(&bytes(64), PLAIN, SMALL);
    let (head, chunks) = sealed.split_at(CHUNKS);
    let chunks: Vec<&[u8]> = chunks.chunks(SEALED_CHUNK).collect();
    assert_eq!(chunks.len(), 4);
    let with = |order: &[usize]| {
        let payload: Vec<u8> = order.iter().flat_map(|i| chunks[*i].to_vec()).collect();
        opened(&[head, &payload].concat())
    };
    assert_eq!(with(&[0, 1, 2, 3]), Some(bytes(64)));
    let wrong: [&[usize]; 10] = [
        &[1, 0, 2, 3],
        &[0, 2, 1, 3],
        &[3, 2, 1, 0],
        &[0, 0, 1, 2, 3],
        &[0, 1, 2, 3, 3],
        &[0, 1, 2],
        &[1, 2, 3],
        &[0, 1, 3],
        &[3],
        &[0],
    ];
    for order in wrong {
        assert_eq!(with(order), None, "{order:?}");
    }
}

#[test]
fn a_failed_last_chunk_returns_no_byte_of_the_others() {
    let mut sealed = sealed_with(&bytes(64), PLAIN, SMALL);
    let last = sealed.len() - 1;
    sealed[last] ^= 1;
    let envelope = Envelope::parse(&sealed).unwrap();
    let key = envelope.unwrap_dek(0, &kek(0x55)).unwrap().payload_key(&envelope);
    assert!(matches!(envelope.open(&key), Err(OpenFailed)));
}

#[test]
fn an_empty_value_has_a_tag_that_counts() {
    let sealed = sealed_with(b"", PLAIN, SMALL);
    assert_eq!(opened(&sealed), Some(vec![]));
    let mut wrong = sealed.clone();
    wrong[CHUNKS + 15] ^= 1;
    assert!(Envelope::parse(&wrong).is_ok());
    assert_eq!(opened(&wrong), None);
    assert_eq!(opened(&sealed[..CHUNKS]), None);
}

#[test]
fn an_empty_chunk_after_others_does_not_parse() {
    let sealed = sealed_with(&bytes(16), PLAIN, SMALL);
    let longer = [sealed.as_slice(), &[0; 16]].concat();
    assert_eq!(Envelope::parse(&longer).unwrap_err(), Malformed);
}

/// Another item's envelope with the same key, as a store that swaps things would have.
fn other_item() -> Vec<u8> {
    let kek = kek(0x55);
    let header = Header { item_id: [0x23; 16], ..HEADER };
    let wraps = [NewWrap { params: FIRST, kek: &kek }];
    seal_chunked(&header, &wraps, b"other item's value", &SystemRng, PLAIN, SMALL).unwrap()
}

#[test]
fn headers_wraps_and_payloads_cannot_be_swapped_between_items() {
    let (one, two) = (sealed_with(b"one item's value!!", PLAIN, SMALL), other_item());
    let parts = |sealed: &[u8]| {
        [
            sealed[..WRAPS_OFFSET].to_vec(),
            sealed[WRAPS_OFFSET..PAYLOAD].to_vec(),
            sealed[PAYLOAD..].to_vec(),
        ]
    };
    let (one, two) = (parts(&one), parts(&two));
    for choice in 0..8_usize {
        let pick = |part: usize| {
            if choice >> part & 1 == 0 { &one[part] } else { &two[part] }
        };
        let mixed = [pick(0).as_slice(), pick(1), pick(2)].concat();
        let opens = choice == 0 || choice == 7;
        assert_eq!(opened(&mixed).is_some(), opens, "{choice:03b}");
    }
}

#[test]
fn a_payload_key_opens_its_own_envelope_only() {
    let (one, two) = (sealed_with(b"one", PLAIN, SMALL), other_item());
    let (one, two) = (Envelope::parse(&one).unwrap(), Envelope::parse(&two).unwrap());
    let key = one.unwrap_dek(0, &kek(0x55)).unwrap().payload_key(&one);
    assert!(one.open(&key).is_ok());
    assert!(two.open(&key).is_err());
    // The data key of one item under the other's header is another payload key.
    let mixed = one.unwrap_dek(0, &kek(0x55)).unwrap().payload_key(&two);
    assert!(one.open(&mixed).is_err());
    assert!(two.open(&mixed).is_err());
}

#[test]
fn a_wrong_commitment_fails_even_with_the_right_key() {
    let sealed = sealed_with(b"value", PLAIN, SMALL);
    let envelope = Envelope::parse(&sealed).unwrap();
    for byte in 0..32 {
        let mut wrong = kek(0x55);
        wrong.com[byte] ^= 0x80;
        assert_eq!(envelope.unwrap_dek(0, &wrong).unwrap_err(), OpenFailed);
    }
    let wrong_key = Kek { kek: Secret::new([0x56; 32]), com: kek(0x55).com };
    assert_eq!(envelope.unwrap_dek(0, &wrong_key).unwrap_err(), OpenFailed);
}

#[test]
fn the_length_field_and_the_count_have_one_value() {
    let sealed = sealed_with(b"value", PLAIN, SMALL);
    for n_wraps in 0..=255 {
        let mut wrong = sealed.clone();
        wrong[WRAPS_OFFSET - 1] = n_wraps;
        let hdr_len = 43 + 161 * u32::from(n_wraps);
        wrong[8..12].copy_from_slice(&hdr_len.to_be_bytes());
        assert_eq!(opened(&wrong).is_some(), n_wraps == 1, "{n_wraps} wraps");
    }
    for hdr_len in [0, 43, 203, 205, 365, u32::MAX] {
        let mut wrong = sealed.clone();
        wrong[8..12].copy_from_slice(&hdr_len.to_be_bytes());
        assert_eq!(Envelope::parse(&wrong).unwrap_err(), Malformed, "{hdr_len}");
    }
}

#[test]
fn unknown_values_of_the_format_do_not_parse() {
    let sealed = sealed_with(b"value", PLAIN, SMALL);
    let parses = |at: usize, value: u8| {
        let mut changed = sealed.clone();
        changed[at] = value;
        Envelope::parse(&changed).is_ok()
    };
    for value in 0..=255 {
        assert_eq!(parses(3, value), value == b'1', "magic {value}");
        assert_eq!(parses(4, value), value == 1, "fmt {value}");
        assert_eq!(parses(5, value), value == 0, "suite, high {value}");
        assert_eq!(parses(6, value), value == 1, "suite, low {value}");
        assert_eq!(parses(7, value), value <= 1, "flags {value}");
        assert_eq!(parses(WRAPS_OFFSET, value), (1..=3).contains(&value), "kind {value}");
        assert_eq!(parses(PAYLOAD, value), CHUNK_LOG2.contains(&value), "chunk_log2 {value}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_not_an_envelope(bytes: Vec<u8>) {
        prop_assert!(Envelope::parse(&bytes).is_err());
    }

    #[test]
    fn changed_envelopes_are_read_without_a_panic(
        edits in proptest::collection::vec((0..400_usize, any::<u8>()), 1..6),
        cut in 0..3_usize,
    ) {
        let original = sealed_with(&bytes(40), PADDED, SMALL);
        let mut changed = original.clone();
        for (at, byte) in edits {
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
        }
        changed.truncate(original.len() - cut);
        prop_assert_eq!(opened(&changed).is_some(), changed == original);
        if let Ok(envelope) = Envelope::parse(&changed) {
            // Everything that only reads must hold on whatever parses.
            let shown = format!("{envelope:?} {:?}", envelope.wraps().collect::<Vec<_>>());
            prop_assert!(!shown.is_empty());
        }
    }
}
