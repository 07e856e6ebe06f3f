//! What a client says: one text message in, one [`Request`] out.
//!
//! ```text
//! text ──simd-json, in place──▶ tape ──`fields`──▶ known keys ──`read`──▶ Request (borrows the text)
//!                                                        └──refusal──▶ RequestError (whom to answer, and how)
//! ```
//! The tape is a flat list of what is in the text. We walk its top level once, remember where each key of our
//! vocabulary is, and then each action reads the keys it wants and checks their types. Texts come out as slices of
//! the message: a price stays text until the session knows the instrument (`wire::number`).
//!
//! The rules beyond the protocol page:
//! - Keys that an action does not know are ignored, whatever they hold.
//! - A key of our vocabulary may appear once. JSON readers differ in which of two equal keys they believe, and an
//!   order must not mean one thing to a firewall in front of us and another to us.
//! - `null` is a value of the wrong type, not an absent key. An option that is not wanted is left out.
//! - Something asked for that we do not do yet is refused rather than ignored (`checksum`), and so is a key that says
//!   something about another kind of order than the request's (`stop_price` of a limit order).
//! - A message is one object, nested at most [`DEPTH_MAX`] deep.

mod error;
mod fields;
mod order;
mod read;

use std::mem;

use engine_core::units::{SelfTrade, Side, TimeInForce, Timestamp};
use simd_json::Tape;

pub use error::{Reply, RequestError};
use fields::Fields;

use super::id::RequestId;
use super::name::{CancelScope, Name, OnSlow, SignatureAlgorithm, Stream, TopLevels};

/// Deepest nesting of a message. Our own messages need two levels; the rest is for keys we ignore.
pub const DEPTH_MAX: usize = 16;
/// Longest channel, symbol or action, in bytes. The longest we know, `BTC-USDT@depth20@100ms`, has 22.
pub const CHANNEL_BYTES_MAX: usize = 64;
/// Longest order id or account name, in bytes. A UUID fits.
pub const NAME_BYTES_MAX: usize = 36;
/// Longest API key or signature, in bytes. An Ed25519 signature in base64 has 88, an HMAC in hex 64.
pub const SECRET_BYTES_MAX: usize = 128;
/// The one time between two updates that a subscription can ask for.
pub const INTERVAL_MS: u32 = 100;
/// Longest life of a signed login.
pub const RECV_WINDOW_MS_MAX: u64 = 60_000;
/// Life of a signed login that does not say.
pub const RECV_WINDOW_MS_DEFAULT: u64 = 5_000;
/// Longest wait between a lost connection and the cancelling of its orders: who is gone for more than a minute does
/// not come back by itself.
pub const GRACE_MS_MAX: u64 = 60_000;
/// Longest time of the dead-man timer.
pub const TIMEOUT_MS_MAX: u64 = engine_core::limits::DEAD_MAN_US_MAX / 1000;

/// A request and the `id` that its answer repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// The client's name for this request.
    pub id: Option<RequestId>,
    /// What it asks for.
    pub action: Action<'a>,
}

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<'a> {
    /// Start to receive a channel.
    Subscribe(Subscribe<'a>),
    /// Stop to receive a channel.
    Unsubscribe {
        /// Its name.
        channel: &'a str,
    },
    /// Name the channels of this connection.
    ListSubscriptions,
    /// Send a fresh snapshot of a channel.
    Resync {
        /// Its name.
        channel: &'a str,
    },
    /// Answer, to show that you are alive.
    Ping,
    /// Log in.
    Auth(Auth<'a>),
    /// Place an order, by either spelling.
    SubmitOrder(SubmitOrder<'a>),
    /// Cancel one order.
    CancelOrder(CancelOrder<'a>),
    /// Change one order.
    AmendOrder(AmendOrder<'a>),
    /// Cancel every order of the account.
    CancelAll {
        /// Only those of this symbol.
        symbol: Option<&'a str>,
    },
    /// Cancel every order of the account unless this is said again in time.
    CancelAllAfter {
        /// In how many milliseconds; 0 for never.
        timeout_ms: u64,
    },
}

/// A subscription. What is `None` was not said, and the acknowledgement does not say it either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The channel, in any spelling: `BTC-USDT`, `BTC-USDT@depth@100ms`, `*@trade`, `user`.
    pub channel: &'a str,
    /// The streams of the channel; by default depth and trade.
    pub streams: Option<Streams>,
    /// Of depth only the best levels, so many a side.
    pub depth: Option<TopLevels>,
    /// Of depth at most one update in this time: [`INTERVAL_MS`].
    pub interval_ms: Option<u32>,
    /// What to do when the subscriber falls behind.
    pub on_slow: Option<OnSlow>,
    /// Whether snapshots carry a checksum.
    pub checksum: Option<bool>,
}

impl<'a> Subscribe<'a> {
    /// `{"action":"subscribe","channel":...}` and nothing else.
    pub const fn bare(channel: &'a str) -> Subscribe<'a> {
        Subscribe { channel, streams: None, depth: None, interval_ms: None, on_slow: None, checksum: None }
    }
}

/// A set of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams(u16);

impl Streams {
    /// What a subscription gets that names none.
    pub const DEFAULT: Streams = Streams::NONE.with(Stream::Depth).with(Stream::Trade);
    /// No stream.
    pub const NONE: Streams = Streams(0);

    /// This set and `stream`.
    pub const fn with(self, stream: Stream) -> Streams {
        Streams(self.0 | 1 << stream as u8)
    }

    /// Whether `stream` is in the set.
    pub const fn has(self, stream: Stream) -> bool {
        self.0 & 1 << stream as u8 != 0
    }

    /// Whether no stream is in both sets.
    pub const fn is_disjoint(self, other: Streams) -> bool {
        self.0 & other.0 == 0
    }

    /// The streams of the set, always in the order of [`Stream`].
    pub fn iter(self) -> impl Iterator<Item = Stream> {
        Stream::ALL.iter().copied().filter(move |stream| self.has(*stream))
    }
}

/// A login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// How the client says who it is.
    pub credentials: Credentials<'a>,
    /// What to do with open orders when the connection is lost.
    pub cancel_on_disconnect: Option<CancelOnDisconnect>,
    /// The last `exec_seq` that the client has seen.
    pub resume_from: Option<u64>,
}

/// Who logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Open mode: a paper account by its name.
    Open {
        /// The name.
        account: &'a str,
    },
    /// A signature over `auth\n<key>\n<ts>\n<recv_window_ms>`.
    Signed {
        /// The API key.
        key: &'a str,
        /// Microseconds since the epoch, by the client's clock.
        ts: u64,
        /// How long after `ts` the signature is good.
        recv_window_ms: u64,
        /// How it was made.
        algorithm: SignatureAlgorithm,
        /// The signature as text.
        signature: &'a str,
    },
}

/// The wish to have orders cancelled when the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelOnDisconnect {
    /// Which orders.
    pub scope: CancelScope,
    /// How long to wait for the client to come back.
    pub grace_ms: u32,
}

/// An order, reduced to what the engine distinguishes: a market order is one without a price, `limit_maker` is
/// another spelling of a limit order with `post_only`, and `gtd` is `gtc` with an end. Numbers are text still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitOrder<'a> {
    /// The client's name for the order.
    pub order_id: &'a str,
    /// The symbol, not yet looked up.
    pub symbol: &'a str,
    /// Buy or sell.
    pub side: Side,
    /// The limit; none for a market order.
    pub price: Option<&'a str>,
    /// How much.
    pub size: Size<'a>,
    /// What happens to what does not trade at once.
    pub time_in_force: TimeInForce,
    /// What happens where it meets its own account.
    pub self_trade: SelfTrade,
    /// What makes it more than a plain order.
    pub terms: OrderTerms<'a>,
    /// When it ends; 0 for never.
    pub expires: Timestamp,
}

/// How much an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size<'a> {
    /// So much of the base asset.
    Quantity(&'a str),
    /// As much as so much of the quote asset pays for.
    Quote(&'a str),
}

/// What makes an order more than a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderTerms<'a> {
    /// Nothing.
    Plain,
    /// It shows only a part.
    Iceberg {
        /// So much at a time.
        display_quantity: &'a str,
    },
    /// It waits for a trade.
    Stop {
        /// At this price or beyond.
        stop_price: &'a str,
    },
    /// It waits for a trade at a price that follows the market.
    TrailingStop {
        /// The price to begin with; else it is told from the last trade.
        stop_price: Option<&'a str>,
        /// How far behind the market.
        trail: &'a str,
    },
    /// It rests, and becomes something else at a trade.
    Oco {
        /// At this price or beyond.
        stop_price: &'a str,
        /// A limit order at this price; else a market order.
        stop_limit_price: Option<&'a str>,
    },
}

/// The change of an order; at least one of the two is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmendOrder<'a> {
    /// The symbol, not yet looked up.
    pub symbol: &'a str,
    /// The client's name for the order.
    pub order_id: &'a str,
    /// The new limit.
    pub price: Option<&'a str>,
    /// The new quantity, what has traded included.
    pub quantity: Option<&'a str>,
}

/// The order to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelOrder<'a> {
    /// The symbol, not yet looked up.
    pub symbol: &'a str,
    /// The client's name for the order.
    pub order_id: &'a str,
}

/// Memory for decoding, to be kept and reused: one for each thread that decodes. It grows to the longest message
/// seen; the worst that 64 KiB of text can do is about 2 MiB (each byte a node of the tape).
pub struct Buffers {
    parser: simd_json::Buffers,
    tape: Tape<'static>, // always empty between calls; only its memory is kept
}

impl Default for Buffers {
    fn default() -> Buffers {
        // 512 bytes hold every request that is not made to be long.
        Buffers { parser: simd_json::Buffers::with_max_depth(512, DEPTH_MAX), tape: Tape(Vec::new()) }
    }
}

/// Decodes one text message. The text is overwritten where strings have escapes, so it cannot be decoded again.
///
/// The error is boxed because it carries all that an answer needs, and the good path should not carry its size.
pub fn decode<'a>(text: &'a mut [u8], buffers: &mut Buffers) -> Result<Request<'a>, Box<RequestError<'a>>> {
    let mut tape = mem::replace(&mut buffers.tape, Tape(Vec::new())).reset();
    let result = match simd_json::fill_tape(text, &mut buffers.parser, &mut tape) {
        Ok(()) => read_message(&tape),
        Err(error) => Err(RequestError::not_json(&error)),
    };
    buffers.tape = tape.reset();
    result
}

fn read_message<'a>(tape: &Tape<'a>) -> Result<Request<'a>, Box<RequestError<'a>>> {
    let Some(fields) = Fields::of_object(&tape.0) else {
        return Err(RequestError::not_an_object());
    };
    read::read_request(&fields).map_err(|refusal| RequestError::new(refusal, &fields))
}
