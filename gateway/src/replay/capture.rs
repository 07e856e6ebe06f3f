//! What recordings of every kind have in common: files, exact numbers, and the word on where one is wrong.

use engine_core::instrument::Step;
use engine_core::units::Timestamp;
use flate2::read::MultiGzDecoder;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A recording that cannot be read. Nothing was replayed; the file wants repair or another folder was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureError {
    /// The file's name within the folder.
    pub file: String,
    /// Its line, from 1.
    pub line: u64,
    /// The column or member.
    pub field: String,
    /// What is wrong with it.
    pub rule: String,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {} field {}: {}", self.file, self.line, self.field, self.rule)
    }
}

impl std::error::Error for CaptureError {}

/// A line of a file, for errors.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub file: &'a str,
    pub line: u64,
}

impl Place<'_> {
    pub fn error(&self, field: &str, rule: impl Into<String>) -> CaptureError {
        CaptureError { file: self.file.into(), line: self.line, field: field.into(), rule: rule.into() }
    }

    /// A whole number.
    pub fn integer(&self, field: &str, text: &str) -> Result<u64, CaptureError> {
        text.parse().map_err(|_| self.error(field, format!("{text:?} is not a whole number")))
    }

    /// Milliseconds since the Unix epoch.
    pub fn milliseconds(&self, field: &str, text: &str) -> Result<Timestamp, CaptureError> {
        let time = self.integer(field, text)?.checked_mul(1000);
        time.map(Timestamp).ok_or_else(|| self.error(field, format!("{text:?} is beyond all time")))
    }

    /// A decimal, maybe with an exponent, as a whole number of steps.
    pub fn steps(&self, field: &str, text: &str, step: Step) -> Result<u64, CaptureError> {
        let value = Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| self.error(field, format!("{text:?} is not a decimal number")))?;
        whole_steps(value, step).ok_or_else(|| {
            let step = Decimal::new(step.size as i64, step.decimals as u32);
            self.error(field, format!("{text:?} is not a whole number of steps of {step} in range"))
        })
    }
}

fn whole_steps(value: Decimal, step: Step) -> Option<u64> {
    let scaled = value.checked_mul(Decimal::from(10u64.checked_pow(step.decimals as u32)?))?.normalize();
    let whole = scaled.is_integer().then(|| scaled.to_u64())??;
    whole.is_multiple_of(step.size).then_some(whole / step.size)
}

/// The text of a file of the folder, unpacked if its name ends in `.gz`.
pub fn open(folder: &Path, file: &str) -> Result<Box<dyn BufRead>, CaptureError> {
    let raw = File::open(folder.join(file))
        .map_err(|error| Place { file, line: 0 }.error("(file)", error.to_string()))?;
    Ok(if file.ends_with(".gz") {
        Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(raw))))
    } else {
        Box::new(BufReader::new(raw))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOT: Step = Step { decimals: 8, size: 1 };
    const HERE: Place<'static> = Place { file: "orders.csv.gz", line: 7 };

    #[test]
    fn reads_numbers_exactly() {
        for (text, lots) in [
            ("0.5", 50_000_000),
            ("6.38e-05", 6_380),
            ("10.0", 1_000_000_000),
            ("0", 0),
            ("1.50000000000", 150_000_000),
        ] {
            assert_eq!(HERE.steps("volume", text, LOT), Ok(lots), "{text}");
        }
    }

    #[test]
    fn says_where_a_number_is_wrong() {
        for text in ["", "x", "-1", "0.000000001", "1e30", "1e-9", "NaN"] {
            let error = HERE.steps("volume", text, LOT).unwrap_err().to_string();
            assert!(error.starts_with("orders.csv.gz line 7 field volume: "), "{error}");
        }
        let half = Step { decimals: 1, size: 5 };
        assert_eq!(HERE.steps("price", "2.5", half), Ok(5));
        assert!(HERE.steps("price", "2.6", half).is_err());
    }
}
