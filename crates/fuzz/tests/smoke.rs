//! A short run of every target: its seeds, its committed corpus, and mutations that are the same in
//! every run.

mod mutation;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use keysherd_fuzz::{TARGETS, Target};
use mutation::Mutator;

/// Longest input that is tried.
const INPUT_BYTES_MAX: usize = 4 * 1024;

fn project(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// The files of a directory by name; nothing when there is none.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory").path()).collect();
    files.sort();
    files
}

fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let committed = files(&project("corpus").join(target.name));
    let committed = committed.iter().map(|path| fs::read(path).expect("a file"));
    (target.seeds)().into_iter().chain(committed).collect()
}

/// How many mutations are tried: the target's own number, or that of `KEYSHERD_FUZZ_ROUNDS` for
/// somebody who has time.
fn rounds(target: &Target) -> usize {
    std::env::var("KEYSHERD_FUZZ_ROUNDS")
        .ok()
        .map_or(target.rounds, |rounds| rounds.parse().expect("a number of rounds"))
}

fn fails(target: &Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err()
}

/// Runs the target and says which input it was, if it fails, as short as it gets.
fn try_input(target: &Target, input: &[u8]) {
    if !fails(target, input) {
        return;
    }
    let mut shortest = input.to_vec();
    let mut piece = shortest.len().div_ceil(2);
    while piece > 0 {
        let mut start = 0;
        while start < shortest.len() {
            let mut shorter = shortest.clone();
            shorter.drain(start..(start + piece).min(shorter.len()));
            if fails(target, &shorter) {
                shortest = shorter;
            } else {
                start += piece;
            }
        }
        piece /= 2;
    }
    panic!("{} fails on b\"{}\"", target.name, shortest.escape_ascii());
}

fn smoke(target: &Target) {
    let mut pool = inputs(target);
    assert!(!pool.is_empty(), "{} has no seeds", target.name);
    for input in &pool {
        try_input(target, input);
    }
    let mut mutator = Mutator::new(target.name);
    let originals = pool.len();
    for _ in 0..rounds(target) {
        let mut input = mutator.mutate(&pool);
        input.truncate(INPUT_BYTES_MAX);
        try_input(target, &input);
        // Some mutations of mutations, and the originals most of the time.
        match mutator.below(16) {
            0 if pool.len() < 4 * originals => pool.push(input),
            1 if pool.len() > originals => drop(pool.pop()),
            _ => {}
        }
    }
}

macro_rules! smoke_tests {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name);
            smoke(TARGETS.iter().find(|target| target.name == name).expect("a target"));
        })*

        #[test]
        fn every_target_has_a_test_and_a_fuzzer() {
            let tested = [$(stringify!($name)),*];
            let targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(targets, tested);
            let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let binaries = files(&project("../../fuzz/fuzz_targets"));
            assert_eq!(binaries.iter().map(stem).collect::<Vec<_>>(), targets);
            let manifest = fs::read_to_string(project("../../fuzz/Cargo.toml")).unwrap();
            for name in targets {
                let line = format!("path = \"fuzz_targets/{name}.rs\"");
                assert!(manifest.contains(&line), "{name} is not built");
            }
        }
    };
}

smoke_tests!(
    access_keys,
    addresses,
    assertions,
    audit_chains,
    audit_exports,
    audit_records,
    carried_files,
    certificates,
    ciphertexts,
    command_line,
    commands,
    database_exports,
    decisions,
    envelopes,
    evidence,
    forms,
    fragment_files,
    fragment_messages,
    identifiers,
    json_edge,
    kerberos_tokens,
    key_sets,
    keytabs,
    link_messages,
    log_entries,
    log_segments,
    manifests,
    name_templates,
    networks,
    oidc,
    owner_files,
    paths,
    patterns,
    permits,
    plane_messages,
    proxy_answers,
    proxy_headers,
    recovery_shares,
    role_merges,
    routes,
    saml_metadata,
    saml_responses,
    sealed_bodies,
    sealed_envelopes,
    service_accounts,
    statements,
    sub_claims,
    tokens,
    trace_parents,
    vouching_texts,
    web_tokens,
);
