//! Receipts: what a gateway shows later to prove that control granted what it answered.
//!
//! Sealed under control's vault key, so gateways can neither read nor make one: who was granted
//! what cannot be invented at a gateway, only repeated. All integers are big-endian:
//!
//! ```text
//! proof = 01 | gateway 32 | account 16 | from i64 | until i64 | address | text command
//!       | text client type | text access id | text access type | text unique id
//!       | count u16 | claim* | text item type | count u16 | parameter*
//! address = 00, 04 octets 4, 10 octets 16;  claim = text name | count u16 | text*
//! parameter = text name | text value;  text = length u16 | UTF-8
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keysherd_audit::{Draft, Param, action};
use keysherd_base::{AccessId, AccountId, SecretBytes, Timestamp, Uid};

use crate::control::Control;

const PURPOSE: &str = "read-receipt";
const FORMAT: u8 = 1;

/// What a receipt proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// The gateway that the grant was for.
    pub(super) gateway: [u8; 32],
    /// When it was granted.
    pub(super) from: Timestamp,
    /// Until when it could be repeated.
    pub(super) until: Timestamp,
    /// The audit record of the grant, but for request and time.
    pub(super) draft: Draft,
}

impl Control {
    /// A receipt; `None` when it would be too long, or the random source fails. Whatever is handed
    /// out proves later just what it is to prove: a read that nobody can prove would be lost.
    pub(super) fn seal_proof(&self, proof: &Proof) -> Option<Vec<u8>> {
        let bytes = SecretBytes::new(proof.to_bytes()?);
        let sealed = self.vault.seal(PURPOSE, &[], &bytes, &*self.rng).ok()?;
        let proven = self.open_proof(&sealed)?.to_bytes()?;
        (proven == *bytes.expose()).then_some(sealed)
    }

    /// What a receipt of this control proves; `None` for anything else.
    pub(super) fn open_proof(&self, sealed: &[u8]) -> Option<Proof> {
        let bytes = self.vault.open(PURPOSE, &[], sealed).ok()?;
        Proof::from_bytes(bytes.expose())
    }
}

impl Proof {
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let Draft { account, command, access_id, unique_id, .. } = &self.draft;
        let mut to = Vec::with_capacity(256);
        to.push(FORMAT);
        to.extend_from_slice(&self.gateway);
        to.extend_from_slice(account.0.as_bytes());
        to.extend_from_slice(&self.from.0.to_be_bytes());
        to.extend_from_slice(&self.until.0.to_be_bytes());
        put_address(&mut to, self.draft.client_address);
        put_text(&mut to, command)?;
        put_text(&mut to, &self.draft.client_type)?;
        put_text(&mut to, access_id.as_ref().map_or("", AccessId::as_str))?;
        put_text(&mut to, &self.draft.access_type)?;
        put_text(&mut to, unique_id)?;
        put_count(&mut to, self.draft.sub_claims.len())?;
        for (name, values) in &*self.draft.sub_claims {
            put_text(&mut to, name)?;
            put_count(&mut to, values.len())?;
            for value in values {
                put_text(&mut to, value)?;
            }
        }
        put_text(&mut to, &self.draft.item_type)?;
        put_count(&mut to, self.draft.params.len())?;
        for param in &self.draft.params {
            put_text(&mut to, param.name())?;
            put_text(&mut to, param.value()?)?;
        }
        Some(to)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Cursor(bytes);
        if from.array::<1>()? != [FORMAT] {
            return None;
        }
        let gateway = from.array()?;
        let account = AccountId(Uid(from.array()?));
        let granted = Timestamp(i64::from_be_bytes(from.array()?));
        let until = Timestamp(i64::from_be_bytes(from.array()?));
        let address = from.address()?;
        let command = from.text()?.into();
        let action = action::GET_SECRET_VALUE;
        let mut draft = Draft::new(account, Uid::default(), command, action, granted);
        draft.client_address = address;
        draft.client_type = from.text()?.into();
        draft.access_id = match from.text()? {
            "" => None,
            id => Some(AccessId::parse(id).ok()?),
        };
        draft.access_type = Cow::Owned(from.text()?.to_owned());
        draft.unique_id = from.text()?.into();
        draft.sub_claims = from.claims()?.into();
        draft.item_type = Cow::Owned(from.text()?.to_owned());
        for _ in 0..from.count()? {
            // The names that reads have; another one is not of this release.
            let name = match from.text()? {
                "item_name" => "item_name",
                "item_id" => "item_id",
                "display_id" => "display_id",
                "version" => "version",
                "last_versions" => "last_versions",
                _ => return None,
            };
            draft.params.push(Param::public(name, from.text()?.to_owned()));
        }
        let proof = Self { gateway, from: granted, until, draft };
        from.0.is_empty().then_some(proof)
    }
}

fn put_count(to: &mut Vec<u8>, count: usize) -> Option<()> {
    to.extend_from_slice(&u16::try_from(count).ok()?.to_be_bytes());
    Some(())
}

fn put_text(to: &mut Vec<u8>, text: &str) -> Option<()> {
    put_count(to, text.len())?;
    to.extend_from_slice(text.as_bytes());
    Some(())
}

fn put_address(to: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        None => to.push(0),
        Some(IpAddr::V4(address)) => {
            to.push(4);
            to.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            to.push(16);
            to.extend_from_slice(&address.octets());
        }
    }
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn count(&mut self) -> Option<usize> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        std::str::from_utf8(head).ok()
    }

    fn address(&mut self) -> Option<Option<IpAddr>> {
        match self.array::<1>()? {
            [0] => Some(None),
            [4] => self.array::<4>().map(Ipv4Addr::from).map(|v4| Some(v4.into())),
            [16] => self.array::<16>().map(Ipv6Addr::from).map(|v6| Some(v6.into())),
            _ => None,
        }
    }

    fn claims(&mut self) -> Option<BTreeMap<String, Vec<String>>> {
        let mut claims = BTreeMap::new();
        for _ in 0..self.count()? {
            let name = self.text()?.to_owned();
            let count = self.count()?;
            let values: Option<_> = (0..count).map(|_| self.text().map(str::to_owned)).collect();
            claims.insert(name, values?);
        }
        Some(claims)
    }
}
