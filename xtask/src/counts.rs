//! How many tests passed and failed, read from the summaries that test runners print.

/// Passed and failed tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
}

impl Counts {
    /// One check that passed or failed.
    pub(crate) const fn one(passed: bool) -> Self {
        Self { passed: passed as u64, failed: !passed as u64 }
    }

    /// Both together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// From the output of `cargo test`: the sum of its `test result:` lines.
    pub(crate) fn of_cargo(text: &str) -> Self {
        text.lines()
            .filter_map(|line| line.strip_prefix("test result: "))
            .map(|line| Self { passed: before(line, "passed"), failed: before(line, "failed") })
            .fold(Self::default(), Self::and)
    }

    /// From output that ends with a line `N passed, N failed`.
    pub(crate) fn of_closing_line(text: &str) -> Self {
        text.lines().rev().find_map(closing_line).unwrap_or_default()
    }

    /// From the summary of Node's test runner: `pass N` and `fail N` after a mark.
    pub(crate) fn of_node(text: &str) -> Self {
        let number = |word: &str| {
            text.lines().rev().find_map(|line| {
                let mut words = line.split_whitespace();
                let (_mark, name, count) = (words.next()?, words.next()?, words.next()?);
                (name == word && words.next().is_none()).then(|| count.parse().ok())?
            })
        };
        Self { passed: number("pass").unwrap_or(0), failed: number("fail").unwrap_or(0) }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn closing_line(line: &str) -> Option<Counts> {
    let (passed, failed) = line.trim().split_once(" passed, ")?;
    let failed = failed.strip_suffix(" failed")?;
    Some(Counts { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
}

/// The number in front of `word`.
fn before(line: &str, word: &str) -> u64 {
    let words: Vec<_> = line.split([' ', ';', '.', ',']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runner_is_understood() {
        let cargo = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n\
                     noise\ntest result: FAILED. 10 passed; 3 failed; 0 ignored; finished in 1s\n";
        assert_eq!(Counts::of_cargo(cargo), Counts { passed: 12, failed: 3 });
        let own = "1 passed, 9 failed\nmore\n41 passed, 1 failed\n";
        assert_eq!(Counts::of_closing_line(own), Counts { passed: 41, failed: 1 });
        let node = "✔ pass 3 (1ms)\nℹ tests 8\nℹ pass 7\nℹ fail 1\nℹ cancelled 0\n";
        assert_eq!(Counts::of_node(node), Counts { passed: 7, failed: 1 });
        let tap = "# tests 8\n# pass 8\n# fail 0\n";
        assert_eq!(Counts::of_node(tap), Counts { passed: 8, failed: 0 });
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(Counts { passed: 3, failed: 0 }.to_string(), "3 passed, 0 failed");
        assert_eq!(Counts::of_closing_line("nothing"), Counts::default());
    }
}
