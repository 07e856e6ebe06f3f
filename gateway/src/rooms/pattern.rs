//! Patterns of symbols: `*`, `BTC-*`, `*-USDT`.

/// What symbols begin and end with; in the name, a `*` stands between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<'a> {
    pub prefix: &'a str,
    suffix: &'a str,
}

impl<'a> Pattern<'a> {
    /// `None` if it has not exactly one `*`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (prefix, suffix) = text.split_once('*')?;
        (!suffix.contains('*')).then_some(Self { prefix, suffix })
    }

    pub fn matches(self, symbol: &str) -> bool {
        symbol.len() >= self.prefix.len() + self.suffix.len()
            && symbol.starts_with(self.prefix)
            && symbol.ends_with(self.suffix)
    }

    /// Whether there could be a symbol that both match, listed or not.
    pub fn overlaps(self, other: Pattern<'_>) -> bool {
        let begins = |one: &str, other: &str| one.starts_with(other) || other.starts_with(one);
        let ends = |one: &str, other: &str| one.ends_with(other) || other.ends_with(one);
        begins(self.prefix, other.prefix) && ends(self.suffix, other.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern<'_> {
        Pattern::parse(text).expect("one star")
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(pattern("*").matches("BTC-USDT"));
        assert!(pattern("BTC-*").matches("BTC-USDT") && !pattern("BTC-*").matches("WBTC-USDT"));
        assert!(pattern("*-USDT").matches("BTC-USDT") && !pattern("*-USDT").matches("BTC-USD"));
        assert!(!pattern("AB*BA").matches("ABA"), "the two may not share a letter");
        assert_eq!((Pattern::parse("BTC-USDT"), Pattern::parse("*-*")), (None, None));
    }

    proptest! {
        #[test]
        fn patterns_overlap_if_a_symbol_can_match_both(one in "[AB]{0,2}\\*[AB]{0,2}", other in "[AB]{0,2}\\*[AB]{0,2}") {
            let (one, other) = (pattern(&one), pattern(&other));
            // All words of up to four letters: what both match there is, if any is, is not longer.
            let words = (0..=4).flat_map(|length| (0..1u32 << length).map(move |bits| {
                (0..length).map(|place| if bits >> place & 1 == 0 { 'A' } else { 'B' }).collect::<String>()
            }));
            let is_possible = words.into_iter().any(|word| one.matches(&word) && other.matches(&word));
            prop_assert_eq!(one.overlaps(other), is_possible);
        }
    }
}
