//! Which tests failed and what they said, read from the output of `cargo test`: a log of hours is
//! often seen by its end only.

/// The most failed tests that are told of one by one.
const MOST: usize = 12;
/// The most lines of what one test said.
const LINES: usize = 6;
/// The most characters of such a line.
const WIDTH: usize = 400;

/// A few lines for each test that failed: its name and the beginning of its complaint.
pub(crate) fn of_cargo(text: &str) -> Vec<String> {
    let mut told = Vec::new();
    let mut failed = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(name) =
            line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        else {
            continue;
        };
        failed += 1;
        let mut said = Vec::new();
        while let Some(line) = lines.next_if(|line| !is_the_next(line)) {
            said.push(line);
        }
        if failed <= MOST {
            told.push(format!("failed: {name}"));
            told.extend(complaint(&said).map(|line| format!("    {line}")));
        }
    }
    if failed > MOST {
        told.push(format!("and {} more", failed - MOST));
    }
    told
}

/// Whether `line` begins what another test said, or ends the list of them.
fn is_the_next(line: &str) -> bool {
    line.starts_with("---- ") || line == "failures:" || line.starts_with("test result: ")
}

/// The beginning of the panic in what a test said; of everything where it did not panic.
fn complaint<'a>(said: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    let begin = said.iter().position(|line| line.contains("panicked at")).unwrap_or(0);
    let lines = said[begin..].iter().filter(|line| !line.trim().is_empty());
    lines.take(LINES).map(|line| line.chars().take(WIDTH).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_test_is_named_with_the_beginning_of_its_panic() {
        let text = "test a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\nnoise\n\n\
                    thread 'a::b' (7) panicked at src/a.rs:3:5:\nleft: 1\n\nright: 2\n\
                    \n---- c stdout ----\nError: \"no\"\n\n\nfailures:\n    a::b\n    c\n\n\
                    test result: FAILED. 3 passed; 2 failed; 0 ignored\n";
        let told = of_cargo(text);
        assert_eq!(
            told,
            [
                "failed: a::b",
                "    thread 'a::b' (7) panicked at src/a.rs:3:5:",
                "    left: 1",
                "    right: 2",
                "failed: c",
                "    Error: \"no\"",
            ]
        );
        assert!(of_cargo("test a::b ... ok\ntest result: ok. 1 passed; 0 failed\n").is_empty());
    }

    #[test]
    fn what_is_told_has_limits() {
        let one =
            format!("---- t stdout ----\npanicked at x\n{}\n{}", "w".repeat(999), "l\n".repeat(99));
        let told = of_cargo(&one.repeat(MOST + 2));
        assert_eq!(told.len(), MOST * (LINES + 1) + 1);
        assert!(told.iter().all(|line| line.len() <= WIDTH + 4));
        assert_eq!(told.last().map(String::as_str), Some("and 2 more"));
    }
}
