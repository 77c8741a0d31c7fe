use super::*;
use crate::histogram::{BUCKETS, Histogram, bucket};

fn distribution(values: impl IntoIterator<Item = u64>) -> Distribution {
    let mut histogram = Histogram::new();
    values.into_iter().for_each(|value| histogram.record(value));
    Distribution {
        max: histogram.max,
        counts: histogram
            .filled()
            .map(|(index, count)| (index, u64::from(count)))
            .collect(),
    }
}

#[test]
fn the_median_is_in_the_middle() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(median(vec![7.0]), Some(7.0));
    assert_eq!(median(Vec::new()), None);
}

#[test]
fn an_interval_holds_what_is_known_of_it() {
    assert_eq!(Estimate::of(&[]), None);
    let same = Estimate::of(&[2.0; 30]).unwrap();
    assert_eq!((same.low, same.median, same.high), (2.0, 2.0, 2.0));

    // Of 0 to 99 the interval of the median by order statistics is the 40th to the 60th.
    let spread: Vec<f64> = (0..100).map(f64::from).collect();
    let estimate = Estimate::of(&spread).unwrap();
    assert_eq!(estimate.median, 49.5);
    assert!((37.0..43.0).contains(&estimate.low), "{estimate:?}");
    assert!((56.0..62.0).contains(&estimate.high), "{estimate:?}");
    assert_eq!(Estimate::of(&spread), Some(estimate), "the same every time");

    // More values, a narrower interval.
    let more: Vec<f64> = (0..1600).map(|value| f64::from(value) / 16.0).collect();
    let narrower = Estimate::of(&more).unwrap();
    assert!(narrower.high - narrower.low < (estimate.high - estimate.low) / 2.0);
}

#[test]
fn a_few_disturbed_blocks_do_not_move_the_median() {
    let mut values = vec![10.0; 30];
    for disturbed in values.iter_mut().take(9) {
        *disturbed = 1000.0;
    }
    let estimate = Estimate::of(&values).unwrap();
    assert_eq!((estimate.low, estimate.median), (10.0, 10.0));
}

#[test]
fn ratios_are_taken_pair_by_pair() {
    // Both sides slow down together in the second pair: the ratio does not.
    assert_eq!(
        ratios(&[10.0, 100.0, 12.0], &[5.0, 50.0, 6.0]),
        [2.0, 2.0, 2.0]
    );
    assert_eq!(
        ratios(&[1.0, 1.0], &[0.0, 4.0]),
        [0.25],
        "nothing is not a floor"
    );
    assert_eq!(ratios(&[1.0, 2.0], &[1.0]), [1.0], "only whole pairs");
}

#[test]
fn a_bucket_holds_what_is_put_there() {
    for value in (0..200).chain([
        1 << 20,
        (1 << 20) + 12345,
        u64::from(u32::MAX),
        (1 << 40) - 1,
    ]) {
        let (low, width) = bounds(bucket(value));
        assert!(
            (low..low + width).contains(&value),
            "{value}: {low} {width}"
        );
        assert!(width == 1 || width * 64 <= low, "{value}: {low} {width}");
    }
    assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    let starts: Vec<u64> = (0..BUCKETS).map(|index| bounds(index).0).collect();
    assert!(starts.is_sorted_by(|one, next| one < next), "no gaps");
}

#[test]
fn percentiles_at_their_edges() {
    assert_eq!(distribution([]).percentile(0.5), None);
    assert_eq!(distribution([7]).percentile(0.5), Some(7.0));

    let hundred = distribution(1..=100);
    assert_eq!(hundred.samples(), 100);
    assert_eq!(hundred.percentile(0.5), Some(50.0));
    assert_eq!(hundred.percentile(0.9), Some(90.0));
    assert_eq!(hundred.percentile(0.99), None, "one value is beyond it");
    assert_eq!(hundred.max, 100);

    let tail = distribution((0..9_990).map(|_| 20).chain([100; 10]));
    assert_eq!(tail.percentile(0.99), Some(20.0));
    assert_eq!(tail.percentile(0.999), Some(20.0));
    let tail = distribution((0..9_980).map(|_| 20).chain([100; 20]));
    assert_eq!(tail.percentile(0.999), Some(100.0));

    // The middle of a bucket is not said to be larger than the largest value.
    let large = distribution([1 << 30]);
    assert_eq!(large.percentile(0.5), Some((1_u64 << 30) as f64));
}
