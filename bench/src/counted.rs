//! What callgrind counts, by the names of two functions: `--toggle-collect='bench::counted::*'` counts inside the first, and
//! `--dump-after='bench::counted::end_of_row*'` writes the sum down when the second returns.

use std::hint::black_box;

/// Runs what is to be counted.
pub(crate) fn counted<R>(work: impl FnOnce() -> R) -> R {
    let mut result = None;
    let mut work = Some(work);
    inside(&mut || result = work.take().map(|work| work()));
    result.expect("it ran")
}

/// Not generic, so that it is one function with one name.
#[inline(never)]
fn inside(work: &mut dyn FnMut()) {
    work();
    // Keeps the call above from being made by a jump, which would end this function.
    black_box(());
}

/// A row is over.
#[inline(never)]
pub(crate) fn end_of_row(name: &str) {
    black_box(name);
}
