//! Heads of audit chains that an operator keeps elsewhere. A log that was set back to an older copy
//! of itself is whole in itself; it shows only against what is remembered outside it.

use std::fmt;
use std::str::FromStr;

use keysherd_audit::Link;
use keysherd_base::AccountId;
use keysherd_store::AuditReader;

use crate::exit::Exit;

/// The place of a record in its chain, as `verify` prints it: account, number, link in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Whose chain it is.
    pub(crate) account: AccountId,
    /// Its number.
    pub(super) seq: u64,
    /// Its link.
    pub(super) link: Link,
}

impl Remembered {
    /// The place of record `seq`; `None` when there is no such record.
    pub(super) fn of(
        reader: &AuditReader,
        account: AccountId,
        seq: u64,
    ) -> Result<Option<Self>, Exit> {
        let Some(before) = seq.checked_sub(1) else { return Ok(None) };
        let found = reader.records(account, before, 1)?.pop();
        let found = found.filter(|record| record.seq == seq);
        Ok(found.map(|record| Self { account, seq, link: record.link }))
    }

    /// What is wrong with a chain that does not lead through this place.
    pub(super) fn missing_from(&self, reader: &AuditReader) -> Result<Option<String>, Exit> {
        let seq = self.seq;
        Ok(match Self::of(reader, self.account, seq)? {
            Some(found) if found == *self => None,
            Some(_) => Some(format!("record {seq} is not the one that was remembered")),
            None => Some(format!("record {seq}, which was remembered, is missing")),
        })
    }
}

impl fmt::Display for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.account, self.seq, hex::encode(self.link))
    }
}

impl FromStr for Remembered {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = || {
            let mut parts = text.split(':');
            let account = AccountId::parse(parts.next()?).ok()?;
            let seq = parts.next()?.parse().ok()?;
            let mut link = Link::default();
            hex::decode_to_slice(parts.next()?, &mut link).ok()?;
            parts.next().is_none().then_some(Self { account, seq, link })
        };
        whole().ok_or_else(|| "copy the head as audit verify printed it: acc-...:N:HEX".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_was_printed() {
        let text = format!("acc-{}:7:{}", "0a".repeat(16), "5f".repeat(32));
        assert_eq!(text.parse::<Remembered>().unwrap().to_string(), text);
        let bad = ["", "acc-0a:7:5f", &text[..text.len() - 1], &format!("{text}:"), &text[4..]];
        for bad in bad {
            bad.parse::<Remembered>().unwrap_err();
        }
    }
}
