//! Files of customer fragments and recovery shares: what people keep, copy and type.

use keysherd_base::{Secret, Timestamp, Uid};
use keysherd_fragments::fragment_file::{
    FRAGMENTS_MAX, FragmentEntry, FragmentFile, FragmentKind, NAME_BYTES_MAX, id_text, parse_id,
};
use keysherd_fragments::recovery_share::{RecoveryShare, combine, split};

use crate::randomness::Sequence;

/// Parses the bytes as a file of customer fragments: what is accepted is written again and read as
/// the same, ids are unique, and no problem repeats a value.
pub fn fragment_files(data: &[u8]) {
    let file = match FragmentFile::parse(data) {
        Ok(file) => file,
        Err(problem) => {
            assert!(problem.text.len() < 300, "{problem}");
            return;
        }
    };
    assert!(file.entries.len() + file.problems.len() <= FRAGMENTS_MAX);
    for problem in &file.problems {
        assert!(problem.text.len() < 400 && !problem.text.chars().any(char::is_control));
    }
    for entry in &file.entries {
        assert!(entry.name.len() <= NAME_BYTES_MAX && !entry.name.chars().any(char::is_control));
        assert_eq!(parse_id(&id_text(&entry.id)), Some(entry.id));
        assert!(file.problem(&entry.id).is_none());
        let same = file.entries.iter().filter(|other| other.id == entry.id).count();
        assert_eq!(same, 1, "one id twice");
        if entry.kind == FragmentKind::Standard {
            let made = entry.fragment().expect("a standard entry is a fragment");
            assert!(made.is(&entry.id, &made.check_value()));
        }
    }
    let written = FragmentFile { entries: file.entries, problems: Vec::new() }.to_json();
    let again = FragmentFile::parse(written.expose()).and_then(FragmentFile::sound);
    let again = again.expect("what was written is read");
    assert!(again.to_json().expose() == written.expose(), "another file is written");
}

/// Parses the bytes as a recovery share: what is accepted is written again and read as the same,
/// and alone restores nothing.
pub fn recovery_shares(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(share) = RecoveryShare::parse(text) else { return };
    assert!((2..=share.shares).contains(&share.threshold));
    assert!((1..=share.shares).contains(&share.number));
    let written = share.to_text("name", None);
    let again = RecoveryShare::parse(written.expose()).expect("what was written is read");
    assert!(again.to_text("name", None).expose() == written.expose());
    assert!(combine(&[share]).is_err(), "one share restores");
}

fn entry(number: u8, kind: FragmentKind) -> FragmentEntry {
    FragmentEntry {
        id: Uid([number; 16]),
        name: format!("name {number}"),
        description: "some \"text\"".to_owned(),
        kind,
        value: Secret::new([number; 32]),
        backup_verified_at: (number == 1).then(|| Timestamp::from_seconds(1_767_607_872)),
    }
}

/// Files with no, one and three fragments.
pub(crate) fn file_seeds() -> Vec<Vec<u8>> {
    let label = || "label".to_owned();
    let kinds = [
        FragmentKind::Standard,
        FragmentKind::HsmWrapped { key_label: label() },
        FragmentKind::HsmSecured { key_label: label() },
    ];
    let file = |count: usize| {
        let entries = (1..).zip(kinds.iter().cloned()).take(count);
        let entries = entries.map(|(number, kind)| entry(number, kind)).collect();
        FragmentFile { entries, problems: Vec::new() }.to_json().expose().clone()
    };
    vec![file(0), file(1), file(3)]
}

/// A share as it is printed, and only its rows.
pub(crate) fn share_seeds() -> Vec<Vec<u8>> {
    let made = split(&entry(1, FragmentKind::Standard), 2, 3, &Sequence::new(1));
    let made = made.expect("invariant: 2 of 3 is possible");
    let text = made[0].to_text("name", Some("kf-00")).expose().clone();
    let rows = text.lines().skip(5).collect::<Vec<_>>().join("\n");
    vec![text.into_bytes(), rows.into_bytes()]
}
