//! Numbers at the edge: decimal text of a message to ticks and lots, and back, exactly.
//!
//! An instrument writes its prices with some decimals and allows multiples of a tick; the same for quantities and
//! lots. [`NumberFormat`] is these two facts. Reading goes through `engine_core::decimal`, which refuses whatever is
//! not plain digits; writing is here, because it is on the hot path and goes straight into a payload.

use engine_core::decimal::{DecimalError, parse_scaled, scaled_to_string};
use engine_core::units::{Amount, Price, Quantity};

pub use engine_core::decimal::DECIMALS_MAX;

use super::code::{ErrorCode, Refusal};

/// How much of a client's text a message repeats. Longer numbers are cut, so that 64 KiB of digits are not echoed.
const ECHO_CHARS_MAX: usize = 40;

/// How one kind of number of an instrument is written: in multiples of `step`, which counts units of
/// 10^-`decimals`. A tick of 0.05 with two decimals is `NumberFormat::new(2, 5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberFormat {
    decimals: u8,
    step: u64,
}

impl NumberFormat {
    /// A format. Panics if it has more than [`DECIMALS_MAX`] decimals or a step of zero: configuration is checked
    /// before it comes here.
    pub const fn new(decimals: u8, step: u64) -> NumberFormat {
        assert!(decimals <= DECIMALS_MAX && step > 0);
        NumberFormat { decimals, step }
    }

    /// Decimals a number may have.
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// The step in units of 10^-decimals.
    pub const fn step(self) -> u64 {
        self.step
    }

    /// Reads the `price` of an order.
    pub fn parse_price(self, text: &str) -> Result<Price, Refusal> {
        self.parse_price_of("price", text)
    }

    /// Reads another price of an order, or a distance of prices.
    pub fn parse_price_of(self, field: &'static str, text: &str) -> Result<Price, Refusal> {
        self.parse(text, &Rule { field, step: "tick", off_step: ErrorCode::PriceTick }).map(Price)
    }

    /// Reads the `quantity` of an order.
    pub fn parse_quantity(self, text: &str) -> Result<Quantity, Refusal> {
        self.parse_quantity_of("quantity", text)
    }

    /// Reads another quantity of an order.
    pub fn parse_quantity_of(self, field: &'static str, text: &str) -> Result<Quantity, Refusal> {
        self.parse(text, &Rule { field, step: "lot", off_step: ErrorCode::LotSize }).map(Quantity)
    }

    /// Appends a number of steps as text: no exponent, no trailing zeros, no quotes.
    #[inline]
    pub fn write(self, out: &mut Vec<u8>, steps: u64) {
        match steps.checked_mul(self.step) {
            Some(scaled) => write_scaled(out, scaled, self.decimals),
            None => write_scaled(out, steps as u128 * self.step as u128, self.decimals),
        }
    }

    fn parse(self, text: &str, rule: &Rule) -> Result<u64, Refusal> {
        let scaled = parse_scaled(text, self.decimals)
            .map_err(|error| refuse(text, rule.field, self.decimals, error))?;
        let (steps, rest) = match u64::try_from(scaled) {
            Ok(scaled) => ((scaled / self.step) as u128, scaled % self.step),
            Err(_) => (scaled / self.step as u128, (scaled % self.step as u128) as u64),
        };
        if rest != 0 {
            return Err(self.refuse_off_step(text, rule));
        }
        match u64::try_from(steps) {
            Ok(0) => Err(Refusal::of_field(
                ErrorCode::BadValue,
                rule.field,
                format!("{} must be above zero", rule.field),
            )),
            Ok(steps) => Ok(steps),
            Err(_) => Err(refuse(text, rule.field, self.decimals, DecimalError::TooLarge)),
        }
    }

    #[cold]
    fn refuse_off_step(self, text: &str, rule: &Rule) -> Refusal {
        let (field, text, step) =
            (rule.field, echo(text), scaled_to_string(self.step as u128, self.decimals));
        let message = format!("{field} {text} is not a multiple of the {} {step}", rule.step);
        Refusal::of_field(rule.off_step, field, message)
    }
}

/// Reads an amount of an asset with `decimals`.
pub fn parse_amount(field: &'static str, text: &str, decimals: u8) -> Result<Amount, Refusal> {
    match parse_scaled(text, decimals).map_err(|error| refuse(text, field, decimals, error))? {
        0 => Err(Refusal::of_field(ErrorCode::BadValue, field, format!("{field} must be above zero"))),
        atoms => Ok(Amount(atoms)),
    }
}

#[cold]
fn refuse(text: &str, field: &'static str, decimals: u8, error: DecimalError) -> Refusal {
    let text = echo(text);
    let (code, message) = match error {
        DecimalError::Malformed => (
            ErrorCode::BadValue,
            format!("{field} {text:?} must be digits with at most one point, such as \"30000.5\""),
        ),
        DecimalError::TooPrecise => {
            (ErrorCode::BadPrecision, format!("{field} {text} has more than the {decimals} decimals allowed"))
        }
        DecimalError::TooLarge => (ErrorCode::BadValue, format!("{field} {text} is too large")),
    };
    Refusal::of_field(code, field, message)
}

/// Appends an amount of an asset with `decimals` as text.
#[inline]
pub fn write_amount(out: &mut Vec<u8>, amount: Amount, decimals: u8) {
    match u64::try_from(amount.0) {
        Ok(atoms) => write_scaled(out, atoms, decimals),
        Err(_) => write_scaled(out, amount.0, decimals),
    }
}

/// What the two kinds of numbers differ in.
struct Rule {
    field: &'static str,
    step: &'static str,
    off_step: ErrorCode,
}

/// Writes all digits first and then cuts: the point has a fixed place from the right and trailing zeros are bytes
/// to drop, so there is no division beyond those of `itoa`.
#[inline]
fn write_scaled(out: &mut Vec<u8>, value: impl itoa::Integer, decimals: u8) {
    const ZEROS: [u8; DECIMALS_MAX as usize] = [b'0'; DECIMALS_MAX as usize];
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    let decimals = decimals as usize;
    let (whole, fraction) = match digits.len().checked_sub(decimals) {
        None | Some(0) => (&b"0"[..], digits),
        Some(point) => digits.split_at(point),
    };
    out.extend_from_slice(whole);
    let missing = decimals.saturating_sub(digits.len());
    let fraction = trim_zeros(fraction);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(&ZEROS[..missing]);
        out.extend_from_slice(fraction);
    }
}

fn trim_zeros(mut digits: &[u8]) -> &[u8] {
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    digits
}

fn echo(text: &str) -> &str {
    match text.char_indices().nth(ECHO_CHARS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
