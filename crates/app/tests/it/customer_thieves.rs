//! What thieves have with and without the customer fragment: a second implementation tries to open
//! what the server stored.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::customer_fragments::{key_with_secret, new_fragment, start_with};
use crate::kit::{Share, Site, documents_in, open_document, question, shares_in};

/// What is left of a stopped server: a value bound to a fragment and one that is not, every
/// manager's fragments, and the customer fragment (id and value in hex).
struct Loot {
    bound: Vec<u8>,
    plain: Vec<u8>,
    shares: Vec<Share>,
    fragment: (String, String),
}

impl Loot {
    fn new(site: &Site) -> Self {
        let file = site.path("customer_fragments.json");
        let made = new_fragment(site, &file, "north");
        let server = start_with(site, &file);
        let admin = server.admin();
        key_with_secret(&admin, "north", &made.id);
        admin.store("/plain", "value of plain");
        let item = |name: &str| admin.describe(name)["item_id"].as_i64().unwrap();
        let (bound, plain) = (item("/secrets/north"), item("/plain"));
        server.stop();
        let newest = |item| documents_in(&site.data().join("control"), item).pop().unwrap();
        let of_manager = |index: u8| {
            let home = site.data().join("managers").join(index.to_string());
            shares_in(&home.join("store/fragments.redb"), &home.join("epoch.key"))
        };
        Self {
            bound: newest(bound),
            plain: newest(plain),
            shares: (1..=3).flat_map(of_manager).collect(),
            fragment: (made.id[3..].to_owned(), value_in(&file)),
        }
    }

    /// What the thief reads of `document` with the fragments of the managers in `of`.
    fn try_open(&self, document: &[u8], of: &[u64], fragments: &[(&str, &str)]) -> Opened {
        let asked = question(document, &self.shares, of, fragments);
        let answer = open_document(&[], &asked);
        if answer.code != 0 {
            return Opened::Nothing(answer.err);
        }
        let answer: Value = serde_json::from_str(&answer.out).unwrap();
        Opened::Value(STANDARD.decode(answer["plaintext"].as_str().unwrap()).unwrap())
    }
}

#[derive(Debug, PartialEq)]
enum Opened {
    Value(Vec<u8>),
    Nothing(String),
}

impl Opened {
    #[track_caller]
    fn says(self, expected: &str) {
        let Self::Nothing(why) = self else { panic!("opened: {self:?}") };
        assert!(why.contains(expected), "{why}");
    }
}

fn value_in(file: &Path) -> String {
    let read: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let value = read["customer_fragments"][0]["value"].as_str().unwrap().to_owned();
    hex::encode(STANDARD.decode(value).unwrap())
}

#[test]
fn t_two_kfms_no_cf_opens() {
    let site = Site::new();
    let loot = Loot::new(&site);
    for two in [[1, 2], [1, 3], [2, 3]] {
        let opened = loot.try_open(&loot.plain, &two, &[]);
        assert_eq!(opened, Opened::Value(b"value of plain".to_vec()), "managers {two:?}");
    }
}

#[test]
fn t_two_kfms_with_cf_fails() {
    let site = Site::new();
    let loot = Loot::new(&site);
    let (id, value) = (loot.fragment.0.as_str(), loot.fragment.1.as_str());
    let zeros = "00".repeat(32);
    let mut flipped = value.to_owned();
    let digit = if flipped.starts_with('0') { "1" } else { "0" };
    flipped.replace_range(..1, digit);
    for some in [&[1, 2][..], &[1, 3], &[2, 3], &[1, 2, 3]] {
        loot.try_open(&loot.bound, some, &[]).says("customer fragment");
        for guess in [&zeros, &flipped] {
            loot.try_open(&loot.bound, some, &[(id, guess)]).says("does not commit");
        }
        // The control: with the fragment the same loot opens.
        let opened = loot.try_open(&loot.bound, some, &[(id, value)]);
        assert_eq!(opened, Opened::Value(b"value of north".to_vec()), "managers {some:?}");
    }
}

#[test]
fn t_cf_alone_useless() {
    let site = Site::new();
    let loot = Loot::new(&site);
    let (id, value) = (loot.fragment.0.as_str(), loot.fragment.1.as_str());
    // The fragment, all ciphertext, and the fragments of one manager at most.
    for alone in [&[][..], &[1], &[2], &[3]] {
        let opened = loot.try_open(&loot.bound, alone, &[(id, value)]);
        assert!(matches!(opened, Opened::Nothing(_)), "managers {alone:?}: {opened:?}");
    }
    // Fragments of managers that the thief makes up.
    let mut made_up = loot.shares.clone();
    for share in &mut made_up {
        let digits = share.value["x"].as_str().unwrap().len();
        share.value["x"] = format!("01{}", "0".repeat(digits - 2)).into();
        for key in share.value["s"].as_object_mut().unwrap().values_mut() {
            *key = "00".repeat(32).into();
        }
    }
    let forged = Loot { shares: made_up, ..loot };
    let (id, value) = (forged.fragment.0.clone(), forged.fragment.1.clone());
    forged.try_open(&forged.bound, &[1, 2], &[(&id, &value)]).says("does not commit");
    // What lies in the gateway's directory, the fragment's file beside it, is nothing else: no
    // value, and nothing that a manager holds.
    let gateway = site.data().join("gateway");
    let mut names: Vec<_> = std::fs::read_dir(&gateway)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.contains(&"instance.key".to_owned()), "{names:?}");
    for name in names.iter().filter(|name| gateway.join(name).is_file()) {
        let bytes = std::fs::read(gateway.join(name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("value of"), "{name}");
    }
}
