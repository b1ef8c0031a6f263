//! A benchmark, and the groups of sides that take turns in it.

use std::time::{Duration, Instant};

use crate::counted::end_of_row;
use crate::meter::{Cost, Meter};
use crate::options::{Mode, Options};
use crate::report::{Row, append};

/// Rounds of each side: enough for one that nothing disturbs, as long as they do not take too long together.
const ROUNDS: usize = 40;
const LEAST_ROUNDS: usize = 5;
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// One benchmark, whose rows make one table.
#[derive(Debug)]
pub struct Bench {
    table: &'static str,
    options: Options,
}

/// A round: gives how many operations it was.
type Round = Box<dyn FnMut(&mut Meter) -> usize>;

/// Sides that are compared, and take turns: what disturbs the machine disturbs all of them.
pub struct Group<'a> {
    bench: &'a Bench,
    name: String,
    sides: Vec<Side>,
}

struct Side {
    name: String,
    make: Box<dyn FnOnce() -> Round>,
    /// The floor of the side before.
    is_floor: bool,
    /// How many allocations an operation may have beyond its floor.
    allowed: Option<f64>,
}

impl Bench {
    /// What the command line asks for. `table` is the name of what is measured in `docs/performance.md`.
    #[must_use]
    pub fn new(table: &'static str) -> Self {
        Self { table, options: Options::read(std::env::args().skip(1)) }
    }

    /// What this run is for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.options.mode
    }

    /// Begins a group; the rows of its sides are called `name` and what they are called themselves.
    #[must_use]
    pub fn group(&self, name: &str) -> Group<'_> {
        Group { bench: self, name: name.to_owned(), sides: Vec::new() }
    }
}

impl Group<'_> {
    /// Adds a side, which gets a row. `make` prepares what the rounds need.
    #[must_use]
    pub fn side<F: FnMut(&mut Meter) -> usize + 'static>(self, name: &str, make: impl FnOnce() -> F + 'static) -> Self {
        self.add(name, false, make)
    }

    /// Adds the floor of the side before it.
    #[must_use]
    pub fn floor<F: FnMut(&mut Meter) -> usize + 'static>(
        self,
        name: &str,
        make: impl FnOnce() -> F + 'static,
    ) -> Self {
        self.add(name, true, make)
    }

    /// Says how many allocations an operation of the latest side may have beyond those of its floor; more fail the benchmark.
    #[must_use]
    pub fn allocating_at_most(mut self, allowed: f64) -> Self {
        let side = self.sides.iter_mut().rev().find(|side| !side.is_floor).expect("a side");
        side.allowed = Some(allowed);
        self
    }

    fn add<F>(mut self, name: &str, is_floor: bool, make: impl FnOnce() -> F + 'static) -> Self
    where
        F: FnMut(&mut Meter) -> usize + 'static,
    {
        let make = Box::new(move || Box::new(make()) as Round);
        self.sides.push(Side { name: name.to_owned(), make, is_floor, allowed: None });
        self
    }

    /// Measures the group.
    ///
    /// # Panics
    /// When a side asks for more memory than it may.
    pub fn run(self) {
        let Self { bench, name, sides } = self;
        let full = |side: &Side| if side.name.is_empty() { name.clone() } else { format!("{name}, {}", side.name) };
        if !sides.iter().any(|side| !side.is_floor && bench.options.selects(&full(side))) {
            return;
        }
        let names: Vec<String> = sides.iter().map(full).collect();
        let (mut settings, mut rounds) = (Vec::new(), Vec::new());
        for side in sides {
            settings.push((side.name, side.is_floor, side.allowed));
            rounds.push((side.make)());
        }
        match bench.options.mode {
            Mode::Counted => bench.count(&names, &settings, &mut rounds),
            Mode::Once | Mode::Timed => {
                let costs = take_turns(bench.options.mode, &mut rounds);
                bench.tell(&names, &settings, &costs);
            }
        }
    }
}

impl Bench {
    /// One round of each, after one that does not count.
    fn count(&self, names: &[String], settings: &[(String, bool, Option<f64>)], rounds: &mut [Round]) {
        let mut row = "";
        for ((round, name), (_, is_floor, _)) in rounds.iter_mut().zip(names).zip(settings) {
            round(&mut Meter::new(Mode::Counted, false));
            let operations = round(&mut Meter::new(Mode::Counted, true));
            end_of_row(name);
            row = if *is_floor { row } else { name };
            let part = if *is_floor { "floor" } else { "row" };
            println!("{row} ({part}): {operations} operations");
            if let Some(report) = &self.options.report {
                append(report, &format!("{}\t{row}\t{part}\t{operations}", self.table));
            }
        }
    }

    fn tell(&self, names: &[String], settings: &[(String, bool, Option<f64>)], costs: &[Cost]) {
        let all: Vec<_> = names.iter().zip(settings).zip(costs).collect();
        for (at, ((name, (_, is_floor, allowed)), cost)) in all.iter().enumerate() {
            if *is_floor {
                continue;
            }
            let next = all.get(at + 1).filter(|((_, (_, is_floor, _)), _)| *is_floor);
            let floor = next.map(|((_, (name, ..)), cost)| (name.as_str(), **cost));
            let row = Row { table: self.table, name, cost: **cost, floor };
            row.print();
            let bare = floor.map_or(0.0, |(_, floor)| floor.allocations_each());
            let beyond = cost.allocations_each() - bare;
            assert!(allowed.is_none_or(|allowed| beyond <= allowed), "{name}: {beyond} allocations beyond the floor");
            if let Some(report) = &self.options.report {
                row.write(report);
            }
        }
    }
}

/// The fastest round of each side, which other work on the machine disturbed the least.
fn take_turns(mode: Mode, rounds: &mut [Round]) -> Vec<Cost> {
    // The first round makes the codecs and fills the pools.
    for round in rounds.iter_mut() {
        round(&mut Meter::new(mode, false));
    }
    let mut fastest: Vec<Option<Cost>> = vec![None; rounds.len()];
    let (started, patience) = (Instant::now(), LONG_ENOUGH * u32::try_from(rounds.len()).unwrap_or(u32::MAX));
    for turn in 0..if mode == Mode::Timed { ROUNDS } else { 1 } {
        if turn >= LEAST_ROUNDS && started.elapsed() > patience {
            break;
        }
        // Whoever comes second finds the processor used to what is done, so the order changes.
        let mut order: Vec<usize> = (0..rounds.len()).collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let (Some(round), Some(best)) = (rounds.get_mut(at), fastest.get_mut(at)) else { continue };
            let mut meter = Meter::new(mode, true);
            let operations = round(&mut meter);
            let cost = meter.cost(operations);
            if best.is_none_or(|best| cost.nanoseconds() < best.nanoseconds()) {
                *best = Some(cost);
            }
        }
    }
    fastest.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_round_of_each_side_is_told() {
        let side = |fastest: u64| -> Round {
            let mut turn = 0;
            Box::new(move |meter| {
                turn += 1;
                meter.cost.elapsed = Duration::from_micros(if turn == 3 { fastest } else { fastest * 100 });
                10
            })
        };
        let costs = take_turns(Mode::Timed, &mut [side(20), side(40)]);
        assert_eq!(costs.iter().map(Cost::nanoseconds).collect::<Vec<_>>(), [2000.0, 4000.0]);
    }

    #[test]
    fn the_first_round_is_not_told() {
        let mut turn = 0;
        let round: Round = Box::new(move |meter| {
            turn += 1;
            meter.cost.elapsed = Duration::from_micros(turn);
            1
        });
        assert_eq!(take_turns(Mode::Timed, &mut [round])[0].elapsed, Duration::from_micros(2));
    }
}
