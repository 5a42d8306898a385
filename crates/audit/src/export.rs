//! Exports of the audit log: JSON lines that an auditor checks with nothing but a public key.
//!
//! ```text
//! {"keysherd_audit_export":1,"account_id":"acc-...","scope":"all","filter":{...},"after":0,
//!  "previous_link":"..."?}                                 the first line
//! {"link":"..."?,"record":{...}}                           a line for each record
//! {"seal":{"records":N,"time":MS,"digest":"...","signature":"...","head":{...}?}}
//! ```
//! The digest goes over the first line and all records; the seal's signature, made by control's
//! audit key, over the account, the number of records, the digest and the time. An export of
//! everything has the links of the chain, too, and ends at its signed head: then not only is each
//! line genuine, but none is missing.

use std::fmt;

use keysherd_base::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chain::{HashFn, Head, Link, SignedHead};
use crate::filter::Filter;
use crate::record::Record;
use crate::verify::ChainVerifier;

#[cfg(test)]
mod tests;

/// Label under which an export is signed; what is signed with it is [`ExportSeal::signed_body`].
pub const EXPORT_LABEL: &str = "KS1-sig/audit-export";

/// Label in front of what an export's digest hashes, followed by one zero byte.
const DIGEST_LABEL: &str = "KS1-audit-export";
const VERSION: u8 = 1;
/// Longest line that is read: a record with a thousand long parameters fits.
pub const EXPORT_LINE_BYTES_MAX: usize = 8 << 20;

/// What an export is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportHeader {
    /// Whose log.
    pub account: AccountId,
    /// How far the exporter's right reached: `own`, `scoped` or `all`.
    pub scope: String,
    /// Which records were asked for.
    pub filter: Filter,
    /// Only records after this number.
    pub after: u64,
    /// The link of record `after`, in an export with links.
    pub previous: Option<Link>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    keysherd_audit_export: u8,
    account_id: String,
    scope: String,
    filter: Filter,
    after: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    previous_link: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    link: Option<String>,
    #[serde(borrow)]
    record: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealLine {
    seal: SealFields,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealFields {
    records: u64,
    time: i64,
    digest: String,
    signature: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    head: Option<HeadFields>,
}

/// A signed head as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadFields {
    /// The account.
    pub account_id: String,
    /// The number of the newest record.
    pub seq_num: u64,
    /// Its link in hex.
    pub link: String,
    /// When it was recorded, in milliseconds since the epoch.
    pub time: i64,
    /// The signature in hex.
    pub signature: String,
}

/// What the last line of an export says about the lines before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportSeal {
    /// Whose log.
    pub account: AccountId,
    /// How many records.
    pub records: u64,
    /// The digest of the first line and of all records.
    pub digest: [u8; 32],
    /// When the export was finished.
    pub time: Timestamp,
}

impl ExportSeal {
    /// What is signed under [`EXPORT_LABEL`]: account (16), records (u64 BE), digest (32), time in
    /// milliseconds since the epoch (i64 BE).
    pub fn signed_body(&self) -> [u8; 64] {
        let mut body = [0; 64];
        body[..16].copy_from_slice(self.account.0.as_bytes());
        body[16..24].copy_from_slice(&self.records.to_be_bytes());
        body[24..56].copy_from_slice(&self.digest);
        body[56..].copy_from_slice(&self.time.0.to_be_bytes());
        body
    }

    /// The last line.
    pub fn line(&self, signature: &[u8; 64], head: Option<&SignedHead>) -> String {
        json(&SealLine {
            seal: SealFields {
                records: self.records,
                time: self.time.0,
                digest: hex::encode(self.digest),
                signature: hex::encode(signature),
                head: head.map(HeadFields::of),
            },
        })
    }
}

impl HeadFields {
    /// Shows a head.
    pub fn of(signed: &SignedHead) -> Self {
        Self {
            account_id: signed.head.account.to_string(),
            seq_num: signed.head.seq,
            link: hex::encode(signed.head.link),
            time: signed.head.time.0,
            signature: hex::encode(signed.signature),
        }
    }

    /// Reads a head; `None` when a part cannot be read.
    pub fn read(&self) -> Option<SignedHead> {
        let head = Head {
            account: AccountId::parse(&self.account_id).ok()?,
            seq: self.seq_num,
            link: bytes(&self.link)?,
            time: Timestamp(self.time),
        };
        Some(SignedHead { head, signature: bytes(&self.signature)? })
    }
}

impl ExportHeader {
    /// The first line.
    pub fn line(&self) -> String {
        json(&HeaderLine {
            keysherd_audit_export: VERSION,
            account_id: self.account.to_string(),
            scope: self.scope.clone(),
            filter: self.filter.clone(),
            after: self.after,
            previous_link: self.previous.map(hex::encode),
        })
    }

    fn read(line: &str) -> Option<Self> {
        let read: HeaderLine = serde_json::from_str(line).ok()?;
        let previous = match &read.previous_link {
            Some(text) => Some(bytes(text)?),
            None => None,
        };
        (read.keysherd_audit_export == VERSION).then_some(Self {
            account: AccountId::parse(&read.account_id).ok()?,
            scope: read.scope,
            filter: read.filter,
            after: read.after,
            previous,
        })
    }
}

/// The line of a record, whose encoding is `record`.
pub fn export_line(record: &str, link: Option<&Link>) -> String {
    match link {
        Some(link) => format!("{{\"link\":\"{}\",\"record\":{record}}}", hex::encode(link)),
        None => format!("{{\"record\":{record}}}"),
    }
}

/// The digest after one more line; [`NO_DIGEST`] before the first.
pub fn export_digest(hash: HashFn, digest: &[u8; 32], line: &str) -> [u8; 32] {
    let length = (line.len() as u64).to_be_bytes();
    hash(&[DIGEST_LABEL.as_bytes(), &[0], digest, &length, line.as_bytes()])
}

/// The digest of no line.
pub const NO_DIGEST: [u8; 32] = [0; 32];

/// What is wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadExport(String);

impl fmt::Display for BadExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadExport {}

/// An export that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportVerdict {
    /// What it is of.
    pub header: ExportHeader,
    /// How many records.
    pub records: u64,
    /// The number of the last record; that before the first one when there is none.
    pub last: u64,
    /// When the export was finished.
    pub time: Timestamp,
    /// The signed head at its end: no record up to it is missing. `None` where that cannot be
    /// told, because not everything was exported.
    pub head: Option<SignedHead>,
}

/// Reads an export line by line.
#[derive(Debug)]
pub struct ExportReader {
    hash: HashFn,
    header: Option<ExportHeader>,
    chain: Option<ChainVerifier>,
    digest: [u8; 32],
    records: u64,
    last: u64,
    remembered: Vec<(u64, Link)>,
    seal: Option<(SealFields, u64)>,
    lines: u64,
}

impl ExportReader {
    /// A reader; `remembered` are numbers and links that records of a whole export must have.
    pub fn new(hash: HashFn, remembered: Vec<(u64, Link)>) -> Self {
        Self {
            hash,
            header: None,
            chain: None,
            digest: NO_DIGEST,
            records: 0,
            last: 0,
            remembered,
            seal: None,
            lines: 0,
        }
    }

    /// Takes the next line, without its line break.
    ///
    /// # Errors
    /// [`BadExport`] names the line and what is wrong with it.
    pub fn push(&mut self, line: &str) -> Result<(), BadExport> {
        self.lines += 1;
        let number = self.lines;
        let bad = |why: &str| BadExport(format!("line {number}: {why}"));
        if self.seal.is_some() {
            return Err(bad("there is something after the seal"));
        }
        if self.header.is_none() {
            let header = ExportHeader::read(line)
                .ok_or_else(|| bad("it is not the first line of an audit export"))?;
            self.last = header.after;
            self.chain = header
                .previous
                .map(|link| ChainVerifier::after(header.account, self.hash, header.after, link));
            self.header = Some(header);
            self.digest = export_digest(self.hash, &self.digest, line);
            return Ok(());
        }
        if let Ok(seal) = serde_json::from_str::<SealLine>(line) {
            // The seal is under no digest, so it has one spelling.
            if json(&seal) != line {
                return Err(bad("the seal is not written as control writes it"));
            }
            self.seal = Some((seal.seal, number));
            return Ok(());
        }
        self.digest = export_digest(self.hash, &self.digest, line);
        self.record(line).map_err(|why| bad(&why))
    }

    fn record(&mut self, line: &str) -> Result<(), String> {
        let header = self.header.as_ref().ok_or("there is no first line")?;
        let read: RecordLine<'_> =
            serde_json::from_str(line).map_err(|_| "it is not a line of an audit export")?;
        let text = read.record.get();
        let record = Record::parse(text.as_bytes()).map_err(|bad| bad.to_string())?;
        let link: Option<Link> = match &read.link {
            Some(text) => Some(bytes(text).ok_or("its link cannot be read")?),
            None => None,
        };
        if record.draft.account != header.account {
            return Err("its record is of another account".to_owned());
        }
        if record.seq <= self.last {
            return Err(format!("record {} comes after record {}", record.seq, self.last));
        }
        match (&mut self.chain, link) {
            (Some(chain), Some(link)) => {
                chain.push(record.seq, text.as_bytes(), &link);
                if let Some(finding) = chain.finding() {
                    return Err(finding.to_string());
                }
                let known = self.remembered.iter().find(|(seq, _)| *seq == record.seq);
                if known.is_some_and(|(_, known)| *known != link) {
                    return Err(format!("record {} is not the one remembered", record.seq));
                }
            }
            (None, None) => {}
            _ => return Err("only some lines have links".to_owned()),
        }
        (self.last, self.records) = (record.seq, self.records + 1);
        Ok(())
    }

    /// Checks the seal. `verify` checks a signature by control's audit key over a body under a
    /// label.
    ///
    /// # Errors
    /// [`BadExport`] says what is wrong.
    pub fn finish(
        self,
        verify: impl Fn(&str, &[u8], &[u8; 64]) -> bool,
    ) -> Result<ExportVerdict, BadExport> {
        let bad = |why: &str| BadExport(why.to_owned());
        let header = self.header.ok_or_else(|| bad("the file is empty"))?;
        let (fields, line) =
            self.seal.ok_or_else(|| bad("the seal is missing: the end was cut off"))?;
        let at = |why: &str| BadExport(format!("line {line}: {why}"));
        let digest: [u8; 32] =
            bytes(&fields.digest).ok_or_else(|| at("its digest cannot be read"))?;
        if digest != self.digest || fields.records != self.records {
            return Err(at(
                "the seal does not fit the lines before it: one was changed, added or \
                           removed",
            ));
        }
        let seal = ExportSeal {
            account: header.account,
            records: self.records,
            digest,
            time: Timestamp(fields.time),
        };
        let signature =
            bytes(&fields.signature).ok_or_else(|| at("its signature cannot be read"))?;
        if !verify(EXPORT_LABEL, &seal.signed_body(), &signature) {
            return Err(at("the signature is not by this key"));
        }
        let head = match (self.chain, fields.head) {
            (None, None) => None,
            (Some(chain), Some(head)) => {
                let head = head.read().ok_or_else(|| at("its head cannot be read"))?;
                let genuine = |body: &[u8], s: &[u8; 64]| verify(crate::HEAD_LABEL, body, s);
                chain.finish(Some(&head), genuine).map_err(|finding| at(&finding.to_string()))?;
                Some(head)
            }
            _ => return Err(at("links without a head, or a head without links")),
        };
        let missing = |(seq, _): &&(u64, Link)| *seq > self.last && head.is_some();
        if let Some((seq, _)) = self.remembered.iter().find(missing) {
            return Err(at(&format!("record {seq}, which was remembered, is missing")));
        }
        let (records, last, time) = (self.records, self.last, seal.time);
        Ok(ExportVerdict { header, records, last, time, head })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("invariant: texts and numbers always serialize")
}
