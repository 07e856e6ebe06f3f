//! Publication, new segments, news and sleep, in every order that loom can think of.

use super::dirty::DirtySet;
use super::ring::{Reader, ring};
use super::sync::{AtomicU64, Ordering, fence};
use super::wake::wake;
use engine_core::bell::Bell;
use loom::thread;
use std::sync::Arc;

/// Two of them are a ring's first segment.
const FRAME: &[u8] = &[7; 1024];

/// Reads all there is from `cursor` on; loom reports any byte that may still be written.
fn look(reader: &mut Reader, cursor: &mut u64) {
    let head = reader.refresh();
    assert!(head >= *cursor && head.is_multiple_of(FRAME.len() as u64));
    while *cursor < head {
        let span = reader.span(*cursor, head);
        assert!(span.iter().all(|byte| *byte == FRAME[0]));
        *cursor += span.len() as u64;
    }
}

#[test]
fn loom_a_reader_sees_whole_published_frames_across_segments() {
    loom::model(|| {
        let (ring, mut writer) = ring(None);
        let mut reader = Reader::join(&ring, 0);
        let feed = thread::spawn(move || {
            for _ in 0..3 {
                writer.append(&[FRAME]);
                writer.publish();
            }
        });
        let mut cursor = 0;
        look(&mut reader, &mut cursor);
        reader.forget_before(cursor);
        look(&mut reader, &mut cursor);
        feed.join().unwrap();
        look(&mut reader, &mut cursor);
        assert_eq!(cursor, 3 * FRAME.len() as u64);
    });
}

#[test]
fn loom_who_joins_while_a_segment_begins_misses_nothing_after_it() {
    loom::model(|| {
        let (ring, mut writer) = ring(None);
        let feed = thread::spawn(move || {
            for _ in 0..3 {
                writer.append(&[FRAME]);
                writer.publish();
            }
        });
        let mut reader = Reader::join(&ring, 0);
        let mut cursor = reader.oldest();
        look(&mut reader, &mut cursor);
        feed.join().unwrap();
        look(&mut reader, &mut cursor);
        assert_eq!(cursor, 3 * FRAME.len() as u64);
    });
}

#[test]
fn loom_what_is_marked_is_taken() {
    loom::model(|| {
        let set = Arc::new(DirtySet::new(128));
        let published = Arc::new(AtomicU64::new(0));
        let feeds = [3, 70].map(|room| {
            let (set, published) = (set.clone(), published.clone());
            thread::spawn(move || {
                published.fetch_add(1, Ordering::Relaxed);
                set.mark(room);
            })
        });
        let mut taken = 0;
        set.take(|_| taken += 1);
        assert!(published.load(Ordering::Relaxed) >= taken, "who hears of a room sees what it has");
        feeds.into_iter().for_each(|feed| feed.join().unwrap());
        set.take(|_| taken += 1);
        assert_eq!((taken, set.is_empty()), (2, true));
    });
}

#[test]
fn loom_nobody_sleeps_over_news() {
    loom::model(|| {
        let (wake, sleeper) = wake().unwrap();
        let (wake, set) = (Arc::new(wake), Arc::new(DirtySet::new(1)));
        let feed = {
            let (wake, set) = (wake.clone(), set.clone());
            thread::spawn(move || {
                set.mark(0);
                wake.ring();
            })
        };
        // As the pump does it.
        wake.falling_asleep();
        let sleeps = set.is_empty();
        feed.join().unwrap();
        let is_rung = std::io::Read::read(&mut sleeper.socket(), &mut [0]).is_ok();
        assert!(!sleeps || is_rung, "it sleeps, there are news, and nobody has rung");
    });
}

/// A feed that publishes while a reactor joins: it is told of what it does not find.
#[test]
fn loom_who_joins_a_room_sees_the_news_or_hears_of_them() {
    loom::model(|| {
        let (readers, set) = (Arc::new(AtomicU64::new(0)), Arc::new(DirtySet::new(1)));
        let (ring, mut writer) = ring(None);
        let feed = {
            let (readers, set) = (readers.clone(), set.clone());
            thread::spawn(move || {
                writer.append(&[FRAME]);
                writer.publish();
                // As `Room::announce` does it.
                fence(Ordering::SeqCst);
                if readers.load(Ordering::Relaxed) != 0 {
                    set.mark(0);
                }
            })
        };
        // As `Room::add_reader` does it, and then `LocalRoom::join`.
        readers.fetch_or(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let reader = Reader::join(&ring, 0);
        feed.join().unwrap();
        assert!(reader.head() == FRAME.len() as u64 || !set.is_empty());
    });
}
