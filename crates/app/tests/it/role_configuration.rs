//! The settings of control, fragments and gateway: what is wrong is named before anything is made.

use std::fs;

use crate::kit::Site;

/// A public key that might be an owner's.
const OWNER: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn a_wrong_setting_of_a_role_is_named_with_its_value_and_what_is_allowed() {
    let site = Site::new();
    let data = site.data().to_str().unwrap().to_owned();
    for (args, parts) in [
        (&["control", "--listen", "nowhere"][..], &["listen is 'nowhere'"][..]),
        (&["control", "--manager", "1:8400"], &["manager is '1:8400'", "2=fm2.example:8401"]),
        (&["control", "--manager", "9=a:1"], &["manager is '9=a:1'"]),
        (&["control", "--owner-key", "0102"], &["owner-key is '0102"]),
        (&["fragments"], &["--index is missing"]),
        (&["fragments", "--index", "8"], &["index is '8'", "1 to 7"]),
        (&["fragments", "--index", "1", "--relay"], &["--control"]),
        (&["fragments", "--index", "1", "--control", "nowhere"], &["control is 'nowhere'"]),
        (&["gateway"], &["--control is missing"]),
        (&["gateway", "--control", "a:1", "--key-cache-seconds", "9999"], &["0 to 3600"]),
        (&["gateway", "--control", "a:1", "--tls-name", "no name"], &["tls-name is 'no name'"]),
        (&["gateway", "setup", "--control", "a:1"], &["--setup-token-file is missing"]),
        (&["gateway", "--nothing"], &["--nothing"]),
    ] {
        let args = [args, &["--data-dir", &data]].concat();
        let refused = site.run(&args).expect(64);
        for part in parts {
            assert!(refused.err.contains(part), "{args:?}: {}", refused.err);
        }
        assert!(!site.data().exists(), "{args:?} made something");
    }
}

#[test]
fn a_role_reads_its_file_and_knows_all_its_keys() {
    let site = Site::new();
    let file = site.path("gateway.toml");
    let shown = file.to_str().unwrap();
    let args = ["gateway", "--config", shown, "--check-config"];
    fs::write(&file, "control = [\"a.example:8400\", \"b.example:8400\"]\nrelay = true\n").unwrap();
    let printed = site.run(&args).expect(0).out;
    for part in ["a.example:8400", "b.example:8400", "relay: true"] {
        assert!(printed.contains(part), "{printed}");
    }
    // A flag wins over the file.
    fs::write(&file, "control = [\"a:1\"]\ndrain-seconds = 3\n").unwrap();
    let printed = site.run(&[&args[..], &["--drain-seconds", "4"]].concat()).expect(0).out;
    assert!(printed.contains("drain_seconds: 4"), "{printed}");
    for (text, part) in [
        ("controls = []", "unknown key 'controls'"),
        ("check-config = true", "unknown key 'check-config'"),
        ("control = 5", "control must be"),
        ("relay = \"yes\"", "relay must be true or false"),
        ("relay = ", "in "),
    ] {
        fs::write(&file, text).unwrap();
        let refused = site.run(&args).expect(64);
        assert!(refused.err.contains(part) && refused.err.contains(shown), "{}", refused.err);
    }
}

#[test]
fn a_role_obeys_the_owner_it_was_installed_with() {
    let site = Site::new();
    let data = site.data().to_str().unwrap().to_owned();
    let args = ["control", "--listen", "127.0.0.1:0", "--data-dir", &data];
    let refused = site.run(&args).expect(64);
    assert!(refused.err.contains("--owner-key is missing"), "{}", refused.err);
    fs::write(site.data().join("owner.pub"), format!("{OWNER}\n")).unwrap();
    let other = OWNER.replace('d', "e");
    let refused = site.run(&[&args[..], &["--owner-key", &other]].concat()).expect(64);
    assert!(refused.err.contains("was installed with"), "{}", refused.err);
    fs::write(site.data().join("owner.pub"), "something else").unwrap();
    let refused = site.run(&args).expect(70);
    assert!(refused.err.contains("owner.pub is not an owner's public key"), "{}", refused.err);
}

#[test]
fn errands_of_control_need_a_control_plane() {
    let site = Site::new();
    let data = site.data().to_str().unwrap().to_owned();
    for errand in [&["setup-token"][..], &["accept-bundle", "nothing"]] {
        let args = [&["control"], errand, &["--data-dir", &data]].concat();
        let refused = site.run(&args).expect(73);
        assert!(refused.err.contains("there is no control plane"), "{}", refused.err);
    }
    assert!(!site.data().exists());
}
