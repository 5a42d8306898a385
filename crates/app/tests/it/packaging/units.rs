//! The service units: systemd takes them, and finds little that they expose.

use std::fs;
use std::process::Command;

use crate::kit::{KEYSHERD, finish, project};

/// The exposure that systemd may find at most, of 10.0.
const EXPOSURE_MAX: &str = "15";

#[test]
fn the_units_are_valid_and_expose_little() {
    let kept = tempfile::tempdir().unwrap();
    let mut units = 0;
    for entry in fs::read_dir(project().join("packaging/systemd")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "service") {
            continue;
        }
        units += 1;
        let text = fs::read_to_string(&path).unwrap();
        let here = kept.path().join(path.file_name().unwrap());
        fs::write(&here, text.replace("/usr/bin/keysherd", KEYSHERD)).unwrap();
        let mut verify = Command::new("systemd-analyze");
        let verified = finish(verify.arg("verify").arg(&here), b"").expect(0);
        assert_eq!(verified.err, "", "{}", path.display());
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=yes", "--no-pager", "--threshold", EXPOSURE_MAX]);
        finish(security.arg(&here), b"").expect(0);
        // Codes of a configuration that is wrong and of a directory that cannot be used.
        assert!(text.contains("\nRestartPreventExitStatus=64 73\n"), "{}", path.display());
        the_flags_exist(&text);
    }
    assert_eq!(units, 4);
}

/// Every flag of a unit's command line is one that its role knows.
fn the_flags_exist(unit: &str) {
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = line.split_whitespace().skip(1);
    let role = words.next().unwrap();
    let mut help = Command::new(KEYSHERD);
    let help = finish(help.args([role, "--help"]), b"").expect(0).out;
    for flag in words.filter(|word| word.starts_with("--")) {
        assert!(help.contains(flag), "{role} knows no {flag}");
    }
}
