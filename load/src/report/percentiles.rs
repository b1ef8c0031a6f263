//! Percentiles of times.

use serde::Serialize;

use crate::media::Histogram;

/// Percentiles of one thing, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Percentiles {
    /// Of seconds; `None` of nothing.
    pub(super) fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let place = (seconds.len() * share).div_ceil(100).clamp(1, seconds.len());
            seconds.get(place - 1).map(|value| (value * 1e5).round() / 100.0)
        };
        if seconds.is_empty() {
            return None;
        }
        let count = seconds.len() as u64;
        Some(Self { count, p50_ms: at(50)?, p95_ms: at(95)?, p99_ms: at(99)?, max_ms: at(100)? })
    }

    /// Of a histogram; `None` of nothing.
    pub(super) fn of_histogram(times: &Histogram) -> Option<Self> {
        let at = |share| Some((times.percentile(share)?.as_secs_f64() * 1e5).round() / 100.0);
        Some(Self { count: times.count(), p50_ms: at(50)?, p95_ms: at(95)?, p99_ms: at(99)?, max_ms: at(100)? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let of = Percentiles::of((1..=200).rev().map(|n| f64::from(n) / 1000.0).collect()).unwrap();
        assert_eq!((of.p50_ms, of.p95_ms, of.p99_ms, of.max_ms), (100.0, 190.0, 198.0, 200.0));
        let one = Percentiles::of(vec![0.25]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (250.0, 250.0));
        assert!(Percentiles::of(Vec::new()).is_none());
    }
}
