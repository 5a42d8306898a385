//! Envelopes: the sealed form of stored values.

use keysherd_base::Secret;
use keysherd_crypto::envelope::{
    CHUNK_LOG2, Envelope, Header, Kek, NewWrap, PayloadKey, SealOptions, WRAPS_MAX, Wrap, WrapKind,
    WrapParams, attach, confirm, detach, rewrap, same_but_wraps, seal,
};

use crate::input::Input;
use crate::randomness::Sequence;

/// Bytes before the first wrap, of a wrap, and before a wrap's commitment; from the format's
/// description, not from the code.
const HEAD_BYTES: usize = 4 + 1 + 2 + 1 + 4 + 16 + 16 + 8 + 1 + 1 + 1;
const COM_OFFSET: usize = 1 + 16 + 4 + 16 + 32;
const WRAP_BYTES: usize = COM_OFFSET + 32 + 12 + 32 + 16;

/// Parses the bytes as an envelope: what is accepted says what its bytes say, and opens with no key
/// that did not seal it, even when the commitments are made to fit.
pub fn envelopes(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(data) else { return };
    let wraps = envelope.wraps().len();
    assert!((1..=WRAPS_MAX).contains(&wraps));
    assert!(envelope.wrap(wraps).is_none());
    let payload = HEAD_BYTES + wraps * WRAP_BYTES;
    assert!(CHUNK_LOG2.contains(&data[payload]));
    assert_eq!(envelope.padded(), data[7] == 1);
    let header = envelope.header();
    assert_eq!([header.account, header.item_id].concat(), data[12..44]);
    assert_eq!(header.item_version.to_be_bytes(), data[44..52]);
    assert_eq!([header.class, header.type_], data[52..54]);
    for (index, wrap) in envelope.wraps().enumerate() {
        let at = HEAD_BYTES + index * WRAP_BYTES;
        let params = wrap.params();
        assert_eq!(params.kind as u8, data[at]);
        assert_eq!(params.salt, data[at + 37..at + 69]);
        assert_eq!(wrap.com(), &data[at + COM_OFFSET..at + COM_OFFSET + 32]);
        let com = wrap.com().try_into().expect("invariant: 32 bytes");
        let forged = Kek { kek: Secret::new([9; 32]), com };
        assert!(envelope.unwrap_dek(index, &forged).is_err(), "a forged key unwraps");
        let new = NewWrap { params, kek: &forged };
        assert!(rewrap(data, index, &forged, new, &Sequence::new(1)).is_err());
    }
    check_detached(data, wraps);
    assert_eq!(envelope.payload_commitment(), &data[payload + 8..payload + 40]);
    let pcom = &data[payload + 8..payload + 40];
    let forged =
        PayloadKey::from_slice(&[&[9; 32], pcom, &[9; 32]].concat()).expect("invariant: 96 bytes");
    assert!(envelope.open(&forged).is_err(), "a forged key opens");
    let told = format!("{envelope:?}");
    assert!(told.len() < 1_000, "{told}");
}

/// A wrap that is taken out and put back leaves the payload as it was.
fn check_detached(data: &[u8], wraps: usize) {
    for index in 0..wraps {
        let Ok((rest, wrap)) = detach(data, index) else {
            assert_eq!(wraps, 1, "the last wrap stays");
            continue;
        };
        assert!(Wrap::of(&wrap).is_some());
        let again = attach(&rest, &wrap).expect("there was room for it");
        assert_eq!(again.len(), data.len());
        let parsed = [data, &rest, &again].map(|bytes| Envelope::parse(bytes).expect("whole"));
        assert!(same_but_wraps(&parsed[0], &parsed[1]) && same_but_wraps(&parsed[0], &parsed[2]));
        assert!(index + 1 < wraps || again == data, "it comes last");
    }
}

/// Seals a value made of the bytes, and damages one bit.
///
/// The envelope opens to the value with each of its keys, and with none once a bit is changed that
/// is not in the wrap of another key.
pub fn sealed_envelopes(data: &[u8]) {
    let mut input = Input::new(data);
    let rng = Sequence::new(input.number());
    let header = Header {
        account: input.array(),
        item_id: input.array(),
        item_version: input.number(),
        class: input.byte(),
        type_: input.byte(),
    };
    let kinds = [WrapKind::Fragments, WrapKind::Recovery, WrapKind::Pending];
    let keys: Vec<(WrapParams, Kek)> =
        (0..1 + input.below(3)).map(|index| (wrap(&mut input, kinds[index]), kek(index))).collect();
    let options = SealOptions { pad: input.flag() };
    let (bit, place) = (input.byte() % 8, input.below(usize::from(u16::MAX)));
    let value = input.rest();
    let wraps: Vec<NewWrap<'_>> =
        keys.iter().map(|(params, kek)| NewWrap { params: *params, kek }).collect();
    let sealed = seal(&header, &wraps, value, &rng, options).expect("a small value seals");
    check_sealed(&sealed, &header, &keys, options);
    for (index, (_, kek)) in keys.iter().enumerate() {
        assert_eq!(confirm(&sealed, index, kek, value), Ok(()), "wrap {index}");
    }
    let mut damaged = sealed;
    let place = place % damaged.len();
    damaged[place] ^= 1 << bit;
    let others = HEAD_BYTES + WRAP_BYTES..HEAD_BYTES + keys.len() * WRAP_BYTES;
    if let ([(_, kek), ..], false) = (keys.as_slice(), others.contains(&place)) {
        assert!(confirm(&damaged, 0, kek, value).is_err(), "byte {place} is not bound");
    }
    envelopes(&damaged);
}

fn check_sealed(sealed: &[u8], header: &Header, keys: &[(WrapParams, Kek)], options: SealOptions) {
    let envelope = Envelope::parse(sealed).expect("what was sealed parses");
    assert_eq!(envelope.header(), *header);
    assert_eq!(envelope.padded(), options.pad);
    let params: Vec<WrapParams> = envelope.wraps().map(|wrap| wrap.params()).collect();
    assert_eq!(params, keys.iter().map(|(params, _)| *params).collect::<Vec<_>>());
}

fn wrap(input: &mut Input<'_>, kind: WrapKind) -> WrapParams {
    WrapParams {
        kind,
        key_id: input.array(),
        key_version: input.short_number(),
        cf_id: input.array(),
        salt: input.array(),
    }
}

fn kek(index: usize) -> Kek {
    let byte = u8::try_from(index).unwrap_or(u8::MAX);
    Kek { kek: Secret::new([byte; 32]), com: [byte; 32] }
}

/// Envelopes with one and with three wraps.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let header = Header { account: [1; 16], item_id: [2; 16], item_version: 3, class: 1, type_: 1 };
    let keys: Vec<Kek> = (0..3).map(kek).collect();
    let wraps: Vec<NewWrap<'_>> = keys
        .iter()
        .map(|kek| NewWrap { params: wrap(&mut Input::new(&[5; 80]), WrapKind::Fragments), kek })
        .collect();
    let sealed = |count: usize, value: &[u8], pad: bool| {
        seal(&header, &wraps[..count], value, &Sequence::new(4), SealOptions { pad })
            .expect("invariant: a small value seals")
    };
    vec![sealed(1, b"", false), sealed(1, b"hunter2", true), sealed(3, &[7; 100], false)]
}

pub(crate) fn sealed_seeds() -> Vec<Vec<u8>> {
    vec![Vec::new(), vec![1; 120], (0..=255).collect(), [&[2; 160][..], b"value"].concat()]
}
