//! Decimals are exact, both ways, and every refusal says why.

use engine_core::units::{Amount, Price, Quantity};
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::wire::code::ErrorCode::{self, *};
use crate::wire::number::{NumberFormat, write_amount};

const CENTS: NumberFormat = NumberFormat::new(2, 1);
const HALVES: NumberFormat = NumberFormat::new(2, 50);

fn text_of(format: NumberFormat, steps: u64) -> String {
    let mut out = Vec::new();
    format.write(&mut out, steps);
    String::from_utf8(out).unwrap()
}

fn amount_text(atoms: u128, decimals: u8) -> String {
    let mut out = Vec::new();
    write_amount(&mut out, Amount(atoms), decimals);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check_price(format: NumberFormat, text: &str, code: ErrorCode, message: &str) {
    let refusal = format.parse_price(text).unwrap_err();
    assert_eq!((refusal.code, refusal.field), (code, Some("price")), "{text}");
    assert_eq!(refusal.message, message);
}

#[test]
fn steps_are_counted() {
    assert_eq!(CENTS.parse_price("30000"), Ok(Price(3_000_000)));
    assert_eq!(CENTS.parse_price("30000.010"), Ok(Price(3_000_001)));
    assert_eq!(HALVES.parse_quantity("1.5"), Ok(Quantity(3)));
    assert_eq!(NumberFormat::new(0, 1000).parse_quantity("5000.0"), Ok(Quantity(5)));
    assert_eq!(NumberFormat::new(18, 1).parse_quantity("18.446744073709551615"), Ok(Quantity(u64::MAX)));
    assert_eq!(NumberFormat::new(18, u64::MAX).parse_quantity("18.446744073709551615"), Ok(Quantity(1)));
    let large = NumberFormat::new(0, 10_000_000_000);
    assert_eq!(large.parse_quantity("184467440737095516150000000000"), Ok(Quantity(u64::MAX)));
}

#[test]
fn refusals_name_field_and_rule() {
    let message = "price 30000.005 is not a multiple of the tick 0.01";
    check_price(NumberFormat::new(3, 10), "30000.005", PriceTick, message);
    check_price(HALVES, "0.25", PriceTick, "price 0.25 is not a multiple of the tick 0.5");
    check_price(CENTS, "30000.005", BadPrecision, "price 30000.005 has more than the 2 decimals allowed");
    check_price(CENTS, "0.00", BadValue, "price must be above zero");
    check_price(CENTS, "184467440737095516.16", BadValue, "price 184467440737095516.16 is too large");
    check_price(
        CENTS,
        &"9".repeat(60_000),
        BadValue,
        "price 9999999999999999999999999999999999999999 is too large",
    );
    for text in
        ["", "-1", "+1", "1e3", "1E3", ".5", "5.", " 1", "1,5", "0x1", "NaN", "Infinity", "١", "1_000"]
    {
        let message = format!("price {text:?} must be digits with at most one point, such as \"30000.5\"");
        check_price(CENTS, text, BadValue, &message);
    }
    let refusal = HALVES.parse_quantity("0.75").unwrap_err();
    assert_eq!((refusal.code, refusal.field), (LotSize, Some("quantity")));
    assert_eq!(refusal.message, "quantity 0.75 is not a multiple of the lot 0.5");
}

#[test]
fn the_shortest_form_is_written() {
    for (decimals, step, steps, text) in [
        (2, 1, 3_000_000, "30000"),
        (2, 1, 3_000_050, "30000.5"),
        (8, 1, 50_000_000, "0.5"),
        (8, 1, 0, "0"),
        (0, 1, 100, "100"),
        (0, 7, 3, "21"),
        (18, 1, 1, "0.000000000000000001"),
        (18, 1, u64::MAX, "18.446744073709551615"),
        (1, 1, 10, "1"),
        (3, 1, 100, "0.1"),
        (3, 1, 12, "0.012"),
        (0, u64::MAX, u64::MAX, "340282366920938463426481119284349108225"),
        (2, u64::MAX, 100, "18446744073709551615"),
    ] {
        assert_eq!(text_of(NumberFormat::new(decimals, step), steps), text);
    }
    assert_eq!(amount_text(u128::MAX, 18), "340282366920938463463.374607431768211455");
    assert_eq!(amount_text(u128::MAX, 0), u128::MAX.to_string());
}

proptest! {
    #[test]
    fn steps_round_trip(steps in 1u64.., step in 1u64.., decimals in 0u8..=18) {
        let format = NumberFormat::new(decimals, step);
        prop_assert_eq!(format.parse_price(&text_of(format, steps)), Ok(Price(steps)));
        prop_assert_eq!(format.parse_quantity(&text_of(format, steps)), Ok(Quantity(steps)));
    }

    #[test]
    fn amounts_agree_with_the_engine(atoms: u128, shift in 0u32..128, decimals in 0u8..=18) {
        let atoms = atoms >> shift;
        let text = engine_core::decimal::scaled_to_string(atoms, decimals);
        prop_assert_eq!(amount_text(atoms, decimals), text);
    }

    #[test]
    fn amounts_agree_with_rust_decimal(atoms in 0u128..(1 << 96), shift in 0u32..96, decimals in 0u8..=18) {
        let atoms = atoms >> shift;
        let decimal = Decimal::from_i128_with_scale(atoms as i128, decimals as u32);
        prop_assert_eq!(amount_text(atoms, decimals), decimal.normalize().to_string());
    }

    #[test]
    fn steps_agree_with_rust_decimal(steps in 1u64.., step in 1u64..1 << 32, decimals in 0u8..=18) {
        let format = NumberFormat::new(decimals, step);
        let decimal = Decimal::from_i128_with_scale(steps as i128 * step as i128, decimals as u32);
        prop_assert_eq!(text_of(format, steps), decimal.normalize().to_string());
        prop_assert_eq!(format.parse_price(&decimal.to_string()), Ok(Price(steps)));
        let next = decimal + Decimal::from_i128_with_scale(1, decimals as u32);
        if step > 1 {
            prop_assert_eq!(format.parse_price(&next.to_string()).unwrap_err().code, PriceTick);
        }
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*", step in 1u64.., decimals in 0u8..=18) {
        let _ = NumberFormat::new(decimals, step).parse_price(&text);
    }
}
