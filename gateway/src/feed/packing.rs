//! A frame, as rooms of either packing take it: encoded once, compressed at most once, and only if somebody is there for it.

use super::FeedCounters;
use crate::rooms::Packing;
use crate::ws::deflate::Deflater;
use crate::ws::{self, Opcode};
use std::time::Instant;

/// A buffer for one payload, and what makes a frame of it.
#[derive(Default)]
pub(super) struct Scratch {
    payload: Vec<u8>,
    header: Vec<u8>,
    deflated_header: Vec<u8>,
    /// Made for the first room that wants it: a hash table of 128 KiB.
    deflater: Option<Deflater>,
}

/// What stands in the scratch.
pub(super) struct Frame<'a> {
    plain: [&'a [u8]; 2],
    deflater: &'a mut Option<Deflater>,
    deflated_header: &'a mut Vec<u8>,
    deflated: Deflated,
}

/// How it went with the compression of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deflated {
    NotTried,
    NotWorthIt,
    Done,
}

impl Scratch {
    /// The payload of the next frame, to be written.
    pub(super) fn payload(&mut self) -> &mut Vec<u8> {
        self.payload.clear();
        &mut self.payload
    }

    /// The payload as a frame.
    pub(super) fn frame(&mut self) -> Frame<'_> {
        self.header.clear();
        ws::frame::write_frame_header(&mut self.header, Opcode::Text, self.payload.len());
        Frame {
            plain: [&self.header, &self.payload],
            deflater: &mut self.deflater,
            deflated_header: &mut self.deflated_header,
            deflated: Deflated::NotTried,
        }
    }
}

impl Frame<'_> {
    /// Its pieces. A compressed room gets it plain too where compression saves little: each message says which it is.
    pub(super) fn pieces(&mut self, packing: Packing, counters: &FeedCounters) -> [&[u8]; 2] {
        if packing == Packing::Plain {
            return self.plain;
        }
        if self.deflated == Deflated::NotTried {
            self.deflated = self.deflate(counters);
        }
        match (self.deflated, &*self.deflater) {
            (Deflated::Done, Some(deflater)) => [self.deflated_header, deflater.deflated()],
            _ => self.plain,
        }
    }

    fn deflate(&mut self, counters: &FeedCounters) -> Deflated {
        // The clock is read twice, for a hundredth of what it measures.
        let begun = Instant::now();
        let [_, payload] = self.plain;
        let bytes = self.deflater.get_or_insert_default().deflate(payload).map(<[u8]>::len);
        counters.deflate_ns.add(begun.elapsed().as_nanos() as u64);
        let Some(bytes) = bytes else {
            counters.deflate_refused.add(1);
            return Deflated::NotWorthIt;
        };
        counters.deflated.add(1);
        counters.deflate_bytes_in.add(payload.len() as u64);
        counters.deflate_bytes_out.add(bytes as u64);
        self.deflated_header.clear();
        ws::frame::write_deflated_frame_header(self.deflated_header, Opcode::Text, bytes);
        Deflated::Done
    }
}
