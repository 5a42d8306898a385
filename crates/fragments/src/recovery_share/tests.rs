//! Shares on paper: every quorum restores, every slip is named, nothing is mixed up.

use keysherd_crypto::random::SystemRng;

use super::*;

fn entry(number: u8) -> FragmentEntry {
    FragmentEntry {
        id: Uid([number; 16]),
        name: "north".to_owned(),
        description: String::new(),
        kind: FragmentKind::Standard,
        value: Secret::new([number ^ 0x5a; 32]),
        backup_verified_at: None,
    }
}

fn texts(entry: &FragmentEntry, threshold: u8, shares: u8) -> Vec<String> {
    let made = split(entry, threshold, shares, &SystemRng).unwrap();
    made.iter().map(|share| share.to_text(&entry.name, Some("kf-1")).expose().clone()).collect()
}

fn restored(texts: &[&String]) -> Result<Restored, ShareProblem> {
    let shares: Result<Vec<_>, _> = texts.iter().map(|text| RecoveryShare::parse(text)).collect();
    combine(&shares?)
}

#[test]
fn every_three_of_five_restore() {
    let entry = entry(1);
    let texts = texts(&entry, 3, 5);
    for a in 0..5 {
        for b in a + 1..5 {
            let two = restored(&[&texts[a], &texts[b]]).err();
            assert_eq!(two, Some(ShareProblem::TooFew(2, 3)));
            for c in b + 1..5 {
                let made = restored(&[&texts[c], &texts[a], &texts[b]]).unwrap();
                assert_eq!((made.id, made.kind), (entry.id, SharedKind::Standard));
                assert_eq!(made.value.expose(), entry.value.expose());
            }
        }
    }
    let all: Vec<&String> = texts.iter().collect();
    assert_eq!(restored(&all).unwrap().value.expose(), entry.value.expose());
}

#[test]
fn people_may_type_rows_as_they_like() {
    let texts = texts(&entry(1), 2, 2);
    let rows: Vec<String> = texts[0].lines().skip(5).map(str::to_owned).collect();
    assert_eq!(rows.len(), 4, "{}", texts[0]);
    assert!(rows[0].starts_with("1  ") && rows[0].len() == 2 + 6 * 5 + 4, "{:?}", rows[0]);
    let spellings = [
        rows.join("\n"),
        rows.iter().rev().cloned().collect::<Vec<_>>().join("\r\n"),
        rows.join("\n").to_lowercase(),
        rows.iter()
            .map(|row| format!("  {}", row.replace("  ", ": ")))
            .collect::<Vec<_>>()
            .join("\n"),
        rows.iter()
            .map(|row| row.replacen(' ', ") ", 1).replace(' ', "-").replacen("-", " ", 1))
            .collect::<Vec<_>>()
            .join("\n"),
    ];
    for text in &spellings {
        let made = restored(&[text, &texts[1]]).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(*made.value.expose(), [0x5b; 32]);
    }
}

#[test]
fn a_slip_of_the_pen_is_named_by_its_row() {
    let text = texts(&entry(1), 2, 3).remove(0);
    let lines: Vec<&str> = text.lines().collect();
    for (number, at) in (1..).zip(5..9) {
        let row = lines[at];
        let mut named = 0;
        for place in 3..row.len() {
            let old = row.as_bytes()[place];
            if old == b' ' {
                continue;
            }
            let new = if old == b'A' { 'B' } else { 'A' };
            let mut changed = row.to_owned();
            changed.replace_range(place..=place, &new.to_string());
            let mut altered = lines.clone();
            altered[at] = &changed;
            match RecoveryShare::parse(&altered.join("\n")) {
                Err(ShareProblem::Row(row)) if row == number => named += 1,
                // One slip in 1024 passes the row's own check, none the whole one's.
                other => assert_eq!(other.err(), Some(ShareProblem::Checksum)),
            }
        }
        assert!(named >= 20, "{named} of 26");
        let missing: Vec<&str> =
            lines.iter().enumerate().filter(|(line, _)| *line != at).map(|(_, l)| *l).collect();
        let refused = RecoveryShare::parse(&missing.join("\n")).err();
        assert_eq!(refused, Some(ShareProblem::NotAShare));
        let short = &row[..row.len() - 1];
        let refused = RecoveryShare::parse(&text.replace(row, short)).err();
        assert_eq!(refused, Some(ShareProblem::Row(number)));
    }
    let twice = format!("{text}{}", lines[5]);
    assert_eq!(RecoveryShare::parse(&twice).err(), Some(ShareProblem::Row(1)));
}

#[test]
fn shares_that_do_not_belong_together_are_refused() {
    let (one, again, other) =
        (texts(&entry(1), 2, 3), texts(&entry(1), 2, 3), texts(&entry(2), 2, 3));
    assert_eq!(restored(&[&one[0], &again[1]]).err(), Some(ShareProblem::OtherCeremony));
    assert_eq!(restored(&[&one[0], &other[1]]).err(), Some(ShareProblem::OtherFragment));
    assert_eq!(restored(&[&one[0], &one[0]]).err(), Some(ShareProblem::Repeated(1)));
    assert_eq!(restored(&[]).err(), Some(ShareProblem::TooFew(0, 2)));
    // Rows of two shares, each of which is right.
    let (first, second): (Vec<&str>, Vec<&str>) =
        (one[0].lines().collect(), one[1].lines().collect());
    let mixed = [&first[..6], &second[6..]].concat().join("\n");
    assert_eq!(RecoveryShare::parse(&mixed).err(), Some(ShareProblem::Checksum));
    // One forged with a good checksum shows when there are more than needed.
    let mut forged = RecoveryShare::parse(&one[0]).unwrap();
    forged.value.expose_mut()[0] ^= 1;
    let others = one[1..].iter().map(|text| RecoveryShare::parse(text).unwrap());
    let shares: Vec<_> = std::iter::once(forged).chain(others).collect();
    assert_eq!(combine(&shares).err(), Some(ShareProblem::Contradiction));
}

#[test]
fn hardware_fragments_say_so_and_numbers_have_bounds() {
    let kind = FragmentKind::HsmSecured { key_label: "label".to_owned() };
    let hardware = FragmentEntry { kind: kind.clone(), ..entry(1) };
    let texts = texts(&hardware, 2, 2);
    let made = restored(&[&texts[0], &texts[1]]).unwrap();
    assert_eq!(made.kind.with_label("label".to_owned()), kind);
    for (threshold, shares) in [(1, 3), (4, 3), (2, 16), (0, 0)] {
        let refused = split(&entry(1), threshold, shares, &SystemRng).err();
        assert_eq!(refused, Some(ShareProblem::Parameters), "{threshold} of {shares}");
    }
    assert_eq!(split(&entry(1), 15, 15, &SystemRng).unwrap().len(), 15);
    assert_eq!(RecoveryShare::parse("").err(), Some(ShareProblem::NotAShare));
    assert!(RecoveryShare::parse(&"1 A\n".repeat(10_000)).is_err());
}
