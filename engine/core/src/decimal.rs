//! Decimal text and scaled integers, exactly.
//!
//! `rust_decimal` keeps 28 digits and rounds the rest away in silence; an amount of an 18-decimal asset needs up to
//! 39. So the conversion on the order path is these two functions over `u128` (`docs/decisions/0002-decimal.md`),
//! and `rust_decimal` judges them in tests.

use std::fmt::Write;

/// Most decimals an asset, a price or a quantity may have.
pub const DECIMALS_MAX: u8 = 18;

/// Why a text is not an acceptable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not digits with at most one point between digits: sign, exponent, blank, empty, `.5`, `5.` are all refused.
    Malformed,
    /// More decimals than allowed (trailing zeros do not count).
    TooPrecise,
    /// Larger than 2^128 - 1 once scaled.
    TooLarge,
}

/// Reads `text` as a non-negative decimal and returns it times 10^`decimals`.
///
/// Accepted: `digits` or `digits.digits`. Trailing zeros beyond `decimals` are harmless and accepted.
pub fn parse_scaled(text: &str, decimals: u8) -> Result<u128, DecimalError> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Malformed),
        Some(parts) => parts,
        None => (text, ""),
    };
    if whole.is_empty() {
        return Err(DecimalError::Malformed);
    }
    let mut value = accumulate(0, whole)?;
    let kept = fraction.len().min(decimals as usize);
    // Splitting text we have not checked yet: a multi-byte character is malformed, not a panic.
    let (kept, excess) = fraction.split_at_checked(kept).ok_or(DecimalError::Malformed)?;
    value = accumulate(value, kept)?;
    if !excess.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    if excess.bytes().any(|byte| byte != b'0') {
        return Err(DecimalError::TooPrecise);
    }
    let missing = decimals as u32 - kept.len() as u32;
    10u128.checked_pow(missing).and_then(|power| value.checked_mul(power)).ok_or(DecimalError::TooLarge)
}

fn accumulate(mut value: u128, digits: &str) -> Result<u128, DecimalError> {
    let mut fits = true;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return Err(DecimalError::Malformed);
        }
        match value.checked_mul(10).and_then(|value| value.checked_add((byte - b'0') as u128)) {
            Some(next) => value = next,
            None => fits = false, // keep looking: a malformed text is reported as such, however long it is
        }
    }
    if fits { Ok(value) } else { Err(DecimalError::TooLarge) }
}

/// Appends `value` / 10^`decimals` in the protocol's form: no exponent, no trailing zeros.
pub fn write_scaled(out: &mut impl Write, value: u128, decimals: u8) -> std::fmt::Result {
    let power = 10u128.pow(decimals as u32);
    let (whole, mut fraction) = (value / power, value % power);
    write!(out, "{whole}")?;
    if fraction == 0 {
        return Ok(());
    }
    let mut width = decimals as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    write!(out, ".{fraction:0width$}")
}

/// [`write_scaled`] into a new string, for places where speed does not matter.
pub fn scaled_to_string(value: u128, decimals: u8) -> String {
    let mut text = String::new();
    write_scaled(&mut text, value, decimals).expect("a string takes any text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    #[test]
    fn reads_exactly() {
        for (text, decimals, value) in [
            ("0", 0, 0),
            ("30000", 2, 3_000_000),
            ("0.5", 8, 50_000_000),
            ("00.50", 1, 5),
            ("1.000", 0, 1),
            ("340282366920938463463.374607431768211455", 18, u128::MAX),
        ] {
            assert_eq!(parse_scaled(text, decimals), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        use DecimalError::*;
        for text in [
            "", ".", ".5", "5.", "-1", "+1", "1e5", "1E5", " 1", "1 ", "1..2", "1.2.3", "0x1", "١", "1.é",
            "NaN",
        ] {
            assert_eq!(parse_scaled(text, 8), Err(Malformed), "{text:?}");
        }
        assert_eq!(parse_scaled("0.000000001", 8), Err(TooPrecise));
        assert_eq!(parse_scaled("340282366920938463463.374607431768211456", 18), Err(TooLarge));
        assert_eq!(parse_scaled(&"9".repeat(1000), 0), Err(TooLarge));
        assert_eq!(parse_scaled(&("9".repeat(1000) + "x"), 0), Err(Malformed));
    }

    #[test]
    fn writes_the_shortest_form() {
        for (value, decimals, text) in [
            (0, 8, "0"),
            (50_000_000, 8, "0.5"),
            (3_000_000, 2, "30000"),
            (1, 18, "0.000000000000000001"),
            (105, 2, "1.05"),
        ] {
            assert_eq!(scaled_to_string(value, decimals), text);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_rust_decimal(mantissa in 0u128..(1 << 96), decimals in 0u8..=18) {
            let text = Decimal::from_i128_with_scale(mantissa as i128, decimals as u32).to_string();
            prop_assert_eq!(parse_scaled(&text, decimals), Ok(mantissa));
            let normal = Decimal::from_i128_with_scale(mantissa as i128, decimals as u32).normalize().to_string();
            prop_assert_eq!(scaled_to_string(mantissa, decimals), normal);
        }

        #[test]
        fn round_trips(value: u128, decimals in 0u8..=18) {
            prop_assert_eq!(parse_scaled(&scaled_to_string(value, decimals), decimals), Ok(value));
        }

        #[test]
        fn never_panics(text in "\\PC*", decimals in 0u8..=18) {
            let _ = parse_scaled(&text, decimals);
        }
    }
}
