//! Interpolation against plain evaluation of a polynomial, for every quorum of every threshold.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;

use super::*;

fn coefficient(number: u8) -> Scalar {
    leg_g::hash_to_scalar(&[b"coefficient", &[number]])
}

/// The points of managers 1 to n on a polynomial of degree t-1, and its value at zero.
fn sharing(threshold: Threshold) -> (Vec<RistrettoPoint>, RistrettoPoint) {
    let value = |x: u8| -> RistrettoPoint {
        let x = Scalar::from(x);
        let mut sum = Scalar::ZERO;
        for power in (0..threshold.t()).rev() {
            sum = sum * x + coefficient(power);
        }
        RISTRETTO_BASEPOINT_POINT * sum
    };
    ((1..=threshold.n()).map(value).collect(), value(0))
}

fn thresholds() -> impl Iterator<Item = Threshold> {
    let pairs = (2..=MANAGERS_MAX).flat_map(|n| (2..=n).map(move |t| (t, n)));
    pairs.filter_map(|(t, n)| Threshold::new(t, n))
}

#[test]
fn every_quorum_of_every_threshold_gives_the_value_at_zero() {
    for threshold in thresholds() {
        let (points, zero) = sharing(threshold);
        for quorum in threshold.managers().subsets(threshold.t()) {
            let of_quorum: Vec<_> = quorum.iter().map(|m| points[m.place()]).collect();
            let two = [of_quorum.clone(), of_quorum].concat();
            let combined = Interpolation::of(quorum).combine(&two);
            assert_eq!(combined, [zero.compress(); 2], "{threshold} {quorum}");
        }
        assert!(is_sharing_of(threshold, &points, &zero));
    }
}

#[test]
fn a_sharing_is_recognized_only_when_every_point_fits() {
    let threshold = Threshold::new(3, 5).unwrap();
    let (points, zero) = sharing(threshold);
    assert!(!is_sharing_of(threshold, &points, &(zero + zero)));
    assert!(!is_sharing_of(threshold, &points[..4], &zero));
    for wrong in 0..5 {
        let mut points = points.clone();
        points[wrong] += zero;
        assert!(!is_sharing_of(threshold, &points, &zero), "point {wrong}");
    }
}

#[test]
fn neighbors_are_cheap_and_preferred() {
    let set = |bits| ManagerSet::from_bits(bits).unwrap();
    assert!(Interpolation::of(set(0b011)).is_small());
    assert!(Interpolation::of(set(0b110)).is_small());
    assert!(!Interpolation::of(set(0b101)).is_small());
    assert_eq!(best_quorum(set(0b111), 2), Some(set(0b011)));
    assert_eq!(best_quorum(set(0b101), 2), Some(set(0b101)));
    assert!(!Interpolation::of(set(0b11010)).is_small());
    let best = best_quorum(set(0b11110), 3).unwrap();
    assert!(Interpolation::of(best).is_small(), "{best}");
    assert_eq!(best_quorum(set(0b100), 2), None);
}
