//! Numbers in JSON text, found by their key without parsing the rest: all that is known of a foreign server's messages.

use memchr::memmem;
use std::fmt::Write;

/// Where a foreign server's messages have their sequence and their time.
#[derive(Clone, Debug)]
pub struct Keys {
    timestamp: Option<Key>,
    pub(super) sequence: Option<Key>,
}

/// `"name":`, as it is looked for.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Vec<u8>);

impl Keys {
    pub fn new(timestamp: Option<&str>, sequence: Option<&str>) -> Self {
        Keys { timestamp: timestamp.map(Key::new), sequence: sequence.map(Key::new) }
    }

    /// A server without keys has no other messages than data.
    pub(super) fn has_timestamp(&self, payload: &[u8]) -> bool {
        self.timestamp.as_ref().is_none_or(|key| number_after(payload, &key.0).is_some())
    }

    /// Seconds, milliseconds, microseconds and nanoseconds of this century have different numbers of digits. For `at` see
    /// [`number_near`].
    pub(super) fn stamp_us(&self, payload: &[u8], at: &mut usize) -> Option<u64> {
        let number = number_near(payload, &self.timestamp.as_ref()?.0, at)?;
        Some(match number {
            0..100_000_000_000 => number * 1_000_000,
            100_000_000_000..100_000_000_000_000 => number * 1000,
            100_000_000_000_000..100_000_000_000_000_000 => number,
            _ => number / 1000,
        })
    }
}

impl Key {
    fn new(name: &str) -> Self {
        let mut text = String::new();
        write!(text, "\"{name}\":").expect("writing to memory does not fail");
        Key(text.into_bytes())
    }
}

/// The number after the `key`, which is looked for first where it was the last time: `at`.
pub(super) fn number_near(payload: &[u8], key: &[u8], at: &mut usize) -> Option<u64> {
    if !payload.get(*at..).is_some_and(|rest| rest.starts_with(key)) {
        *at = memmem::find(payload, key)?;
    }
    number(&payload[*at + key.len()..])
}

/// The number after the first `key`.
pub(super) fn number_after(payload: &[u8], key: &[u8]) -> Option<u64> {
    number(&payload[memmem::find(payload, key)? + key.len()..])
}

/// Some servers put large numbers between quotes, some write a space after the colon.
fn number(text: &[u8]) -> Option<u64> {
    let mut digits = text.iter().skip_while(|byte| matches!(byte, b' ' | b'"')).peekable();
    digits.peek().filter(|byte| byte.is_ascii_digit())?;
    let mut digits = digits.take_while(|byte| byte.is_ascii_digit());
    digits.try_fold(0u64, |number, byte| number.checked_mul(10)?.checked_add(u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_key() {
        let read = |text: &str| number_after(text.as_bytes(), b"\"ts\":");
        assert_eq!(read(r#"{"a":1,"ts":77}"#), Some(77));
        assert_eq!(read(r#"{"ts": "78","a":1}"#), Some(78));
        for none in ["{}", r#"{"ts":null}"#, r#"{"ts":"#, r#"{"ts":99999999999999999999}"#] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn a_time_is_microseconds_whatever_its_unit() {
        let keys = Keys::new(Some("E"), None);
        for stamp in ["1760000000", "1760000000000", "1760000000000000", "1760000000000000000"] {
            let text = format!(r#"{{"E":{stamp}}}"#);
            assert_eq!(keys.stamp_us(text.as_bytes(), &mut 0), Some(1_760_000_000_000_000));
        }
    }
}
