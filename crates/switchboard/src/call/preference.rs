//! In which order a call tries what has a priority and a weight: gateways, and the servers of one (RFC 2782).

use crate::ids::Ids;

/// By priority, lower first; within one, at random by weight (RFC 2782).
pub(super) fn in_order<'a, T>(items: &'a [T], preference: impl Fn(&T) -> (u16, u16), ids: &mut Ids) -> Vec<&'a T> {
    let mut left: Vec<&T> = items.iter().collect();
    // Those without weight come first, so that nothing but a 0 draws them while there are others.
    left.sort_by_key(|item| preference(item));
    let mut ordered = Vec::with_capacity(left.len());
    while let Some((priority, _)) = left.first().map(|item| preference(item)) {
        let share = |item: &T| u32::from(preference(item).1);
        let peers = left.iter().take_while(|item| preference(item).0 == priority).count();
        let total: u32 = left.iter().take(peers).map(|item| share(item)).sum();
        let drawn = ids.below(total.saturating_add(1));
        let mut sum = 0;
        let at = left.iter().take(peers).position(|item| {
            sum += share(item);
            sum >= drawn
        });
        ordered.push(left.remove(at.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each comes first in a thousand calls.
    fn first(items: &[(u16, u16)]) -> Vec<usize> {
        let mut ids = Ids::new([7; 32]);
        let mut counts = vec![0; items.len()];
        for _ in 0..1000 {
            let ordered = in_order(items, |item| *item, &mut ids);
            assert_eq!(ordered.len(), items.len());
            assert!(ordered.is_sorted_by_key(|item| item.0), "{ordered:?}");
            let at = items.iter().position(|item| std::ptr::eq(item, ordered[0])).unwrap();
            counts[at] += 1;
        }
        counts
    }

    #[test]
    fn within_a_priority_each_comes_first_as_often_as_its_weight_says() {
        let counts = first(&[(10, 60), (10, 30), (10, 10), (20, 1000)]);
        for (count, expected) in counts.iter().zip([600, 300, 100]) {
            assert!(count.abs_diff(expected) < 60, "{counts:?}");
        }
        assert_eq!(counts[3], 0);
    }

    #[test]
    fn without_weight_one_hardly_ever_comes_first_beside_others_that_have_some() {
        let counts = first(&[(10, 0), (10, 100)]);
        assert!(counts[0] > 0 && counts[0] < 30, "{counts:?}");
    }

    #[test]
    fn what_has_no_weights_at_all_stays_as_it_was_told() {
        assert_eq!(first(&[(0, 0), (0, 0), (0, 0)]), [1000, 0, 0]);
    }
}
