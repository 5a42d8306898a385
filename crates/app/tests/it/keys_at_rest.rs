//! The server's own keys: never replaced in silence, never in a core file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::kit::{Site, finish};

#[test]
fn lost_control_keys_are_asked_for_and_not_made_again() {
    let site = Site::new();
    let server = site.start();
    server.admin().store("/team/db", "value");
    server.stop();
    let file = site.data().join("control/keys/control.keys");
    let kept = site.path("kept");
    fs::rename(&file, &kept).unwrap();
    let started = finish(&mut site.server(&site.data()), b"");
    for ended in [started, site.audit(&["verify"])] {
        let ended = ended.expect(70);
        for word in ["control.keys", "restore it from a backup"] {
            assert!(ended.err.contains(word), "{word} is not in: {}", ended.err);
        }
        assert!(!file.exists(), "other keys took the place of the lost ones");
    }
    fs::rename(&kept, &file).unwrap();
    let server = site.start();
    assert_eq!(server.admin().read("/team/db"), "value");
    server.stop();
    site.audit(&["verify"]).expect(0);
}

#[test]
fn the_memory_of_a_server_is_closed_to_its_user() {
    let site = Site::new();
    let server = site.start();
    let process = std::path::PathBuf::from(format!("/proc/{}", server.process.pid()));
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    // What belongs to an undumpable process belongs to root, whoever runs it.
    assert_eq!(fs::metadata(process.join("mem")).unwrap().uid(), 0);
}
