//! What was measured, for people and for `scripts/bench`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::meter::Cost;

/// One side of a comparison, and its floor.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) table: &'a str,
    pub(crate) name: &'a str,
    pub(crate) cost: Cost,
    pub(crate) floor: Option<(&'a str, Cost)>,
}

impl Row<'_> {
    /// Prints the row for people.
    pub(crate) fn print(&self) {
        print!("{}: {}", self.name, time(self.cost.nanoseconds()));
        if let Some((what, floor)) = &self.floor {
            let ratio = self.cost.nanoseconds() / floor.nanoseconds();
            print!(", {what} {}, ratio {ratio:.2}", time(floor.nanoseconds()));
        }
        print!("; {:.2} allocations of {:.0} bytes", self.cost.allocations_each(), self.cost.bytes_each());
        match &self.floor {
            Some((_, floor)) => println!(", bare {:.2}", floor.allocations_each()),
            None => println!(),
        }
    }

    /// A line of fields with tabs between them.
    fn line(&self) -> String {
        let Self { table, name, cost, floor } = self;
        let (ns, allocations, bytes) = (cost.nanoseconds(), cost.allocations_each(), cost.bytes_each());
        let mut line = format!("{table}\t{name}\t{ns:.2}\t{allocations:.3}\t{bytes:.1}");
        if let Some((what, floor)) = floor {
            line += &format!("\t{what}\t{:.2}\t{:.3}", floor.nanoseconds(), floor.allocations_each());
        }
        line
    }

    /// Appends the row for `scripts/bench`.
    pub(crate) fn write(&self, report: &Path) {
        append(report, &self.line());
    }
}

/// Appends a line to a file.
pub(crate) fn append(path: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a report that can be written");
    writeln!(file, "{line}").expect("a report that can be written");
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        0.0..1000.0 => format!("{nanoseconds:.1} ns"),
        1000.0..1e6 => format!("{:.2} us", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_has_the_row_and_its_floor_for_each_operation() {
        let of = |micros| Cost { elapsed: Duration::from_micros(micros), allocations: 4, bytes: 80, operations: 2 };
        let row = Row { table: "t", name: "Read", cost: of(6), floor: Some(("copy", of(2))) };
        assert_eq!(row.line(), "t\tRead\t3000.00\t2.000\t40.0\tcopy\t1000.00\t2.000");
        assert_eq!(Row { floor: None, ..row }.line(), "t\tRead\t3000.00\t2.000\t40.0");
    }

    #[test]
    fn times_are_told_in_the_unit_that_suits_them() {
        assert_eq!([time(12.3), time(12_340.0), time(2.5e6)], ["12.3 ns", "12.34 us", "2.50 ms"]);
    }
}
