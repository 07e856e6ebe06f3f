//! The frames of a Binance recording, in ticks and lots. Each line is the time it was received, in nanoseconds, a blank
//! and a frame: `{"stream":..,"data":..}`, or once the bare depth snapshot.

use crate::replay::capture::{CaptureError, Place, open};
use crate::replay::tops::Top;
use engine_core::instrument::Instrument;
use engine_core::units::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

pub struct Frames {
    /// With file and line.
    pub messages: Vec<(Message, (usize, u64))>,
    pub tickers: BTreeMap<u64, Top>,
}

pub struct Message {
    pub at: Timestamp,
    pub body: Body,
}

pub enum Body {
    Snapshot { last_update: u64, changes: Vec<Change> },
    Diff(Diff),
    Trade(Trade),
}

pub struct Diff {
    pub first: u64,
    pub last: u64,
    /// Futures only.
    pub previous: Option<u64>,
    pub changes: Vec<Change>,
}

pub struct Change {
    pub side: Side,
    pub price: Price,
    pub total: Quantity,
}

pub struct Trade {
    pub id: u64,
    pub side: Side,
    pub price: Price,
    pub quantity: Quantity,
}

#[derive(Deserialize)]
struct Stream<'a> {
    stream: Option<&'a str>,
}

#[derive(Deserialize)]
struct Combined<T> {
    data: T,
}

#[derive(Deserialize)]
struct RawSnapshot<'a> {
    #[serde(rename = "lastUpdateId")]
    last_update: u64,
    #[serde(borrow)]
    bids: Vec<[&'a str; 2]>,
    asks: Vec<[&'a str; 2]>,
}

#[derive(Deserialize)]
struct RawDiff<'a> {
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
    pu: Option<u64>,
    #[serde(borrow)]
    b: Vec<[&'a str; 2]>,
    a: Vec<[&'a str; 2]>,
}

#[derive(Deserialize)]
struct RawTrade<'a> {
    t: u64,
    p: &'a str,
    q: &'a str,
    /// Whether the buyer was the maker.
    m: bool,
}

#[derive(Deserialize)]
struct RawTicker<'a> {
    u: u64,
    b: &'a str,
    #[serde(rename = "B")]
    bid_quantity: &'a str,
    a: &'a str,
    #[serde(rename = "A")]
    ask_quantity: &'a str,
}

/// Reads the messages and best prices of the files in order.
pub fn read_frames(folder: &Path, files: &[String], instrument: &Instrument) -> Result<Frames, CaptureError> {
    let mut frames = Frames { messages: Vec::new(), tickers: BTreeMap::new() };
    for (index, file) in files.iter().enumerate() {
        read_lines(folder, file, |place, at, json| {
            let read = Read { place, instrument };
            let body = match read.stream(json)? {
                None => read.snapshot(json)?,
                Some(stream) if stream.contains("@depth") => read.diff(json)?,
                Some(stream) if stream.ends_with("@trade") => match read.trade(json)? {
                    Some(trade) => trade,
                    None => return Ok(true),
                },
                Some(stream) if stream.ends_with("@bookTicker") => {
                    let (update, top) = read.ticker(json)?;
                    frames.tickers.insert(update, top);
                    return Ok(true);
                }
                Some(_) => return Ok(true), // streams we do not replay
            };
            frames.messages.push((Message { at, body }, (index, place.line)));
            Ok(true)
        })?;
    }
    Ok(frames)
}

/// Futures chain their diffs by `pu`.
pub fn is_futures(folder: &Path, files: &[String]) -> Result<bool, CaptureError> {
    let mut futures = false;
    for file in &files[..1] {
        read_lines(folder, file, |place, _, json| {
            let stream = place.parse::<Stream>(json)?.stream;
            let is_diff = stream.is_some_and(|stream| stream.contains("@depth"));
            if is_diff {
                futures = place.parse::<Combined<RawDiff>>(json)?.data.pu.is_some();
            }
            Ok(!is_diff)
        })?;
    }
    Ok(futures)
}

/// Visits lines of a time in nanoseconds, a blank and a JSON frame, as long as `visit` wants more.
fn read_lines(
    folder: &Path,
    file: &str,
    mut visit: impl FnMut(Place<'_>, Timestamp, &str) -> Result<bool, CaptureError>,
) -> Result<(), CaptureError> {
    let mut reader = open(folder, file)?;
    let mut text = String::new();
    for line in 1.. {
        let place = Place { file, line };
        text.clear();
        if reader.read_line(&mut text).map_err(|error| place.error("(line)", error.to_string()))? == 0 {
            break;
        }
        let (time, json) = text
            .split_once(' ')
            .ok_or_else(|| place.error("(line)", "not a time in nanoseconds, a blank and a JSON frame"))?;
        let at = Timestamp(place.integer("(time)", time)? / 1000);
        if !visit(place, at, json)? {
            break;
        }
    }
    Ok(())
}

impl Place<'_> {
    fn parse<'a, T: Deserialize<'a>>(&self, json: &'a str) -> Result<T, CaptureError> {
        serde_json::from_str(json).map_err(|error| self.error("(frame)", error.to_string()))
    }
}

/// Turns frames into messages in ticks and lots.
struct Read<'a> {
    place: Place<'a>,
    instrument: &'a Instrument,
}

impl Read<'_> {
    fn stream<'a>(&self, json: &'a str) -> Result<Option<&'a str>, CaptureError> {
        Ok(self.place.parse::<Stream>(json)?.stream)
    }

    fn snapshot(&self, json: &str) -> Result<Body, CaptureError> {
        let raw: RawSnapshot = self.place.parse(json)?;
        let changes = self.changes(["bids", "asks"], &raw.bids, &raw.asks)?;
        Ok(Body::Snapshot { last_update: raw.last_update, changes })
    }

    fn diff(&self, json: &str) -> Result<Body, CaptureError> {
        let raw = self.place.parse::<Combined<RawDiff>>(json)?.data;
        let changes = self.changes(["b", "a"], &raw.b, &raw.a)?;
        Ok(Body::Diff(Diff { first: raw.first, last: raw.last, previous: raw.pu, changes }))
    }

    /// `None` for an entry without size: futures tell insurance settlements that way.
    fn trade(&self, json: &str) -> Result<Option<Body>, CaptureError> {
        let raw = self.place.parse::<Combined<RawTrade>>(json)?.data;
        let (price, quantity) = self.level(["p", "q"], raw.p, raw.q)?;
        let side = if raw.m { Side::Sell } else { Side::Buy };
        let trade = Body::Trade(Trade { id: raw.t, side, price, quantity });
        Ok((!quantity.is_zero()).then_some(trade))
    }

    fn ticker(&self, json: &str) -> Result<(u64, Top), CaptureError> {
        let raw = self.place.parse::<Combined<RawTicker>>(json)?.data;
        let bid = Some(self.level(["b", "B"], raw.b, raw.bid_quantity)?);
        let ask = Some(self.level(["a", "A"], raw.a, raw.ask_quantity)?);
        Ok((raw.u, Top { bid, ask }))
    }

    fn changes(
        &self,
        fields: [&str; 2],
        bids: &[[&str; 2]],
        asks: &[[&str; 2]],
    ) -> Result<Vec<Change>, CaptureError> {
        let mut changes = Vec::with_capacity(bids.len() + asks.len());
        for (side, field, levels) in [(Side::Buy, fields[0], bids), (Side::Sell, fields[1], asks)] {
            for [price, total] in levels {
                let (price, total) = self.level([field; 2], price, total)?;
                changes.push(Change { side, price, total });
            }
        }
        Ok(changes)
    }

    fn level(
        &self,
        [price_field, quantity_field]: [&str; 2],
        price: &str,
        quantity: &str,
    ) -> Result<(Price, Quantity), CaptureError> {
        let price = self.place.steps(price_field, price, self.instrument.tick)?;
        let quantity = self.place.steps(quantity_field, quantity, self.instrument.lot)?;
        Ok((Price(price), Quantity(quantity)))
    }
}
