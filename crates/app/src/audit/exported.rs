//! `keysherd audit verify-export`: an export and a public key, nothing else.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;

use clap::ArgMatches;
use keysherd_audit::{EXPORT_LINE_BYTES_MAX, ExportReader, ExportVerdict, HeadFields};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, Signature};
use serde_json::json;

use super::Remembered;
use crate::exit::Exit;

/// Verifies the file that the flags name.
pub(super) fn run(flags: &ArgMatches) -> Result<(), Exit> {
    let text = |name: &str| flags.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let mut key = [0; 32];
    hex::decode_to_slice(text("key"), &mut key).map_err(|_| {
        Exit::Configuration("--key: give the 64 hex digits that audit checkpoint prints".to_owned())
    })?;
    let heads: Vec<Remembered> = flags.get_many("head").into_iter().flatten().copied().collect();
    let verdict = verify(Path::new(text("file")), &PublicKey(key), &heads)?;
    let shown = if flags.get_flag("json") { as_json(&verdict) } else { sentence(&verdict) };
    let _closed = writeln!(std::io::stdout(), "{shown}");
    Ok(())
}

fn verify(path: &Path, key: &PublicKey, heads: &[Remembered]) -> Result<ExportVerdict, Exit> {
    let failed = |error: std::io::Error| Exit::Files(format!("{}: {error}", path.display()));
    let wrong = |bad: &dyn std::fmt::Display| {
        Exit::NotIntact(format!("{}: NOT INTACT: {bad}", path.display()))
    };
    let remembered = heads.iter().map(|head| (head.seq, head.link)).collect();
    let mut reader = ExportReader::new(sha256, remembered);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = u64::try_from(EXPORT_LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = file.by_ref().take(most + 1).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            break;
        }
        if line.pop_if(|last| *last == b'\n').is_none() && line.len() > EXPORT_LINE_BYTES_MAX {
            return Err(wrong(&"a line is too long"));
        }
        let text = str::from_utf8(&line).map_err(|_| wrong(&"it is not UTF-8 text"))?;
        reader.push(text).map_err(|bad| wrong(&bad))?;
    }
    let genuine = |label: &str, body: &[u8], signature: &[u8; 64]| {
        key.verify(label, body, &Signature(*signature))
    };
    let verdict = reader.finish(genuine).map_err(|bad| wrong(&bad))?;
    match heads.iter().find(|head| head.account != verdict.header.account) {
        Some(head) => Err(wrong(&format_args!("--head {head} is of another account"))),
        None if !heads.is_empty() && verdict.head.is_none() => {
            Err(wrong(&"--head needs an export of everything, which has links"))
        }
        None => Ok(verdict),
    }
}

fn sentence(verdict: &ExportVerdict) -> String {
    let ExportVerdict { header, records, last, time, head } = verdict;
    let account = header.account;
    let missing = match head {
        Some(_) if header.after == 0 => format!("; none of 1 to {last} is missing"),
        Some(_) => format!("; none of {} to {last} is missing", header.after + 1),
        None => "; genuine, but a selection: what was left out cannot be told".to_owned(),
    };
    format!("{account}: {records} records, exported at {time} with scope {}{missing}", header.scope)
}

fn as_json(verdict: &ExportVerdict) -> String {
    json!({
        "account_id": verdict.header.account.to_string(),
        "ok": true,
        "scope": verdict.header.scope,
        "records": verdict.records,
        "after": verdict.header.after,
        "last_seq_num": verdict.last,
        "complete": verdict.head.is_some(),
        "head": verdict.head.as_ref().map(HeadFields::of),
    })
    .to_string()
}
