//! Messages between roles as they travel: the plane's compact encoding, faults, relay headers.

use keysherd_base::Fault;
use keysherd_link::codec;
use keysherd_link::{RELAY_HEADER_BYTES, read_relay_header};
use keysherd_plane::{Caller, Request};

use crate::plane_messages;

/// Reads the bytes as each kind of message; what was read is written, read and written again
/// without a difference.
pub fn link_messages(data: &[u8]) {
    if let Some((caller, request)) = codec::read_request(data) {
        let written = codec::write_request(&caller, &request).expect(WRITES);
        let (caller, request) = codec::read_request(&written).expect(READS);
        assert_eq!(codec::write_request(&caller, &request).expect(WRITES), written);
    }
    if let Some(reply) = codec::read_reply(data) {
        let written = codec::write_reply(&reply).expect(WRITES);
        let reply = codec::read_reply(&written).expect(READS);
        assert_eq!(codec::write_reply(&reply).expect(WRITES), written);
    }
    if let Some(fault) = codec::read_fault(data) {
        assert_eq!(fault.private(), None);
        let written = codec::write_fault(&fault).expect(WRITES);
        let again = codec::read_fault(&written).expect(READS);
        assert_eq!((again.kind(), again.public()), (fault.kind(), fault.public()));
    }
    if let Ok(header) = <[u8; RELAY_HEADER_BYTES]>::try_from(data)
        && let Some(manager) = read_relay_header(header)
    {
        assert_eq!(data, [b"KSRL\x01".as_slice(), &[manager.get()]].concat());
    }
}

const WRITES: &str = "invariant: messages can be written";
const READS: &str = "what was written is read";

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let caller = |request: &Request| {
        let caller = Caller::of_the_server(keysherd_base::Uid([1; 16]));
        codec::write_request(&caller, request).expect(WRITES)
    };
    let mut seeds: Vec<Vec<u8>> = plane_messages::requests()
        .iter()
        .chain(&plane_messages::of_secrets())
        .map(caller)
        .collect();
    let replies = plane_messages::replies();
    seeds.extend(replies.iter().map(|reply| codec::write_reply(reply).expect(WRITES)));
    let fault = Fault::forbidden("the item is locked").with_code("ItemLocked");
    seeds.push(codec::write_fault(&fault).expect(WRITES));
    seeds.push(b"KSRL\x01\x02".to_vec());
    seeds
}
