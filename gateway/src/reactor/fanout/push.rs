//! What rooms have new, to everybody who is in step.

use super::{LocalRoom, Place, Standing, local_mut, place_of, trade_after};
use crate::reactor::Reactor;
use crate::reactor::blaster::Behind;
use crate::rooms::frames;
use crate::rooms::pages::Extent;
use std::cmp::Reverse;
use std::io::IoSlice;

/// Pieces of one write: news of that many rooms. More go out in another.
const PIECES_MAX: usize = 64;

/// Connections that a turn sends to, or a crowd more: a millisecond or two, at some 5 µs each. Then come reports and orders, whoever
/// else still waits for market data.
const SENDS_A_TURN: usize = 256;

/// What goes to a connection at once, or a frame more. When there is more the others have theirs first: a round of sends as large
/// as a socket takes would be tens of milliseconds long.
const BYTES_AT_ONCE: usize = 64 << 10;

/// A piece of a room's news, within one segment of its ring.
#[derive(Clone, Copy)]
pub(in crate::reactor) struct Piece {
    room: u32,
    from: u64,
    to: u64,
}

impl Reactor {
    /// A round gives every room's news to all that are in step, then serves those that wait for a snapshot. A turn does as much
    /// of it as [`SENDS_A_TURN`] allows; true if the round goes on in the next.
    pub(in crate::reactor) fn fan_out(&mut self) -> bool {
        if !self.crowds.have_news() {
            self.begin_round();
        }
        self.send_news();
        let goes_on = self.crowds.have_news();
        if !goes_on {
            self.end_round();
            self.look_after_unsettled();
        }
        goes_on
    }

    fn begin_round(&mut self) {
        let door = self.shared.doors[self.index].clone();
        door.dirty.take(|room| {
            if let Some(local) = self.rooms.get_mut(&room) {
                local.looked = local.reader.refresh();
                self.crowds.has_news(room);
                self.news.push(room);
            }
        });
    }

    fn end_round(&mut self) {
        let mut news = std::mem::take(&mut self.news);
        for room in &news {
            if let Some(LocalRoom { reader, looked, .. }) = self.rooms.get_mut(room) {
                reader.forget_before(*looked);
            }
        }
        for room in news.drain(..) {
            self.serve_waiting(room);
        }
        self.news = news;
    }

    fn send_news(&mut self) {
        let mut rooms = std::mem::take(&mut self.rooms_with_news);
        let mut pieces = std::mem::take(&mut self.pieces);
        let mut sends = 0;
        while sends < SENDS_A_TURN
            && let Some(crowd) = self.crowds.take_news(&mut rooms)
        {
            self.cut(crowd, &mut rooms, &mut pieces);
            self.crowds.put_back(crowd, &rooms);
            sends += self.send_to_crowd(crowd, &pieces);
        }
        (self.rooms_with_news, self.pieces) = (rooms, pieces);
    }

    /// What the rooms have for the crowd now, in pieces, as much as goes at once. Leaves the rooms that have had more when the round
    /// began.
    fn cut(&mut self, crowd: u32, rooms: &mut Vec<u32>, pieces: &mut Vec<Piece>) {
        pieces.clear();
        let crowd = self.crowds.get_mut(crowd).expect("it has news");
        let mut bytes_left = BYTES_AT_ONCE;
        rooms.retain(|room| {
            let local = local_mut(&mut self.rooms, *room);
            let (mut from, head) = (crowd.stand_mut(*room).cursor, local.reader.refresh());
            while from < head && bytes_left > 0 {
                let span = local.reader.span(from, head);
                let bytes = frames::frame_end_at_or_after(span, bytes_left.min(span.len()));
                let bytes = bytes.expect("a span is whole frames");
                bytes_left = bytes_left.saturating_sub(bytes);
                let to = from + bytes as u64;
                pieces.push(Piece { room: *room, from, to });
                from = to;
            }
            from < local.looked
        });
    }

    /// Returns to how many.
    fn send_to_crowd(&mut self, crowd: u32, pieces: &[Piece]) -> usize {
        let members = self.crowds.get(crowd).map_or(0, |crowd| crowd.members.len());
        let mut behind = std::mem::take(&mut self.behind);
        let mut broken = Vec::new();
        for (batch, now) in pieces.chunks(PIECES_MAX).enumerate() {
            if !self.blast(crowd, now, &mut behind) {
                break; // nobody is left
            }
            // From the back, so that taking one out moves only members that are looked at already.
            behind.sort_unstable_by_key(|behind| Reverse(behind.index));
            for Behind { index, sent } in behind.drain(..) {
                let at = self.crowds.get(crowd).expect("they were in it").members[index] as usize;
                match sent {
                    Ok(sent) => self.fall_out(at, &pieces[..batch * PIECES_MAX], now, sent),
                    Err(_) => {
                        self.step_out(at);
                        broken.push(at);
                    }
                }
            }
        }
        self.behind = behind;
        self.move_on(crowd, pieces);
        broken.into_iter().for_each(|at| self.drop_connection(at));
        members
    }

    /// All that are still in the crowd have the pieces.
    fn move_on(&mut self, crowd: u32, pieces: &[Piece]) {
        let Self { rooms, crowds, counters, .. } = self;
        let Some(crowd) = crowds.get_mut(crowd) else { return };
        let members = crowd.members.len() as u64;
        for Piece { room, from, to } in pieces {
            let local = local_mut(rooms, *room);
            local.account.delivers(members * (to - from));
            let span = local.reader.span(*from, *to);
            counters.frames_out.add(members * frames::frames(span).count() as u64);
            counters.bytes_out.add(members * span.len() as u64);
            let stand = crowd.stand_mut(*room);
            stand.cursor = *to;
            if local.has_trades() {
                stand.next_trade = trade_after(span).or(stand.next_trade);
            }
        }
    }

    /// The same pieces to all of the crowd. False if there is nobody.
    fn blast(&mut self, crowd: u32, pieces: &[Piece], behind: &mut Vec<Behind>) -> bool {
        let Self { rooms, crowds, net, counters, .. } = self;
        let Some(crowd) = crowds.get(crowd) else { return false };
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut extents = [Extent::default(); PIECES_MAX];
        let mut are_extents = true;
        for (index, Piece { room, from, to }) in pieces.iter().enumerate() {
            let reader = &rooms[room].reader;
            slices[index] = IoSlice::new(reader.span(*from, *to));
            match reader.extent(*from, *to) {
                Some(extent) => extents[index] = extent,
                None => are_extents = false,
            }
        }
        let extents = if are_extents { &extents[..pieces.len()] } else { &[] };
        net.blast(&crowd.sockets, &slices[..pieces.len()], extents, behind);
        counters.sends.add(crowd.sockets.len() as u64);
        true
    }

    /// The socket of one that was in step took all of the pieces `before` and of those sent `now` only so many bytes.
    fn fall_out(&mut self, at: usize, before: &[Piece], now: &[Piece], mut sent: usize) {
        self.step_out(at);
        let (mut frames, mut bytes) = (0, 0);
        for (piece, is_now) in
            before.iter().map(|piece| (piece, false)).chain(now.iter().map(|piece| (piece, true)))
        {
            let local = local_mut(&mut self.rooms, piece.room);
            let span = local.reader.span(piece.from, piece.to);
            let taken = if is_now { sent.min(span.len()) } else { span.len() };
            let boundary = frames::frame_end_at_or_after(span, taken).expect("a piece is whole frames");
            let connection = &mut self.connections[at];
            connection.outbox.put_first(&span[taken..boundary]);
            let Standing::Apart(memberships) = &mut connection.standing else {
                unreachable!("it has just stepped out")
            };
            let m = place_of(memberships, piece.room).expect("the crowd was in the room");
            let membership = &mut memberships[m];
            membership.place = Place::At(piece.from + boundary as u64);
            local.account.delivers(boundary as u64);
            if local.has_trades() {
                membership.next_trade = trade_after(&span[..boundary]).or(membership.next_trade);
            }
            frames += frames::frames(&span[..boundary]).count() as u64;
            bytes += boundary as u64;
            sent -= if is_now { taken } else { 0 };
            if taken < span.len() {
                break;
            }
        }
        self.counters.frames_out.add(frames);
        self.counters.bytes_out.add(bytes);
        self.fall_behind(at);
    }

    /// Who is apart and could take something gets in this turn what the others have had in this round.
    fn look_after_unsettled(&mut self) {
        let mut unsettled = std::mem::take(&mut self.unsettled);
        for at in unsettled.drain(..) {
            if let Some(connection) = self.connections.get_mut(at)
                && connection.full_since.is_none()
                && !std::mem::replace(&mut connection.touched, true)
            {
                self.touched.push(at);
            }
        }
        self.unsettled = unsettled;
    }
}
