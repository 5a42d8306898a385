//! Tests of segments: what is put in is found, and bad bytes do no harm.

use super::*;

fn built(records: &[&[Term]]) -> Vec<u8> {
    let mut builder = SegmentBuilder::default();
    for (terms, place) in records.iter().zip(0..) {
        builder.push(place, terms);
    }
    builder.finish().unwrap()
}

#[test]
fn finds_the_records_that_have_all_terms() {
    let bytes = built(&[&[7, 9], &[7], &[], &[9, 7, u32::MAX], &[9]]);
    let segment = Segment::read(&bytes).unwrap();
    assert_eq!(segment.places(&[7]), [0, 1, 3]);
    assert_eq!(segment.places(&[9, 7]), [0, 3]);
    assert_eq!(segment.places(&[9, 7, u32::MAX]), [3]);
    assert_eq!(segment.places(&[8]), Vec::<u16>::new());
    assert_eq!(segment.places(&[]).len(), SEGMENT_LEN);
}

#[test]
fn agrees_with_a_naive_index_for_rare_and_for_common_terms() {
    let terms: Vec<Vec<Term>> = (0..u32::try_from(SEGMENT_LEN).unwrap())
        .map(|n| {
            [2, 3, 64, 65, 1_000].into_iter().filter(|d| n % d == 0).chain([n << 16]).collect()
        })
        .collect();
    let slices: Vec<&[Term]> = terms.iter().map(Vec::as_slice).collect();
    let bytes = built(&slices);
    assert!(bytes.len() < 16 * 1024, "{}", bytes.len());
    let segment = Segment::read(&bytes).unwrap();
    for wanted in [vec![2], vec![3], vec![64], vec![65], vec![1_000], vec![2, 3, 64], vec![5 << 16]]
    {
        let naive: Vec<u16> = (0..)
            .zip(&terms)
            .filter(|(_, terms)| wanted.iter().all(|term| terms.contains(term)))
            .map(|(place, _)| place)
            .collect();
        assert_eq!(segment.places(&wanted), naive, "{wanted:?}");
    }
}

#[test]
fn bytes_that_are_no_segment_find_nothing_and_do_no_harm() {
    let good = built(&[&[7, 9], &[7]]);
    for end in 0..good.len() {
        let segment = Segment::read(&good[..end]);
        assert!(segment.is_none_or(|segment| segment.places(&[7, 9]).len() <= 1), "{end}");
    }
    let mut other = good.clone();
    other[0] = 2;
    assert!(Segment::read(&other).is_none());
    // A place beyond the segment.
    let mut wild = built(&[&[7]]);
    let last = wild.len();
    wild[last - 2..].fill(0xff);
    assert_eq!(Segment::read(&wild).unwrap().places(&[7]), Vec::<u16>::new());
}
