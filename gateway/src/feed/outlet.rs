//! Where frames go: the rooms of a symbol, and the buffer that a frame is encoded in.

use super::FeedCounters;
use crate::rooms::ring::Writer;
use crate::rooms::view::View;
use crate::rooms::{ReactorDoor, Room};
use crate::ws;
use std::sync::Arc;

/// A room that is written to.
pub(super) struct OpenRoom {
    pub room: Arc<Room>,
    pub writer: Writer,
    head: u64,
}

impl OpenRoom {
    pub fn new(room: Arc<Room>, mut writer: Writer) -> Self {
        let head = writer.publish();
        Self { room, writer, head }
    }

    pub fn append(&mut self, frame: &[&[u8]], counters: &FeedCounters) {
        self.writer.append(frame);
        counters.frames.add(1);
        counters.bytes.add(frame.iter().map(|piece| piece.len() as u64).sum());
    }
}

/// Appends a frame to the rooms that carry what is told in a view.
pub(super) fn append(rooms: &mut [OpenRoom], view: View, frame: &[&[u8]], counters: &FeedCounters) {
    for open in rooms.iter_mut().filter(|open| open.room.view.carries(view)) {
        open.append(frame, counters);
    }
}

/// Makes what was appended to rooms visible, and rings.
pub(super) fn announce(rooms: &mut [OpenRoom], doors: &[Arc<ReactorDoor>]) {
    for open in rooms {
        let head = open.writer.publish();
        if head != open.head {
            open.head = head;
            open.room.announce(doors);
        }
    }
}

/// A buffer for one payload, and the header that makes it a frame.
#[derive(Default)]
pub(super) struct Scratch {
    payload: Vec<u8>,
    header: Vec<u8>,
}

impl Scratch {
    pub fn payload(&mut self) -> &mut Vec<u8> {
        self.payload.clear();
        &mut self.payload
    }

    pub fn frame(&mut self) -> [&[u8]; 2] {
        self.header.clear();
        ws::frame::write_frame_header(&mut self.header, ws::Opcode::Text, self.payload.len());
        [&self.header, &self.payload]
    }
}
