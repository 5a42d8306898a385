//! Whole envelopes made by a program in another language that shares no code with this crate. They
//! hold the format in place: a change of one byte here is a new format.

use super::*;

const TWO_WRAPS_AND_THREE_CHUNKS: &str = "\
    4b534631010001000000016d11111111111111111111111111111111222222222222222222222222\
    22222222010203040506070801090201333333333333333333333333333333330000000700000000\
    00000000000000000000000044444444444444444444444444444444444444444444444444444444\
    4444444466666666666666666666666666666666666666666666666666666666666666662728292a\
    2b2c2d2e2f303132fbf7186cd89ce297dfdbcdce2f9391cc2a1cbe7156cc1ab5328f262125b3a582\
    4716c9b2e72a3661935aae241bfaf62f027777777777777777777777777777777700000001888888\
    88888888888888888888888888999999999999999999999999999999999999999999999999999999\
    9999999999bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb333435\
    363738393a3b3c3d3e025c2f1d7a405bef096c9db416cbc06b420ac1f0da2a9608059517e5e6646a\
    a827ceb8e93e68c2cfeac054da177136510420212223242526f8165be941f385f9f0f8023c3dd25d\
    da18f2f988bffb3d1926cdf80899cbc38b95d8c533e187381a72faea54c74807ac2c92d6b752ed58\
    7a4443618badc3df95974ee73cc7fef582875b3c04889cd5f6f2d3bdac8a40334b7ce12e0bcfb6ee\
    2f3297b44ab3ac1c2243616c550f3f07e07d8f0a8f54b92e68";

const PADDED_IN_ONE_CHUNK: &str = "\
    4b53463101000101000000cc11111111111111111111111111111111222222222222222222222222\
    22222222000000000000000101090101333333333333333333333333333333330000000700000000\
    00000000000000000000000044444444444444444444444444444444444444444444444444444444\
    4444444466666666666666666666666666666666666666666666666666666666666666662728292a\
    2b2c2d2e2f303132fbf7186cd89ce297dfdbcdce2f9391cc2a1cbe7156cc1ab5328f262125b3a582\
    68e3e0f88a959d979c463ec38638d4bb1420212223242526539dcd896e33048c8728efc8b29bbc5f\
    213f90b88717f5f00d7345e53501976a0ead06c4adcbcf953dc687892a5639685a1e02b063a2973c\
    5997b66d9fcc1096";

#[test]
fn two_wraps_and_three_chunks() {
    let (one, two) = (kek(0x55), kek(0xaa));
    let wraps = [NewWrap { params: FIRST, kek: &one }, NewWrap { params: SECOND, kek: &two }];
    let value: Vec<u8> = (0..40).collect();
    let sealed = seal_chunked(&HEADER, &wraps, &value, &Counting::default(), PLAIN, SMALL).unwrap();
    assert_eq!(hex::encode(sealed), TWO_WRAPS_AND_THREE_CHUNKS);
    let foreign = hex::decode(TWO_WRAPS_AND_THREE_CHUNKS).unwrap();
    confirm(&foreign, 0, &one, &value).unwrap();
    confirm(&foreign, 1, &two, &value).unwrap();
}

#[test]
fn padded_in_one_chunk() {
    let kek = kek(0x55);
    let header = Header { item_version: 1, ..HEADER };
    let wraps = [NewWrap { params: FIRST, kek: &kek }];
    let sealed = seal(&header, &wraps, b"hello, world", &Counting::default(), PADDED).unwrap();
    assert_eq!(hex::encode(sealed), PADDED_IN_ONE_CHUNK);
    confirm(&hex::decode(PADDED_IN_ONE_CHUNK).unwrap(), 0, &kek, b"hello, world").unwrap();
}
