//! Kerberos 5, the part of a service: a client's ticket is accepted with the service's key from a
//! keytab (RFC 4120 section 3.2.3, RFC 4121, RFC 4178).
//!
//! Only AES tickets of the service's own realm are accepted; RC4 and DES are refused whatever the
//! keytab has. Whether an authenticator was used before is for the caller to know: it is told what
//! to remember and for how long.

use std::fmt;

use keysherd_base::{Secret, SecretBytes, Timestamp};
use picky_krb::constants::etypes::{AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96};
use picky_krb::constants::key_usages::{AP_REQ_AUTHENTICATOR, TICKET_REP};
use picky_krb::crypto::CipherSuite;
use picky_krb::data_types::{
    Authenticator, EncTicketPart, EncryptedData, KerberosTime, Microseconds, PrincipalName, Ticket,
};
use picky_krb::gss_api::{GssApiNegInit, KrbMessage};
use picky_krb::messages::ApReq;
use serde::de::DeserializeOwned;

use crate::hash::sha256;

#[cfg(test)]
mod tests;

/// Longest token that is looked at, in bytes. Tickets of people with many groups have some ten
/// thousand.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// Largest keytab that is read, in bytes.
pub const KEYTAB_BYTES_MAX: usize = 64 * 1024;
/// Most keys of a keytab.
pub const KEYS_MAX: usize = 256;
/// How far a client's clock may be from ours, in seconds (RFC 4120 section 3.2.3).
pub const SKEW_SECONDS: i64 = 300;

/// The flag of tickets that are not valid (RFC 4120 section 2.2): bit 7, counted from the left.
const INVALID_FLAG: usize = 7;

/// The first byte of a request as the protocol has it: APPLICATION 14.
const AP_REQ_TAG: u8 = 0x6e;

/// Why a ticket was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KerberosRefused {
    /// It is no SPNEGO or Kerberos token.
    Malformed,
    /// The keytab has no key for the service, realm and encryption type of the ticket.
    NoKey,
    /// It cannot be opened with the service's key.
    Ticket,
    /// The authenticator is not the ticket owner's.
    Authenticator,
    /// The ticket's time is over or has not come, or it is marked invalid.
    Time,
    /// The client's clock is too far from ours.
    Skew,
    /// The client is of another realm.
    Realm,
    /// The client's name has characters with which it could be taken for somebody else's.
    Name,
}

impl fmt::Display for KerberosRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not a SPNEGO or Kerberos token",
            Self::NoKey => "the keytab has no AES key for the service and realm of the ticket",
            Self::Ticket => "the ticket cannot be opened with the service's key",
            Self::Authenticator => "the authenticator is not that of the ticket's owner",
            Self::Time => "the ticket is not valid at this time",
            Self::Skew => "the client's clock is more than five minutes away",
            Self::Realm => "the client is of another realm",
            Self::Name => "the client's name has '/', '@', '\\\\' or control characters in a part",
        })
    }
}

/// A text that is no keytab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKeytab;

/// The keys of services.
pub struct Keytab(Vec<Entry>);

struct Entry {
    realm: String,
    /// The principal's components: `HTTP`, `host.example.com`.
    service: Vec<String>,
    kind: usize,
    key: SecretBytes,
}

impl fmt::Debug for Keytab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.principals()).finish()
    }
}

impl Keytab {
    /// Reads a keytab of format 5.2, as `ktutil` and `kadmin` write it. Keys that are not AES are
    /// passed over.
    ///
    /// # Errors
    /// [`BadKeytab`] when it is none, is too large, or has no AES key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadKeytab> {
        if bytes.len() > KEYTAB_BYTES_MAX {
            return Err(BadKeytab);
        }
        let mut from = Cursor(bytes.strip_prefix(&[5, 2]).ok_or(BadKeytab)?);
        let mut entries = Vec::new();
        while !from.0.is_empty() {
            let size = i32::from_be_bytes(from.array().ok_or(BadKeytab)?);
            let length = usize::try_from(size.unsigned_abs()).map_err(|_| BadKeytab)?;
            let record = from.take(length).ok_or(BadKeytab)?;
            // A negative size is a hole where an entry was.
            if size > 0 {
                let entry = entry(record).ok_or(BadKeytab)?;
                if [AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96].contains(&entry.kind) {
                    entries.push(entry);
                }
            }
            if entries.len() > KEYS_MAX {
                return Err(BadKeytab);
            }
        }
        if entries.is_empty() { Err(BadKeytab) } else { Ok(Self(entries)) }
    }

    /// The services it has keys for: `HTTP/host.example.com@REALM`.
    pub fn principals(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|entry| format!("{}@{}", entry.service.join("/"), entry.realm))
    }
}

fn entry(record: &[u8]) -> Option<Entry> {
    let mut from = Cursor(record);
    let count = from.count()?;
    let realm = from.text()?;
    let service = (0..count).map(|_| from.text()).collect::<Option<Vec<_>>>()?;
    // The kind of name, the time of writing, and the version in one byte.
    from.take(4 + 4 + 1)?;
    let kind = from.count()?;
    let length = from.count()?;
    let key = SecretBytes::new(from.take(length)?.to_vec());
    Some(Entry { realm, service, kind, key })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn count(&mut self) -> Option<usize> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.count()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }
}

/// A client that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its principal without the realm: `alice`, `alice/admin`.
    pub client: String,
    /// Its realm, which is the service's.
    pub realm: String,
    /// The service it came to: `HTTP/host.example.com`.
    pub service: String,
    /// When the ticket ends.
    pub ends: Timestamp,
    /// When the client made the authenticator.
    pub made: Timestamp,
    /// What must not be accepted again until [`SKEW_SECONDS`] after [`Accepted::made`].
    pub once: [u8; 32],
}

/// Accepts the token a client made for a service of `keytab`: SPNEGO around Kerberos, the token of
/// GSS-API, or the bare request.
///
/// # Errors
/// [`KerberosRefused`].
pub fn accept(token: &[u8], keytab: &Keytab, now: Timestamp) -> Result<Accepted, KerberosRefused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(KerberosRefused::Malformed);
    }
    let request = request(token).ok_or(KerberosRefused::Malformed)?;
    let ticket: &Ticket = &request.0.ticket.0;
    let service = components(&ticket.0.sname.0);
    let realm = ticket.0.realm.0.0.to_string();
    let sealed = &ticket.0.enc_part.0;
    let kind = kind_of(sealed).ok_or(KerberosRefused::NoKey)?;
    let keys: Vec<_> = keytab
        .0
        .iter()
        .filter(|entry| entry.kind == kind && entry.realm == realm && entry.service == service)
        .collect();
    if keys.is_empty() {
        return Err(KerberosRefused::NoKey);
    }
    // Several versions of the key may be in force while it is being changed.
    let with = |entry: &&Entry| open::<EncTicketPart>(sealed, entry.key.expose(), TICKET_REP);
    let opened = keys.iter().find_map(with).ok_or(KerberosRefused::Ticket)?.0;
    let session = Secret::new(opened.key.0.key_value.0.0.clone());
    let sealed = &request.0.authenticator.0;
    let proof = open::<Authenticator>(sealed, session.expose(), AP_REQ_AUTHENTICATOR);
    let proof = proof.ok_or(KerberosRefused::Authenticator)?.0;
    let client = components(&opened.cname.0);
    if !client.iter().all(|part| is_plain(part)) {
        return Err(KerberosRefused::Name);
    }
    let client_realm = opened.crealm.0.0.to_string();
    if components(&proof.cname.0) != client || proof.crealm.0.0.to_string() != client_realm {
        return Err(KerberosRefused::Authenticator);
    }
    if client_realm != realm || client.is_empty() {
        return Err(KerberosRefused::Realm);
    }
    let made = time(&proof.ctime.0).zip(micros(&proof.cusec.0));
    let made = made.map(|(time, micros)| Timestamp(time.0 + micros / 1_000));
    let made = made.ok_or(KerberosRefused::Malformed)?;
    if now.millis_since(made).unsigned_abs() > SKEW_SECONDS.unsigned_abs() * 1_000 {
        return Err(KerberosRefused::Skew);
    }
    let begins = opened.starttime.0.as_ref().map_or(&opened.auth_time.0, |start| &start.0);
    let begins = time(begins).ok_or(KerberosRefused::Malformed)?;
    let ends = time(&opened.endtime.0).ok_or(KerberosRefused::Malformed)?;
    let invalid =
        opened.flags.0.as_bytes().first().is_some_and(|f| f & (0x80 >> INVALID_FLAG) != 0);
    if invalid || now.plus_seconds(SKEW_SECONDS) < begins || now >= ends {
        return Err(KerberosRefused::Time);
    }
    Ok(Accepted {
        client: client.join("/"),
        realm,
        service: service.join("/"),
        ends,
        made,
        once: sha256(&[b"kerberos authenticator", &sealed.cipher.0.0]),
    })
}

/// Whether a part of a name means the same wherever it is written: parts are joined by `/` and
/// followed by `@` and the realm, and names that are no UTF-8 could be mistaken for each other.
fn is_plain(part: &str) -> bool {
    let odd = |c: char| matches!(c, '/' | '@' | '\\' | '\u{fffd}') || c.is_control();
    !part.is_empty() && !part.contains(odd)
}

/// The request in a token: bare, in the frame of GSS-API, or in that with SPNEGO around it.
fn request(token: &[u8]) -> Option<ApReq> {
    if token.first() == Some(&AP_REQ_TAG) {
        return der(token);
    }
    let bare = mechanism_token(token);
    let inner = bare.as_deref().unwrap_or(token);
    let message = KrbMessage::<ApReq>::decode_application_krb_message(inner).ok()?.0;
    let is_request = message.krb5_token_id == picky_krb::constants::gss_api::AP_REQ_TOKEN_ID;
    is_request.then_some(message.krb_msg)
}

/// What SPNEGO carries. The library's own reader of the outer tag takes bad input for a defect, so
/// the tag is read here: APPLICATION 0, whose content reads as that of a sequence.
fn mechanism_token(token: &[u8]) -> Option<Vec<u8>> {
    let mut sequence = token.strip_prefix(&[0x60]).map(|rest| [&[0x30], rest].concat())?;
    let negotiation: GssApiNegInit = der(&sequence)?;
    sequence.clear();
    Some(negotiation.neg_token_init.0.mech_token.0?.0.0)
}

fn der<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    picky_asn1_der::from_bytes(bytes).ok()
}

fn kind_of(sealed: &EncryptedData) -> Option<usize> {
    let [kind] = *sealed.etype.0.as_unsigned_bytes_be() else { return None };
    let kind = usize::from(kind);
    [AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96].contains(&kind).then_some(kind)
}

fn open<T: DeserializeOwned>(sealed: &EncryptedData, key: &[u8], usage: i32) -> Option<T> {
    let cipher = CipherSuite::try_from(kind_of(sealed)?).ok()?.cipher();
    if key.len() != cipher.key_size() {
        return None;
    }
    let opened = SecretBytes::new(cipher.decrypt(key, usage, &sealed.cipher.0.0).ok()?);
    der(opened.expose())
}

fn components(name: &PrincipalName) -> Vec<String> {
    name.name_string.0.0.iter().map(|part| part.0.to_string()).collect()
}

/// The microseconds beside a time.
fn micros(micros: &Microseconds) -> Option<i64> {
    let bytes = micros.as_unsigned_bytes_be();
    let value = bytes
        .iter()
        .try_fold(0_i64, |sum, byte| sum.checked_mul(256).map(|sum| sum + i64::from(*byte)))?;
    (0..1_000_000).contains(&value).then_some(value)
}

/// A time as Kerberos writes it, without fractions.
fn time(time: &KerberosTime) -> Option<Timestamp> {
    let at = &time.0;
    let two = |value: u8| i8::try_from(value).ok();
    let date = jiff::civil::date(i16::try_from(at.year()).ok()?, two(at.month())?, two(at.day())?);
    let clock = date.at(two(at.hour())?, two(at.minute())?, two(at.second())?, 0);
    let zoned = clock.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp(zoned.timestamp().as_millisecond()))
}
