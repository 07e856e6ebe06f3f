//! Runs steps in order, counts the tests inside them, and sums up.
//!
//! A step is one command or one function. What a command prints is passed on line by line while test results are
//! counted from it. The last line of the output is always `N passed, N failed` or `N passed, N failed, N skipped`,
//! so that a machine can read the outcome.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub struct Step {
    name: String,
    work: Box<dyn FnOnce() -> Result<Tally>>,
}

impl Step {
    pub fn command(name: impl Into<String>, command: Command) -> Self {
        Self::call(name, move || run_counting(command))
    }

    pub fn call(name: impl Into<String>, work: impl FnOnce() -> Result<Tally> + 'static) -> Self {
        Self { name: name.into(), work: Box::new(work) }
    }
}

/// Tests counted. A step that is not a test run counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Tally {
    pub const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Runs every step up to the first that fails, prints the summary, and returns the sum. What comes after a failure
/// counts as skipped.
pub fn run(steps: Vec<Step>) -> Tally {
    let mut rows = Vec::new();
    let mut sum = Tally::default();
    for Step { name, work } in steps {
        if sum.failed > 0 {
            sum += Tally::SKIPPED;
            rows.push((name, None));
            continue;
        }
        println!("\n=== {name}");
        let start = Instant::now();
        let tally = work().unwrap_or_else(|error| {
            eprintln!("{name}: {error:#}");
            Tally::FAILED
        });
        sum += tally;
        rows.push((name, Some((tally, start.elapsed()))));
    }
    print_summary(&rows, sum);
    sum
}

fn print_summary(rows: &[(String, Option<(Tally, Duration)>)], sum: Tally) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    println!("\n=== summary");
    for (name, outcome) in rows {
        match outcome {
            Some((tally, time)) => println!("{name:width$}  {:>10}  {tally}", readable(*time)),
            None => println!("{name:width$}  {:>10}  not run", ""),
        }
    }
    println!("{sum}");
}

fn readable(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// Passes the command's output on, line by line so that a long step shows its progress, and counts.
fn run_counting(mut command: Command) -> Result<Tally> {
    println!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    let notes = thread::spawn(move || pass_on(stderr, io::stderr(), skip_note));
    let results = pass_on(child.stdout.take().context("stdout is piped")?, io::stdout(), result_line)?;
    let notes = notes.join().expect("the reader does not panic")?.unwrap_or_default();
    let status = child.wait()?;
    Ok(settle(results, notes.skipped, status.success()))
}

/// The sum of what `count` finds; none when it found nothing to count.
fn pass_on(
    from: impl Read,
    mut to: impl Write,
    count: fn(&str) -> Option<Tally>,
) -> io::Result<Option<Tally>> {
    let mut sum = None;
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        if let Some(tally) = count(&String::from_utf8_lossy(&line)) {
            *sum.get_or_insert_default() += tally;
        }
        line.clear();
    }
    Ok(sum)
}

/// libtest's own result line, on stdout.
fn result_line(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| {
        let part = counts.split(';').find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    Some(Tally { passed: number("passed"), failed: number("failed"), skipped: number("ignored") })
}

/// The line a test writes to stderr when something it needs is not on the machine.
fn skip_note(line: &str) -> Option<Tally> {
    line.starts_with("skipped: ").then_some(Tally::SKIPPED)
}

/// libtest takes a test that skipped itself for a passed one. A command fails by its exit code, whatever it printed.
fn settle(results: Option<Tally>, skip_notes: u64, success: bool) -> Tally {
    let Some(results) = results else {
        return if success { Tally::PASSED } else { Tally::FAILED };
    };
    Tally {
        passed: results.passed.saturating_sub(skip_notes),
        failed: if success { results.failed } else { results.failed.max(1) },
        skipped: results.skipped + skip_notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 5 filtered out; finished in 0.01s\n";
        assert_eq!(result_line(line), Some(Tally { passed: 12, failed: 0, skipped: 3 }));
        let line = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(result_line(line), Some(Tally { passed: 1, failed: 2, skipped: 0 }));
        assert_eq!(result_line("test book::rests ... ok\n"), None);
    }

    #[test]
    fn a_test_that_skipped_itself_did_not_pass() {
        assert_eq!(skip_note("skipped: chromedriver is not installed\n"), Some(Tally::SKIPPED));
        let results = Tally { passed: 4, failed: 0, skipped: 1 };
        assert_eq!(settle(Some(results), 1, true), Tally { passed: 3, failed: 0, skipped: 2 });
    }

    #[test]
    fn a_failed_command_is_a_failure_even_without_results() {
        assert_eq!(settle(None, 0, false), Tally::FAILED);
        assert_eq!(settle(None, 0, true), Tally::PASSED);
        assert_eq!(settle(Some(Tally { passed: 4, failed: 0, skipped: 0 }), 0, false).failed, 1);
    }

    #[test]
    fn the_last_line_names_skips_only_when_there_are_any() {
        assert_eq!(Tally::PASSED.to_string(), "1 passed, 0 failed");
        assert_eq!(Tally::SKIPPED.to_string(), "0 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn what_follows_a_failure_does_not_run() {
        let failing = Step::call("fails", || anyhow::bail!("on purpose"));
        let never = Step::call("never", || panic!("ran after a failure"));
        assert_eq!(run(vec![failing, never]), Tally { passed: 0, failed: 1, skipped: 1 });
    }
}
