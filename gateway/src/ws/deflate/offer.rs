//! The negotiation, RFC 7692 sections 5.1 and 7.1.

use super::deflater::WINDOW_BITS;
use std::fmt;

const NAME: &str = "permessage-deflate";

/// An offer that we take, and what the 101 says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// As offered; what we send is within a window at most as large.
    server_max_window_bits: Option<u8>,
}

impl Accepted {
    /// The first offer that we can take, of those a client has listed with its favourite first. An offer that is malformed, or
    /// asks for what we do not know, is passed over: that is no reason to end the connection.
    pub fn first_of(offers: &[&str]) -> Option<Accepted> {
        offers.iter().find_map(|offer| accept(offer))
    }
}

/// As an element of `Sec-WebSocket-Extensions`. That the client forgets its messages too may be said unasked (RFC 7692 section
/// 7.1.1.2); how large its window may be not, and we take any.
impl fmt::Display for Accepted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{NAME}; server_no_context_takeover; client_no_context_takeover")?;
        match self.server_max_window_bits {
            Some(bits) => write!(formatter, "; server_max_window_bits={bits}"),
            None => Ok(()),
        }
    }
}

fn accept(offer: &str) -> Option<Accepted> {
    let mut parts = offer.split(';').map(str::trim);
    if parts.next() != Some(NAME) {
        return None;
    }
    let mut parameters = Parameters::default();
    parts.try_for_each(|parameter| parameters.take(parameter))?;
    let server_max_window_bits = parameters.server_max_window_bits;
    let within_window = server_max_window_bits.is_none_or(|bits| bits >= WINDOW_BITS);
    within_window.then_some(Accepted { server_max_window_bits })
}

/// Those of an offer. What only allows us something changes nothing, but it must be well-formed and said once.
#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// The bits, if there are any.
    client_max_window_bits: Option<Option<u8>>,
}

impl Parameters {
    /// `None` if the offer cannot be taken.
    fn take(&mut self, parameter: &str) -> Option<()> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(unquoted(value))),
            None => (parameter, None),
        };
        let is_first = match (name, value) {
            ("server_no_context_takeover", None) => {
                !std::mem::replace(&mut self.server_no_context_takeover, true)
            }
            ("client_no_context_takeover", None) => {
                !std::mem::replace(&mut self.client_no_context_takeover, true)
            }
            ("server_max_window_bits", Some(bits)) => {
                self.server_max_window_bits.replace(window_bits(bits)?).is_none()
            }
            ("client_max_window_bits", None) => self.client_max_window_bits.replace(None).is_none(),
            ("client_max_window_bits", Some(bits)) => {
                self.client_max_window_bits.replace(Some(window_bits(bits)?)).is_none()
            }
            _ => false,
        };
        is_first.then_some(())
    }
}

/// A value may stand in quotes (RFC 6455 section 9.1).
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// 8 to 15, without leading zeros or a sign.
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| (8..=15).contains(bits));
    bits.filter(|_| !text.starts_with(['0', '+']))
}
