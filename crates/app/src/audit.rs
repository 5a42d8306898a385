//! `keysherd audit list` and `keysherd audit verify`: the log of a data directory, running or not.

mod exported;
mod remembered;

use std::io::{BufWriter, Write};

use clap::ArgMatches;
use keysherd_audit::{HEAD_LABEL, Record, SignedHead};
use keysherd_base::AccountId;
use keysherd_control::ControlKeys;
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, Signature};
use keysherd_store::AuditReader;
use serde_json::json;

pub(crate) use self::remembered::Remembered;
use crate::config::audit::AuditConfig;
use crate::exit::Exit;

/// Records read at one time.
const PAGE_LEN: usize = 1_000;

/// Lists or verifies.
pub(crate) fn run(flags: &ArgMatches) -> Result<(), Exit> {
    if let Some(("verify-export", flags)) = flags.subcommand() {
        return exported::run(flags);
    }
    let env = |name: &str| std::env::var(name).ok();
    let config = AuditConfig::load(flags, &env)?;
    // Control on a machine of its own has a data directory of its own.
    let (own, beside) = (config.data_dir.clone(), config.data_dir.join("control"));
    let control = if own.join("store").is_dir() { own } else { beside };
    let opened = match &config.database {
        None => AuditReader::open(&control.join("store")),
        Some(database) => AuditReader::open_database(database.clone()),
    };
    let reader = opened.map_err(|fault| Exit::Files(fault.to_string()))?;
    let mut heads = reader.heads()?;
    if let Some(wanted) = &config.account {
        let wanted = AccountId::parse(wanted)
            .map_err(|bad| Exit::Configuration(format!("--account: {bad}")))?;
        heads.retain(|head| head.head.account == wanted);
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = if config.checkpoint {
        checkpoint(&heads, &ControlKeys::load(&control.join("keys"))?.audit.public(), &mut out)
    } else if config.verify {
        let key = ControlKeys::audit_public(&control.join("keys"))?;
        verify(&config, &reader, &heads, &key, &mut out)
    } else {
        list(&config, &reader, &heads, &mut out)
    };
    let flushed = out.flush();
    match (outcome, flushed) {
        // Whoever closed the pipe has seen enough.
        (Ok(()), _) => Ok(()),
        (Err(exit), _) => Err(exit),
    }
}

fn checkpoint(heads: &[SignedHead], key: &PublicKey, out: &mut impl Write) -> Result<(), Exit> {
    for head in heads {
        let (account, link) = (head.head.account, hex::encode(head.head.link));
        let line = json!({
            "account_id": account.to_string(), "seq_num": head.head.seq, "link": link,
            "time": head.head.time.0, "signature": hex::encode(head.signature),
            "key": key.to_string(), "head": format!("{account}:{}:{link}", head.head.seq),
        });
        let _closed = writeln!(out, "{line}");
    }
    Ok(())
}

fn list(
    config: &AuditConfig,
    reader: &AuditReader,
    heads: &[SignedHead],
    out: &mut impl Write,
) -> Result<(), Exit> {
    for head in heads {
        let (mut after, mut left) = (config.after, config.limit);
        while left > 0 {
            let page = reader.records(head.head.account, after, left.min(PAGE_LEN))?;
            let Some(last) = page.last() else { break };
            (after, left) = (last.seq, left - page.len());
            for stored in &page {
                let line = shown(config, &stored.bytes)?;
                if writeln!(out, "{line}").is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn shown(config: &AuditConfig, bytes: &[u8]) -> Result<String, Exit> {
    if config.json {
        return Ok(String::from_utf8_lossy(bytes).into_owned());
    }
    let record = Record::parse(bytes)
        .map_err(|bad| Exit::Damaged(format!("{bad}; run: keysherd audit verify")))?;
    Ok(record.line())
}

fn verify(
    config: &AuditConfig,
    reader: &AuditReader,
    heads: &[SignedHead],
    key: &PublicKey,
    out: &mut impl Write,
) -> Result<(), Exit> {
    if heads.is_empty() {
        return Err(Exit::Damaged("there is no audit chain".to_owned()));
    }
    let unknown = |head: &&Remembered| !heads.iter().any(|h| h.head.account == head.account);
    if let Some(head) = config.heads.iter().find(unknown) {
        return Err(Exit::Damaged(format!("there is no audit chain of --head {head}")));
    }
    let mut damaged = 0;
    for head in heads {
        let account = head.head.account;
        let outcome = intact(config, reader, account, key)?;
        let text = match (&outcome, config.json) {
            (Ok(chain), false) => {
                let printed = chain.head.map(|head| format!("; head {head}")).unwrap_or_default();
                format!("{account}: {} records, none altered or missing{printed}", chain.records)
            }
            (Ok(chain), true) => json!({
                "account_id": account.to_string(), "ok": true, "records": chain.records,
                "head": chain.head.map(|head| head.to_string()),
            })
            .to_string(),
            (Err(finding), false) => format!("{account}: NOT INTACT: {finding}"),
            (Err(finding), true) => json!({
                "account_id": account.to_string(), "ok": false, "finding": finding,
            })
            .to_string(),
        };
        damaged += usize::from(outcome.is_err());
        let _closed = writeln!(out, "{text}");
    }
    if damaged == 0 {
        return Ok(());
    }
    Err(Exit::Damaged(format!("{damaged} of {} audit chains are not intact", heads.len())))
}

/// A chain that was verified.
struct Intact {
    records: u64,
    head: Option<Remembered>,
}

/// Verifies one account's chain, also against the heads that were remembered; gives what is wrong
/// with it otherwise.
fn intact(
    config: &AuditConfig,
    reader: &AuditReader,
    account: AccountId,
    key: &PublicKey,
) -> Result<Result<Intact, String>, Exit> {
    let genuine =
        |body: &[u8], signature: &[u8; 64]| key.verify(HEAD_LABEL, body, &Signature(*signature));
    let verified = match reader.verify(account, sha256, genuine)? {
        Ok(verified) => verified,
        Err(finding) => return Ok(Err(finding.to_string())),
    };
    for remembered in config.heads.iter().filter(|head| head.account == account) {
        if let Some(finding) = remembered.missing_from(reader)? {
            return Ok(Err(finding));
        }
    }
    let head = Remembered::of(reader, account, verified.last_seq)?;
    Ok(Ok(Intact { records: verified.records, head }))
}
