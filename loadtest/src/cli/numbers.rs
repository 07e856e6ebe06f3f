//! Numbers as people write them: `10M`, `20k`, `1%`. Each error says what would be right; clap adds the flag's name.

use serde::Serialize;
use std::str::FromStr;

/// A count, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    Count(u64),
    Percent(f64),
}

impl Share {
    /// At least one of them, as nobody asks for none.
    pub fn of(self, all: u64) -> u64 {
        match self {
            Share::Count(count) => count,
            Share::Percent(percent) => ((all as f64 * percent / 100.0).round() as u64).max(1),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a count such as 5, or a part such as 1%: {text:?}");
        let Some(percent) = text.strip_suffix('%') else {
            return match text.parse() {
                Ok(count) if count > 0 => Ok(Share::Count(count)),
                _ => Err(wrong()),
            };
        };
        let percent: f64 = percent.trim_end().parse().map_err(|_| wrong())?;
        if percent > 0.0 && percent < 100.0 {
            Ok(Share::Percent(percent))
        } else {
            Err(format!("a part is more than 0% and less than 100%: {text:?}"))
        }
    }
}

/// `10M`, `2.5k`, `500`: a whole number of at least one.
pub fn count(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a whole number above 0, such as 500, 20k, 2.5M or 1G: {text:?}");
    let (digits, thousands) = match text.chars().last() {
        Some('k' | 'K') => (&text[..text.len() - 1], 1),
        Some('m' | 'M') => (&text[..text.len() - 1], 2),
        Some('g' | 'G') => (&text[..text.len() - 1], 3),
        _ => (text, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > thousands * 3 {
        return Err(wrong());
    }
    let digits = format!("{whole}{part:0<width$}", width = thousands * 3);
    digits.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_may_have_a_letter_for_its_thousands() {
        let counts = ["1", "500", "20k", "20K", "2.5M", "10M", "1G", "0.5k"].map(|text| count(text).unwrap());
        assert_eq!(counts, [1, 500, 20_000, 20_000, 2_500_000, 10_000_000, 1_000_000_000, 500]);
        for wrong in ["", "0", "k", ".5k", "1.5", "1.2345k", "-1", "1e6", "10 M", "1T", "99999999999G"] {
            assert!(count(wrong).unwrap_err().contains("such as"), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn a_share_is_a_count_or_a_part() {
        assert_eq!("5".parse(), Ok(Share::Count(5)));
        assert_eq!("1%".parse::<Share>().unwrap().of(10_000), 100);
        assert_eq!("0.5 %".parse::<Share>().unwrap().of(10), 1, "never nobody");
        for wrong in ["", "0", "0%", "100%", "-1%", "%", "five", "nan%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong:?} was accepted");
        }
    }
}
