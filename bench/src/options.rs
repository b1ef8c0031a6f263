//! What a benchmark is asked to do.

use std::path::PathBuf;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A test: everything once, and it has to work.
    Once,
    /// Processor time and memory asked for.
    Timed,
    /// Instructions, under callgrind, where everything takes fifty times as long.
    Counted,
}

/// The command line.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    /// Only rows whose names contain all of these.
    pub(crate) words: Vec<String>,
    pub(crate) report: Option<PathBuf>,
}

impl Options {
    /// Reads a command line without the program's name. What only libtest knows is passed over.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self { mode: Mode::Once, words: Vec::new(), report: None };
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--bench" if options.mode == Mode::Once => options.mode = Mode::Timed,
                "--count" => options.mode = Mode::Counted,
                "--report" => options.report = arguments.next().map(PathBuf::from),
                word if !word.starts_with('-') => options.words.push(argument),
                _ => {}
            }
        }
        options
    }

    pub(crate) fn selects(&self, row: &str) -> bool {
        let row = row.to_lowercase();
        self.words.iter().all(|word| row.contains(&word.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Options {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_run_by_cargo_test_measures_nothing() {
        assert_eq!(read("--quiet").mode, Mode::Once);
        assert_eq!(read("--bench").mode, Mode::Timed);
        assert_eq!(read("--count --bench").mode, Mode::Counted);
    }

    #[test]
    fn every_word_must_be_in_the_name_of_a_row() {
        let options = read("--bench invite read --report /tmp/x");
        assert!(options.selects("Read an INVITE") && !options.selects("Write an INVITE"));
        assert_eq!(options.report, Some(PathBuf::from("/tmp/x")));
    }
}
