//! The keys of one message and typed access to their values.
//!
//! Each reader tells three things apart: the key is absent (`Ok(None)`), its value is fine, its value is not (a
//! refusal that names key and rule). What is required and what is optional is for the caller to say.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use simd_json::{Node, StaticNode};

use super::{CHANNEL_BYTES_MAX, NAME_BYTES_MAX, SECRET_BYTES_MAX};
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::id::{ID_BYTES_MAX, RequestId};
use crate::wire::name::Name;

macro_rules! keys {
    ($($variant:ident $text:literal)+) => {
        /// Every key that some action reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field { $($variant,)+ }

        impl Field {
            const COUNT: usize = [$(Field::$variant,)+].len();

            pub(super) const fn text(self) -> &'static str {
                match self { $(Field::$variant => $text,)+ }
            }

            fn from_text(text: &str) -> Option<Field> {
                match text { $($text => Some(Field::$variant),)+ _ => None }
            }
        }
    };
}

keys! {
    Action "action"
    Id "id"
    OrderId "order_id"
    Symbol "symbol"
    Side "side"
    Price "price"
    Quantity "quantity"
    OrderType "order_type"
    Tif "tif"
    PostOnly "post_only"
    Stp "stp"
    ExpireTs "expire_ts"
    StopPrice "stop_price"
    StopLimitPrice "stop_limit_price"
    Trail "trail"
    DisplayQuantity "display_quantity"
    QuoteQuantity "quote_quantity"
    TimeoutMs "timeout_ms"
    Channel "channel"
    Streams "streams"
    Depth "depth"
    IntervalMs "interval_ms"
    OnSlow "on_slow"
    Checksum "checksum"
    Account "account"
    Key "key"
    Ts "ts"
    RecvWindowMs "recv_window_ms"
    Alg "alg"
    Sig "sig"
    CancelOnDisconnect "cancel_on_disconnect"
    ResumeFrom "resume_from"
    Scope "scope"
    GraceMs "grace_ms"
}

/// The known keys of one object of a tape.
pub(super) struct Fields<'a, 't> {
    /// The object: its header, then key, value, key, value, nested values in full.
    nodes: &'t [Node<'a>],
    /// Where in `nodes` the value of each key is. Zero, the place of the header, means absent.
    places: [u32; Field::COUNT],
    repeated: Option<Field>,
}

impl<'a, 't> Fields<'a, 't> {
    /// Finds the known keys of the object that `nodes` starts with, or nothing if it is not an object.
    pub(super) fn of_object(nodes: &'t [Node<'a>]) -> Option<Fields<'a, 't>> {
        let Some(&Node::Object { len, .. }) = nodes.first() else { return None };
        let mut fields = Fields { nodes, places: [0; Field::COUNT], repeated: None };
        let mut place = 1;
        for _ in 0..len {
            let Node::String(key) = nodes[place] else { unreachable!("a key is a string") };
            if let Some(key) = Field::from_text(key) {
                fields.note(key, place + 1);
            }
            place += 1 + size_of_value(&nodes[place + 1]);
        }
        Some(fields)
    }

    fn note(&mut self, key: Field, place: usize) {
        let slot = &mut self.places[key as usize];
        if *slot != 0 {
            self.repeated.get_or_insert(key);
        }
        *slot = place as u32;
    }

    /// Refuses a message that says something twice.
    pub(super) fn refuse_repeated(&self) -> Result<(), Refusal> {
        match self.repeated {
            Some(key) => Err(bad_value(key, format!("{} must not appear twice", key.text()))),
            None => Ok(()),
        }
    }

    /// Whether the key is there, with whatever value.
    pub(super) fn has(&self, key: Field) -> bool {
        self.places[key as usize] != 0
    }

    /// Whether a message without an action is an order in the bare form: any key that only orders have tells.
    pub(super) fn looks_like_order(&self) -> bool {
        [Field::OrderId, Field::Side, Field::Price, Field::Quantity].into_iter().any(|key| self.has(key))
    }

    /// What `read` finds, or a refusal if the key is absent.
    pub(super) fn required<T>(
        &self,
        key: Field,
        read: impl FnOnce(&Self, Field) -> Result<Option<T>, Refusal>,
    ) -> Result<T, Refusal> {
        read(self, key)?.ok_or_else(|| missing(key))
    }

    /// Any text.
    pub(super) fn text(&self, key: Field) -> Result<Option<&'a str>, Refusal> {
        match self.value(key) {
            None => Ok(None),
            Some([Node::String(text), ..]) => Ok(Some(text)),
            Some(_) => Err(bad_value(key, format!("{} must be a string", key.text()))),
        }
    }

    /// The name of something that will be looked up: a channel or a symbol.
    pub(super) fn label(&self, key: Field) -> Result<Option<&'a str>, Refusal> {
        self.text_within(key, CHANNEL_BYTES_MAX)
    }

    /// A key or a signature.
    pub(super) fn secret(&self, key: Field) -> Result<Option<&'a str>, Refusal> {
        self.text_within(key, SECRET_BYTES_MAX)
    }

    /// A name that the client chose: it is stored, so it has a small alphabet.
    pub(super) fn name(&self, key: Field) -> Result<Option<&'a str>, Refusal> {
        let good = |text: &str| {
            (1..=NAME_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
        };
        self.text(key)?.map_or(Ok(None), |text| match good(text) {
            true => Ok(Some(text)),
            false => Err(bad_value(
                key,
                format!("{} must have 1 to {NAME_BYTES_MAX} characters of A-Z a-z 0-9 . _ : -", key.text()),
            )),
        })
    }

    /// A decimal, still as text. A JSON number is refused: it may have been through a float before it came here.
    pub(super) fn decimal(&self, key: Field) -> Result<Option<&'a str>, Refusal> {
        match self.value(key) {
            None => Ok(None),
            Some([Node::String(text), ..]) => Ok(Some(text)),
            Some(_) => {
                Err(bad_value(key, format!("{} must be a decimal in a string, such as \"0.5\"", key.text())))
            }
        }
    }

    /// A word of a closed vocabulary.
    pub(super) fn word<T: Name>(&self, key: Field) -> Result<Option<T>, Refusal> {
        match self.value(key) {
            None => Ok(None),
            Some([Node::String(text), ..]) => {
                T::from_text(text).map(Some).ok_or_else(|| not_a_word::<T>(key))
            }
            Some(_) => Err(not_a_word::<T>(key)),
        }
    }

    /// True or false.
    pub(super) fn boolean(&self, key: Field) -> Result<Option<bool>, Refusal> {
        match self.value(key) {
            None => Ok(None),
            Some([Node::Static(StaticNode::Bool(value)), ..]) => Ok(Some(*value)),
            Some(_) => Err(bad_value(key, format!("{} must be true or false", key.text()))),
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(&self, key: Field, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
        match self.value(key) {
            None => Ok(None),
            Some([Node::Static(StaticNode::U64(value)), ..]) if range.contains(value) => Ok(Some(*value)),
            Some(_) => {
                let (field, least, most) = (key.text(), range.start(), range.end());
                Err(bad_value(key, format!("{field} must be a whole number from {least} to {most}")))
            }
        }
    }

    /// The one of `values` that has this number.
    pub(super) fn number_of<T: Copy>(
        &self,
        key: Field,
        values: &[T],
        number: impl Fn(T) -> u64,
    ) -> Result<Option<T>, Refusal> {
        let rule = || {
            let numbers: Vec<String> = values.iter().map(|value| number(*value).to_string()).collect();
            bad_value(key, format!("{} must be one of: {}", key.text(), numbers.join(", ")))
        };
        match self.value(key) {
            None => Ok(None),
            Some([Node::Static(StaticNode::U64(said)), ..]) => {
                values.iter().find(|value| number(**value) == *said).copied().map(Some).ok_or_else(rule)
            }
            Some(_) => Err(rule()),
        }
    }

    /// The id that the answer repeats.
    pub(super) fn id(&self) -> Result<Option<RequestId>, Refusal> {
        let id = match self.value(Field::Id) {
            None => return Ok(None),
            Some([Node::Static(StaticNode::U64(number)), ..]) => Some(RequestId::Unsigned(*number)),
            // -0 is an integer we could not repeat: it would come back as 0.
            Some([Node::Static(StaticNode::I64(0)), ..]) => None,
            Some([Node::Static(StaticNode::I64(number)), ..]) => Some(RequestId::Negative(*number)),
            Some([Node::String(text), ..]) => RequestId::from_text(text),
            Some(_) => None,
        };
        id.map(Some).ok_or_else(|| {
            let rule = format!("id must be a 64-bit integer or a string of at most {ID_BYTES_MAX} bytes");
            bad_value(Field::Id, rule)
        })
    }

    /// The texts of an array.
    pub(super) fn texts(
        &self,
        key: Field,
    ) -> Result<Option<impl Iterator<Item = Result<&'a str, Refusal>> + use<'a, 't>>, Refusal> {
        let rule = move || bad_value(key, format!("{} must be an array of strings", key.text()));
        match self.value(key) {
            None => Ok(None),
            Some([Node::Array { count, .. }, rest @ ..]) => {
                Ok(Some(rest[..*count].iter().map(move |node| match node {
                    Node::String(text) => Ok(*text),
                    _ => Err(rule()),
                })))
            }
            Some(_) => Err(rule()),
        }
    }

    /// The fields of a nested object.
    pub(super) fn object(&self, key: Field) -> Result<Option<Fields<'a, 't>>, Refusal> {
        self.value(key)
            .map(|nodes| {
                Fields::of_object(nodes)
                    .ok_or_else(|| bad_value(key, format!("{} must be an object", key.text())))
            })
            .transpose()
    }

    fn text_within(&self, key: Field, bytes_max: usize) -> Result<Option<&'a str>, Refusal> {
        let text = self.text(key)?;
        match text {
            Some(text) if !(1..=bytes_max).contains(&text.len()) => {
                Err(bad_value(key, format!("{} must have 1 to {bytes_max} bytes", key.text())))
            }
            _ => Ok(text),
        }
    }

    /// The tape from the value of a key on.
    fn value(&self, key: Field) -> Option<&'t [Node<'a>]> {
        match self.places[key as usize] {
            0 => None,
            place => Some(&self.nodes[place as usize..]),
        }
    }
}

/// The refusal of a message that lacks a key.
#[cold]
pub(super) fn missing(key: Field) -> Refusal {
    Refusal::of_field(ErrorCode::MissingField, key.text(), format!("{} is missing", key.text()))
}

/// The refusal of a value.
#[cold]
pub(super) fn bad_value(key: Field, message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::of_field(ErrorCode::BadValue, key.text(), message)
}

#[cold]
fn not_a_word<T: Name>(key: Field) -> Refusal {
    bad_value(key, format!("{} must be one of: {}", key.text(), T::list()))
}

/// Nodes that a value takes on the tape, its header included.
fn size_of_value(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
        Node::String(_) | Node::Static(_) => 1,
    }
}
