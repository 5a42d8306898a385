//! Secrets in all the forms in which they could lie about, and where to look for them.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::first_start::everything_in;

/// Bytes of memory that are searched at once.
const MEMORY_STEP: u64 = 256 * 1024;
/// By how much pieces of memory overlap; more than the longest form of a needle.
const MEMORY_OVERLAP: u64 = 8 * 1024;

/// A text in all the forms in which it could lie about.
pub(crate) struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    /// `secret` under `name`.
    pub(crate) fn of(name: &str, secret: &[u8]) -> Self {
        let mut forms = vec![("as it is", secret.to_vec())];
        forms.push(("in hex", hex::encode(secret).into_bytes()));
        forms.push(("in upper-case hex", hex::encode_upper(secret).into_bytes()));
        let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            secret.iter().flat_map(|byte| bytes(u16::from(*byte))).collect()
        };
        forms.push(("in UTF-16LE", wide(u16::to_le_bytes)));
        forms.push(("in UTF-16BE", wide(u16::to_be_bytes)));
        forms.push(("backwards", secret.iter().rev().copied().collect()));
        // Wherever in a longer text it begins, some of its triples are encoded by themselves.
        for skipped in 0..3 {
            let triples = (secret.len() - skipped) / 3 * 3;
            let part = &secret[skipped..skipped + triples];
            forms.push(("in base64", STANDARD.encode(part).into_bytes()));
            forms.push(("in base64url", URL_SAFE_NO_PAD.encode(part).into_bytes()));
        }
        let text = String::from_utf8_lossy(secret).into_owned();
        let escaped = serde_json::to_string(&text).unwrap();
        forms.push(("in JSON", escaped.trim_matches('"').as_bytes().to_vec()));
        let named = forms.into_iter().map(|(form, bytes)| (format!("{name} {form}"), bytes));
        Self(named.collect())
    }

    /// `secret` under `name` as it is, for when there are a thousand.
    pub(crate) fn plain(name: &str, secret: &[u8]) -> Self {
        Self(vec![(name.to_owned(), secret.to_vec())])
    }

    /// These without those whose name begins so.
    pub(crate) fn without(&self, name: &str) -> Self {
        let others = self.0.iter().filter(|(known, _)| !known.starts_with(name));
        Self(others.cloned().collect())
    }

    /// These and others.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The names of the forms that are in `hay`.
    pub(crate) fn found_in(&self, hay: &[u8]) -> Vec<&str> {
        let pair = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let mut begins: HashMap<usize, Vec<&(String, Vec<u8>)>> = HashMap::new();
        let mut begun = vec![false; 1 << 16];
        for needle in &self.0 {
            begins.entry(pair(&needle.1)).or_default().push(needle);
            begun[pair(&needle.1)] = true;
        }
        let mut found = Vec::new();
        for (at, two) in hay.windows(2).enumerate().filter(|(_, two)| begun[pair(two)]) {
            let here =
                begins[&pair(two)].iter().filter(|(_, needle)| hay[at..].starts_with(needle));
            found.extend(here.map(|(name, _)| name.as_str()));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Where below `dir` some form is.
    pub(crate) fn found_below(&self, dir: &Path) -> Vec<String> {
        let files = everything_in(dir).into_iter().filter(|path| path.is_file());
        files
            .flat_map(|path| {
                // A role that runs may have given it another name by now, and made it anew.
                let bytes = match fs::read(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                    read => read.unwrap(),
                };
                let found = self.found_in(&bytes);
                let in_file = |name: &str| format!("{name} in {}", path.display());
                found.into_iter().map(in_file).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Where in the memory of a process some form is. Only root may look into that of a role.
    pub(crate) fn found_in_memory_of(&self, pid: u32) -> Vec<String> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut found = Vec::new();
        let mut seen = 0;
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let from = u64::from_str_radix(from, 16).unwrap();
            let to = u64::from_str_radix(to, 16).unwrap();
            let mut at = from;
            while at < to {
                let length = (to - at).min(MEMORY_STEP);
                // Steps overlap, so that nothing hides where two of them meet.
                let wanted = (length + MEMORY_OVERLAP).min(to - at);
                let mut hay = vec![0; usize::try_from(wanted).unwrap()];
                // Reserved memory that was never used is not there to be read.
                let read = memory.read_exact_at(&mut hay, at).is_ok();
                // Most of what allocators reserve is zeros.
                if read && hay != vec![0; hay.len()] {
                    seen += hay.len();
                    let here = self.found_in(&hay);
                    found.extend(here.iter().map(|name| format!("{name} at {at:x}, {line}")));
                }
                at += length;
            }
        }
        assert!(seen > 1024 * 1024, "only {seen} bytes of process {pid} could be read");
        found
    }
}
