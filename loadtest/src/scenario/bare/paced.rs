//! The bare loop by a schedule: what a fan-out could do that has nothing else to do.
//!
//! Events become due at even times, each some frames that say when that was. The sockets are gone through again and again, some at a
//! time, and each gets in one send all that has become due since its last: a slow round makes the next one's sends larger,
//! as in a server.

use super::sender::{HEADER_BYTES, Loop, Sent, frame_of};
use crate::client::now_us;
use crate::schedule::Schedule;
use anyhow::Result;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// Sockets that are sent the same: a round of a thousand takes milliseconds, and the last of them need not get what the first got.
const TOGETHER: usize = 256;

/// Of one send, or an event more.
const BYTES_AT_ONCE: usize = 64 << 10;

/// An event: frames that are alike.
struct Event {
    frame: Vec<u8>,
    stamp_at: usize,
    frames: usize,
}

const STAMP_DIGITS: usize = 16;

impl Event {
    /// Of so many bytes, in frames of so many.
    fn new(bytes: usize, frame_bytes: usize) -> Self {
        let begin: &[u8] = br#"{"channel":"BARE-SEND","type":"trade","data":{"ts":"#;
        let opening = [begin, &[b'0'; STAMP_DIGITS], br#","filler":""#].concat();
        let frame = frame_of(frame_bytes, &opening, br#""}}"#);
        let stamp_at = HEADER_BYTES + begin.len();
        let frames = (bytes / frame.len()).max(1);
        Self { frame, stamp_at, frames }
    }

    fn append(&mut self, span: &mut Vec<u8>, stamp_us: u64) {
        let stamp = format!("{stamp_us:0STAMP_DIGITS$}");
        self.frame[self.stamp_at..self.stamp_at + STAMP_DIGITS].copy_from_slice(stamp.as_bytes());
        (0..self.frames).for_each(|_| span.extend_from_slice(&self.frame));
    }
}

/// Sends for so long, events of so many bytes in frames of so many, so many frames a second to each socket.
pub(super) fn send_for(
    duration: Duration,
    sockets: &[RawFd],
    (bytes, frame_bytes, frames_per_second): (usize, usize, u64),
    sends: &mut Loop,
) -> Result<Sent> {
    let mut event = Event::new(bytes, frame_bytes);
    let events_at_once = (BYTES_AT_ONCE / (event.frame.len() * event.frames)).max(1) as u64;
    let frames = event.frames as u64;
    let (start, start_us) = (Instant::now(), now_us());
    let schedule = Schedule::new(start, frames_per_second);
    let due = |event_number: u64| schedule.intended(event_number * frames);
    let mut next = vec![0; sockets.len().div_ceil(TOGETHER)];
    let (mut span, mut sent, mut bytes, mut waited) = (Vec::new(), 0, 0, 0);
    while start.elapsed() < duration {
        let mut is_idle = true;
        for (sockets, next) in sockets.chunks(TOGETHER).zip(&mut next) {
            span.clear();
            for _ in 0..events_at_once {
                let due = due(*next);
                if due > Instant::now() {
                    break;
                }
                event.append(&mut span, start_us + (due - start).as_micros() as u64);
                *next += 1;
            }
            if !span.is_empty() {
                is_idle = false;
                waited += sends.send(sockets, &span)?;
                sent += sockets.len() as u64;
                bytes += (sockets.len() * span.len()) as u64;
            }
        }
        if is_idle {
            std::thread::sleep(due(next[0]).saturating_duration_since(Instant::now()));
        }
    }
    Ok(Sent { method: sends.method(), sends: sent, bytes, seconds: start.elapsed().as_secs_f64(), waited })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_whole_frames_with_its_time() {
        let (mut event, mut span, mut frames) = (Event::new(1000, 150), Vec::new(), 0);
        event.append(&mut span, 1_760_000_000_000_123);
        crate::frames::Walker::default()
            .walk(&span, |frame| {
                assert_eq!(frame.payload.len(), 146);
                let text: serde_json::Value = serde_json::from_slice(frame.payload).unwrap();
                assert_eq!(text["data"]["ts"], 1_760_000_000_000_123_u64);
                frames += 1;
            })
            .unwrap();
        assert_eq!(frames, 6);
    }
}
