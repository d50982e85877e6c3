//! How what was seen of a container grew over time, in few points. Pure.
//!
//! From each point on, up to the next, no less had been seen than it says: points that are left out make the curve later, never
//! higher.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use profile::kinds::recording::SeenAt;

/// The most points of one container; the first and the last are always kept.
const POINTS: usize = 32;
const FEWEST: usize = 2;

/// The most points of a recording, as long as each container has the fewest: a status has to stay small.
const ALL_POINTS: usize = 1024;

/// How many points each of so many containers may have.
pub(super) fn room(containers: usize) -> usize {
    (ALL_POINTS / containers.max(1)).clamp(FEWEST, POINTS)
}

/// Adds that so much had been seen at a time, if it is more than was known.
pub(super) fn add(points: &mut Vec<SeenAt>, at: &Time, seen: i64) {
    match points.last_mut() {
        Some(last) if seen <= last.seen => {}
        // Clocks of nodes differ: time does not run back for that.
        Some(last) if at.0.as_second() <= last.at.0.as_second() => last.seen = seen,
        _ => points.push(SeenAt { at: at.clone(), seen }),
    }
}

/// Leaves out points until there are no more than `most`: each time the one whose loss changes the area under the curve
/// least.
pub(super) fn thin(points: &mut Vec<SeenAt>, most: usize) {
    while points.len() > most.max(FEWEST) {
        let loss = |at: usize| {
            let (before, point, after) = (&points[at - 1], &points[at], &points[at + 1]);
            let seconds = after.at.0.as_second() - point.at.0.as_second();
            (i128::from(point.seen) - i128::from(before.seen)) * i128::from(seconds)
        };
        let Some(least) = (1..points.len() - 1).min_by_key(|at| loss(*at)) else { return };
        points.remove(least);
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn time(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn pairs(points: &[SeenAt]) -> Vec<(i64, i64)> {
        points.iter().map(|point| (point.at.0.as_second(), point.seen)).collect()
    }

    /// What a curve says had been seen at a time.
    fn at(points: &[(i64, i64)], second: i64) -> i64 {
        points.iter().take_while(|(at, _)| *at <= second).last().map_or(0, |(_, seen)| *seen)
    }

    #[test]
    fn only_what_is_more_makes_a_point_and_time_never_runs_back() {
        let mut points = Vec::new();
        for (second, seen) in [(10, 5), (20, 5), (30, 9), (25, 12), (40, 11)] {
            add(&mut points, &time(second), seen);
        }
        assert_eq!(pairs(&points), [(10, 5), (30, 12)]);
    }

    #[test]
    fn many_containers_have_fewer_points_each() {
        assert_eq!([room(0), room(1), room(32), room(64), room(1024)], [32, 32, 32, 16, 2]);
    }

    #[test]
    fn what_changes_the_curve_least_is_left_out() {
        let mut points = Vec::new();
        for (second, seen) in [(0, 10), (10, 50), (1000, 51), (1001, 60), (2000, 61)] {
            add(&mut points, &time(second), seen);
        }
        thin(&mut points, 4);
        assert_eq!(pairs(&points), [(0, 10), (10, 50), (1001, 60), (2000, 61)]);
    }

    proptest! {
        #[test]
        fn a_thinned_curve_ends_as_it_did_and_is_never_higher(
            steps in prop::collection::vec((0i64..100, 0i64..20), 1..80),
            most in 0usize..40,
        ) {
            let (mut points, mut second, mut seen) = (Vec::new(), 0, 0);
            let mut all = Vec::new();
            for (later, more) in steps {
                (second, seen) = (second + later, seen + more);
                add(&mut points, &time(second), seen);
                all.push((second, seen));
                thin(&mut points, most);
            }
            let points = pairs(&points);
            prop_assert!(points.len() <= most.max(FEWEST));
            prop_assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
            prop_assert_eq!(points.last().map(|last| last.1), Some(seen));
            for (second, seen) in &all {
                // In a second in which more came, the point has all of that second.
                let by_then = all.iter().filter(|(at, _)| at <= second).map(|(_, seen)| *seen).max();
                prop_assert!(at(&points, *second) <= by_then.unwrap_or(*seen));
            }
        }
    }
}
