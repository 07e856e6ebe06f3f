//! A history whose database is away for long, or answers nothing, costs disk and nothing else: snapshots are cut meanwhile, so
//! that a restart is short, and when the database is back the history has every row that it would have had.
//!
//! Accounts trade in an engine until more was told than the keeper notes for later, and go on.

use crate::postgres;
use crate::story::{Places, SHARDS, Story, Trading, change, keep, recover, rows, wait_until_written};
use engine_core::journal::{Journal, Positions};
use gateway::history::place::{Place, Wish};
use gateway::history::reader::Reader;
use gateway::history::{self, Source};
use gateway::keeper::Keeper;
use std::fs;
use std::path::Path;

const SNAPSHOT_BYTES: u64 = 256 << 10;
const SEGMENT_BYTES: u64 = 64 << 10;

/// Journal for more entries than wait for a database; and for some snapshots, and for setting a history aside that is not
/// written fast enough.
const MUCH: u64 = 8 << 20;
const LITTLE: u64 = 8 * SNAPSHOT_BYTES;

/// The database takes nothing any more, and says so at once.
const REFUSE: [&str; 2] = [
    "CREATE TRIGGER no_events BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'not now'); END",
    "CREATE TRIGGER no_meta BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'not now'); END",
];
/// It takes a row, and its time.
const SLOW: &str = "CREATE TRIGGER slow_events BEFORE INSERT ON events BEGIN
    SELECT (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT COUNT(*) FROM n); END";
const ACCEPT: [&str; 2] = ["DROP TRIGGER no_events", "DROP TRIGGER no_meta"];

/// An exchange in the test's thread, its journal, and a keeper with a history.
struct Kept {
    trading: Trading,
    journal: Journal,
    keeper: Keeper,
    reader: Reader,
}

impl Kept {
    fn begin(directory: &Path, place: &Place, seed: u64) -> Self {
        let recovered = recover(directory, SEGMENT_BYTES);
        let (mut trading, journal) = (Trading::begin(recovered.shards, seed), recovered.journal);
        let (keeper, reader) = keep(&journal, &trading.story.venue, place, SNAPSHOT_BYTES);
        trading.trade(100);
        wait_until_written(&reader, &trading.story);
        Self { trading, journal, keeper, reader }
    }

    /// Not faster than the disk, and not without end where the keeper takes its time.
    fn trade_until(&mut self, bytes_max: u64, fact: impl Fn(&Keeper, &Reader) -> bool) {
        let watch = self.journal.watch();
        let most = watch.counters().bytes.get() + bytes_max;
        while !fact(&self.keeper, &self.reader) {
            if watch.staged_bytes() > 0 || watch.counters().bytes.get() > most {
                std::thread::yield_now();
            } else {
                self.trading.trade(100);
            }
        }
    }

    /// Trades until the history was given up for now, and for some snapshots more.
    fn trade_without_history(&mut self) {
        self.trade_until(MUCH, |_, reader| reader.counters().aside.get() == 1);
        let before = self.keeper.counters.snapshots.get();
        self.trade_until(LITTLE, |keeper, _| keeper.counters.snapshots.get() >= before + 3);
    }

    /// Until nothing that was told is on its way any more.
    fn rest(&self) {
        self.journal.wait_until_durable().expect("there is a disk");
        let end = self.journal.watch().positions().total();
        while self.keeper.counters.position.get() < end {
            std::thread::yield_now();
        }
    }

    /// The history becomes whole, and then nothing is kept for it any more.
    fn ends_whole(mut self, place: &Place, by_hand: &Place) {
        wait_until_written(&self.reader, &self.trading.story);
        assert_eq!(self.reader.counters().aside.get(), 0);
        let before = self.keeper.counters.snapshots.get();
        self.trade_until(LITTLE, |keeper, _| keeper.counters.snapshots.get() > before);
        self.rest();
        wait_until_written(&self.reader, &self.trading.story);
        self.keeper.stop();
        let (watch, venue) = (self.journal.watch(), &self.trading.story.venue);
        check(place, by_hand, &self.trading.story, &watch.positions());
        keep(&self.journal, venue, place, SNAPSHOT_BYTES).0.stop();
        assert_eq!(watch.snapshots().numbers().expect("they can be listed").len(), 2);
        assert_ne!(watch.first(), Positions::zero(SHARDS), "nor the journal from its beginning");
    }
}

/// The rows there are those of somebody who wrote down by hand what was said.
fn check(place: &Place, by_hand: &Place, story: &Story, end: &Positions) {
    let (mut writer, _) = story.open(by_hand).expect("a new store");
    story.note(&mut writer, 0..story.chapters.len());
    writer.commit(end).expect("the store is there");
    assert!(rows(by_hand)[..4] == rows(place)[..4], "the history is not what was told");
}

#[test]
fn snapshots_go_on_while_a_database_refuses_and_then_it_has_missed_nothing() {
    let mut places = Places::files();
    let (place, directory) = (places.next(), places.directory.join("journal"));
    let mut kept = Kept::begin(&directory, &place, 21);
    REFUSE.iter().for_each(|statement| change(&place, statement));
    kept.trade_without_history();
    kept.rest();
    killed_here(&kept, &directory, &mut places);
    assert_eq!(
        kept.journal.watch().first(),
        Positions::zero(SHARDS),
        "the journal keeps what the history lacks"
    );
    ACCEPT.iter().for_each(|statement| change(&place, statement));
    kept.ends_whole(&place, &places.next());
}

/// A copy of the files is what a process that is killed now leaves behind.
fn killed_here(kept: &Kept, directory: &Path, places: &mut Places) {
    let copy = places.directory.join("copy");
    copy_files(directory, &copy);
    copy_files(&places.directory, &copy.join("history"));
    let place = Place::Sqlite(copy.join("history/1.sqlite"));
    ACCEPT.iter().for_each(|statement| change(&place, statement));
    let recovered = recover(&copy, SEGMENT_BYTES);
    let snapshot = recovered.snapshot.expect("there is one");
    let newest = kept.journal.watch().snapshots().numbers().expect("they can be listed")[0];
    assert_eq!(snapshot.number, newest, "a restart begins with the newest");
    let story = &kept.trading.story;
    let (keeper, reader) = keep(&recovered.journal, &story.venue, &place, SNAPSHOT_BYTES);
    wait_until_written(&reader, story);
    keeper.stop();
    check(&place, &places.next(), story, &recovered.journal.watch().positions());
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory of our own");
    let files = fs::read_dir(from).expect("it is there").map(|file| file.expect("it can be listed").path());
    for file in files.filter(|file| file.is_file()) {
        fs::copy(&file, to.join(file.file_name().expect("files have names"))).expect("there is space");
    }
}

#[test]
fn snapshots_go_on_while_a_database_says_nothing_and_then_it_has_missed_nothing() {
    let Some(server) = postgres::start() else { return };
    let mut places = Places::files();
    let line = server.line();
    let place = line.database().parse::<Wish>().expect("a URL").place(&places.directory).expect("a place");
    let mut kept = Kept::begin(&places.directory.join("journal"), &place, 22);
    line.set_silent(true);
    kept.trade_without_history();
    line.set_silent(false);
    kept.ends_whole(&place, &places.next());
}

/// It is set aside again and again, and gets on each time.
#[test]
fn a_database_that_is_slower_than_trading_holds_up_no_snapshot_and_gets_on() {
    let mut places = Places::files();
    let place = places.next();
    let mut kept = Kept::begin(&places.directory.join("journal"), &place, 24);
    change(&place, SLOW);
    kept.trade_until(LITTLE, |_, reader| reader.counters().aside.get() == 1);
    for _ in 0..2 {
        let so_far =
            |kept: &Kept| (kept.keeper.counters.snapshots.get(), kept.reader.counters().entries.get());
        let before = so_far(&kept);
        kept.trade_until(LITTLE, |_, reader| reader.counters().aside.get() == 0);
        kept.trade_until(LITTLE, |_, reader| reader.counters().aside.get() == 1);
        let after = so_far(&kept);
        assert!(before.0 < after.0 && before.1 < after.1, "{before:?} and {after:?} snapshots and rows");
    }
    change(&place, "DROP TRIGGER slow_events");
    kept.ends_whole(&place, &places.next());
}

/// It is not waited for without end, so that whoever starts it can read why it does not start.
#[test]
fn a_start_says_that_the_database_says_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let wish: Wish = format!("postgres://nobody@127.0.0.1:{port}/history").parse().expect("a URL");
    let place = wish.place(Path::new("")).expect("a place");
    let trading = Trading::begin(crate::story::fresh(), 23);
    let (end, venue) = (trading.story.end(), trading.story.venue.clone());
    let refused = history::open(&place, Source { journal: 1, end, venue }).err().expect("it is refused");
    let refused = format!("{refused:#}");
    assert!(refused.contains("no answer in time") && refused.contains(&port.to_string()), "{refused}");
}
