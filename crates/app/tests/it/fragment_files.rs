//! Files of customer fragments, and recovery shares, at the command line.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::customer_fragments::{key_with_secret, new_fragment, start_with};
use crate::kit::{Site, keysherd};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn entries(file: &Path) -> Vec<Value> {
    let read: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    read["customer_fragments"].as_array().unwrap().clone()
}

fn value_of(file: &Path) -> String {
    entries(file)[0]["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_fragment_is_made_into_a_private_file_and_shown_by_its_fingerprint() {
    let site = Site::new();
    let file = site.path("fragments.json");
    let made = site.run(&["gen-customer-fragment", "--name", "north", "--out", text(&file)]);
    let made = made.expect(0);
    assert_eq!(mode(&file), 0o600);
    let entry = &entries(&file)[0];
    let id = entry["id"].as_str().unwrap();
    assert!(id.starts_with("cf-") && id.len() == 35, "{id}");
    assert_eq!(entry["name"], "north");
    assert!(made.out.contains(id) && made.out.contains("kf-"), "{}", made.out);
    assert!(!made.out.contains(&value_of(&file)) && !made.err.contains(&value_of(&file)));
    // More are added; the first stays as it was.
    let args = ["gen-customer-fragment", "--name", "south", "--description", "of the south"];
    site.run(&[&args[..], &["--out", text(&file), "--json"]].concat()).expect(0);
    assert_eq!(entries(&file).len(), 2);
    assert_eq!(entries(&file)[0], *entry);
    assert_eq!(entries(&file)[1]["description"], "of the south");
    // On standard output only when asked for, and then as a file.
    let shown = site.run(&["gen-customer-fragment", "--name", "paper", "--out", "-"]).expect(0);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["customer_fragments"][0]["name"], "paper");
    let listed = site.run(&["customer-fragment", "list", "--file", text(&file)]).expect(0).out;
    assert!(listed.contains("north") && listed.contains("never verified"), "{listed}");
    assert!(!listed.contains(&value_of(&file)), "{listed}");
}

#[test]
fn what_cannot_be_made_says_why_and_changes_nothing() {
    let site = Site::new();
    let file = site.path("fragments.json");
    new_fragment(&site, &file, "north");
    let before = fs::read(&file).unwrap();
    let long = "n".repeat(129);
    for (args, code, expected) in [
        (&["--name", "north"][..], 64, "named 'north' already"),
        (&["--name", ""], 64, "must not be empty"),
        (&["--name", &long], 64, "at most 128 bytes"),
        (&["--name", "a\nb"], 64, "no control characters"),
        (&["--name", "h", "--type", "hsm_wrapped"], 64, "--hsm-key-label"),
        (&["--name", "h", "--hsm-key-label", "k"], 64, "--type"),
        (&["--name", "h", "--type", "paper"], 64, "paper"),
        (&[], 64, "--name"),
    ] {
        let out = ["gen-customer-fragment", "--out", text(&file)];
        let refused = site.run(&[&out[..], args].concat()).expect(code);
        assert!(refused.err.contains(expected), "{args:?}: {}", refused.err);
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let args = ["gen-customer-fragment", "--name", "x", "--out", text(&file)];
    let refused = site.run(&args).expect(73);
    assert!(refused.err.contains("chmod 600"), "{}", refused.err);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::write(&file, &before[..before.len() / 2]).unwrap();
    let refused = site.run(&args).expect(73);
    assert!(refused.err.contains("cut off"), "{}", refused.err);
    assert_eq!(fs::read(&file).unwrap().len(), before.len() / 2, "nothing is repaired unasked");
    let nowhere = site.path("nowhere/fragments.json");
    site.run(&["gen-customer-fragment", "--name", "x", "--out", text(&nowhere)]).expect(73);
}

#[test]
fn programs_that_add_at_one_time_lose_nothing() {
    let site = Site::new();
    let file = site.path("fragments.json");
    let running: Vec<_> = (0..8)
        .map(|number| {
            let mut command = keysherd(&site.home());
            command.args(["gen-customer-fragment", "--name", &format!("f{number}"), "--out"]);
            command.arg(&file).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(entries(&file).len(), 8);
}

fn split(site: &Site, file: &Path, dir: &Path) -> Vec<PathBuf> {
    let args = ["customer-fragment", "split", "--file", text(file), "--out-dir", text(dir)];
    site.run(&args).expect(0);
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn recovery_shares_bring_back_a_lost_fragment() {
    let site = Site::new();
    let file = site.path("fragments.json");
    let fragment = new_fragment(&site, &file, "north");
    let server = start_with(&site, &file);
    key_with_secret(&server.admin(), "north", &fragment.id);
    server.stop();
    let dir = site.path("shares");
    let shares = split(&site, &file, &dir);
    assert_eq!(shares.len(), 5);
    assert_eq!((mode(&dir), mode(&shares[0])), (0o700, 0o600));
    let paper = fs::read_to_string(&shares[0]).unwrap();
    assert!(paper.contains(&fragment.fingerprint) && paper.contains("any 3"), "{paper}");
    assert!(!paper.contains(&value_of(&file)));
    // Files on this machine prove nothing yet; what the people hold does.
    assert!(entries(&file)[0].get("backup_verified_at").is_none());
    let verify = ["customer-fragment", "verify", "--file", text(&file)];
    let held: Vec<&str> = shares[2..].iter().map(|share| text(share)).collect();
    site.run(&[&verify[..], &held].concat()).expect(0);
    assert!(entries(&file)[0]["backup_verified_at"].is_u64());
    let server = start_with(&site, &file);
    let listed = server.admin().ok("gateway-list-customer-fragments", json!({}));
    assert_eq!(listed["customer_fragments"][0]["backup_verified"], true, "{listed}");
    server.stop();

    // The file is lost, with two of the shares.
    let value = value_of(&file);
    fs::remove_file(&file).unwrap();
    let restore = ["customer-fragment", "restore", "--file", text(&file), "--fingerprint"];
    let restore = |fingerprint: &'static str, shares: &[&str]| {
        let args = [&restore[..], &[fingerprint, "--name", "found"], shares].concat();
        site.run(&args)
    };
    let fingerprint: &'static str = fragment.fingerprint.clone().leak();
    let refused = restore(fingerprint, &held[..2]).expect(70);
    assert!(refused.err.contains("2 shares are given, 3 are needed"), "{}", refused.err);
    let refused = restore("kf-0000", &held).expect(70);
    assert!(refused.err.contains("not kf-0000"), "{}", refused.err);
    assert!(!file.exists());
    restore(fingerprint, &held).expect(0);
    assert_eq!((mode(&file), value_of(&file)), (0o600, value));
    restore(fingerprint, &held).expect(0);
    assert_eq!(entries(&file).len(), 1, "restoring again changes nothing");
    let server = start_with(&site, &file);
    assert_eq!(server.admin().read("/secrets/north"), "value of north");
}

#[test]
fn shares_of_other_splittings_or_with_errors_are_named() {
    let site = Site::new();
    let (file, other) = (site.path("fragments.json"), site.path("other.json"));
    new_fragment(&site, &file, "north");
    new_fragment(&site, &other, "south");
    let (one, again) = (split(&site, &file, &site.path("1")), split(&site, &file, &site.path("2")));
    let strange = split(&site, &other, &site.path("3"));
    let verify = |shares: &[&PathBuf]| {
        let shares: Vec<&str> = shares.iter().map(|share| text(share)).collect();
        let args = [&["customer-fragment", "verify", "--file", text(&file)][..], &shares].concat();
        site.run(&args).expect(70).err
    };
    let err = verify(&[&one[0], &one[1], &again[2]]);
    assert!(err.contains("different splittings"), "{err}");
    let err = verify(&[&one[0], &one[1], &strange[2]]);
    assert!(err.contains("different fragments"), "{err}");
    let err = verify(&[&strange[0], &strange[1], &strange[2]]);
    assert!(err.contains("is not in"), "{err}");
    let err = verify(&[&one[0], &one[0], &one[1]]);
    assert!(err.contains("share 1 is given twice"), "{err}");
    let paper = fs::read_to_string(&one[0]).unwrap();
    let row = paper.lines().nth(6).unwrap().to_owned();
    let slip = if row.as_bytes()[3] == b'A' { "B" } else { "A" };
    let mut wrong = row.clone();
    wrong.replace_range(3..4, slip);
    fs::write(&one[0], paper.replace(&row, &wrong)).unwrap();
    let err = verify(&[&one[0], &one[1], &one[2]]);
    assert!(err.contains("row 2") || err.contains("rows are not all"), "{err}");
    // A directory that is in use is left alone.
    let args = ["customer-fragment", "split", "--file", text(&file), "--out-dir"];
    let refused = site.run(&[&args[..], &[text(&site.path("1"))]].concat()).expect(73);
    assert!(refused.err.contains("not empty"), "{}", refused.err);
    let fourth = site.path("4");
    let args = [&args[..], &[text(&fourth), "--threshold", "4", "--shares", "3"]].concat();
    site.run(&args).expect(64);
}

#[test]
fn a_copy_under_a_passphrase_opens_with_it_only() {
    let site = Site::new();
    let (file, sealed) = (site.path("fragments.json"), site.path("fragments.sealed"));
    let (right, wrong) = (site.path("right"), site.path("wrong"));
    for (path, passphrase) in [(&right, "correct horse\n"), (&wrong, "battery staple\n")] {
        fs::write(path, passphrase).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    new_fragment(&site, &file, "north");
    new_fragment(&site, &file, "south");
    let verb = |verb: &str, file: &Path, passphrase: &Path, more: &[&str]| {
        let args = ["customer-fragment", verb, "--file", text(file), "--passphrase-file"];
        site.run(&[&args[..], &[text(passphrase)], more].concat())
    };
    verb("seal", &file, &right, &["--out", text(&sealed)]).expect(0);
    assert_eq!(mode(&sealed), 0o600);
    let bytes = fs::read(&sealed).unwrap();
    let value = value_of(&file);
    assert!(!bytes.windows(value.len()).any(|part| part == value.as_bytes()));
    verb("seal", &file, &right, &["--out", text(&sealed)]).expect(73);
    let before = entries(&file);
    fs::remove_file(&file).unwrap();
    let refused = verb("unseal", &file, &wrong, &[text(&sealed)]).expect(70);
    assert!(refused.err.contains("passphrase is wrong"), "{}", refused.err);
    assert!(!file.exists());
    verb("unseal", &file, &right, &[text(&sealed)]).expect(0);
    assert_eq!(entries(&file), before);
    let again = verb("unseal", &file, &right, &[text(&sealed)]).expect(0);
    assert!(again.out.contains("0 customer fragments"), "{}", again.out);
    fs::write(&sealed, &bytes[..bytes.len() - 1]).unwrap();
    verb("unseal", &file, &right, &[text(&sealed)]).expect(70);
    let nobody = site.run(&["customer-fragment", "unseal", "--file", text(&file), text(&sealed)]);
    assert!(nobody.expect(64).err.contains("--passphrase-file"));
}

#[test]
fn shares_on_paper_are_asked_for_before_anybody_leaves() {
    let site = Site::new();
    let file = site.path("fragments.json");
    new_fragment(&site, &file, "north");
    let args = ["customer-fragment", "split", "--print", "--threshold", "2", "--shares", "2"];
    let mut command = keysherd(&site.home());
    command.args(args).arg("--file").arg(&file);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut papers = Vec::new();
    for _ in 0..2 {
        let mut rows = Vec::new();
        for line in output.by_ref() {
            let line = line.unwrap();
            if line.contains("press Enter") {
                break;
            }
            if line.starts_with(['1', '2', '3', '4']) {
                rows.push(line);
            }
        }
        assert_eq!(rows.len(), 4);
        papers.push(rows);
        input.write_all(b"\n").unwrap();
    }
    // A slip in the first share, then both as they are on the paper.
    let slip = papers[0][0].replacen(|c: char| c.is_ascii_alphabetic(), "2", 1);
    let typed = [&[slip][..], &papers[0][1..], &papers[0], &papers[1]].concat();
    input.write_all((typed.join("\n") + "\n").as_bytes()).unwrap();
    drop(input);
    let said: Vec<String> = output.map(Result::unwrap).collect();
    let said = said.join("\n");
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("once more"), "{said}");
    assert!(said.contains("made and read back"), "{said}");
    assert!(entries(&file)[0]["backup_verified_at"].is_u64());
    // Whoever leaves early has no backup.
    let other = site.path("other.json");
    new_fragment(&site, &other, "south");
    let args = ["customer-fragment", "split", "--print", "--file", text(&other)];
    site.run(&args).expect(73);
    assert!(entries(&other)[0].get("backup_verified_at").is_none());
}
