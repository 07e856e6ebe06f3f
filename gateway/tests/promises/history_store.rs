//! The history is what accounts were told, once each, whatever happens to the one who writes it.
//!
//! Accounts trade with each other by chance in an engine, and what it reports is written in batches: in SQLite always, and in
//! PostgreSQL where there is one. A batch is written twice, the writer ends between batches or its store does, and a store is
//! made from nothing; in the end all of them have the same rows, which are those of the reports themselves.

use crate::postgres;
use crate::story::{
    ACCOUNTS, JOURNAL, Places, SHARDS, Story, change, everywhere, keep, recover, rows, story, tell, wait,
    wait_until_written,
};
use engine_core::journal::{Journal, Positions};
use engine_core::units::*;
use gateway::history::desk::{Question, desk};
use gateway::history::place::{Place, Wish};
use gateway::history::reader::Orders;
use gateway::history::recorder::Recorder;
use gateway::history::writer::{BATCH_ENTRIES, Saved};
use gateway::history::{self, Source};
use gateway::reactor::Mail;
use gateway::rooms::ReactorDoor;
use gateway::rooms::dirty::DirtySet;
use gateway::rooms::wake::wake;
use gateway::wire::encode::private;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[test]
fn it_is_what_accounts_were_told() {
    let story = story(1);
    everywhere(|places| {
        let place = places.next();
        let (mut writer, reader) = story.open(&place).expect("a new store");
        assert_eq!(writer.positions(), None);
        story.write(&mut writer, 7);
        assert_eq!(writer.positions(), Some(story.end()));
        let entries = wait(async {
            let mut all = Vec::new();
            for account in (0..ACCOUNTS).map(AccountId) {
                let last = reader.last(account).await?;
                let entries = reader.entries(account, (1, u64::MAX), u32::MAX).await?;
                assert!(entries.iter().map(|entry| entry.exec_seq).eq(1..=last), "no hole");
                all.extend(entries);
            }
            Ok::<_, sqlx::Error>(all)
        });
        let messages = entries.expect("it can be read").into_iter().map(|entry| {
            let mut message = Vec::new();
            private::entry(&mut message, entry.kind, &entry.data);
            String::from_utf8(message).expect("it is text")
        });
        assert!(messages.eq(story.told()), "the history and what was told differ");
    });
}

#[test]
fn orders_are_as_their_last_entries_left_them() {
    let story = story(2);
    let mut places = Places::files();
    let (mut writer, reader) = story.open(&places.next()).expect("a new store");
    story.write(&mut writer, 50);
    // By the messages: the last about each order.
    let mut last = std::collections::BTreeMap::new();
    for message in story.told() {
        let message: Value = serde_json::from_str(&message).expect("JSON");
        let data = &message["data"];
        if message["type"] == "execution_report" {
            let key = ["symbol", "exchange_order_id"].map(|key| data[key].as_str().expect("text").to_owned());
            last.insert(key, data.clone());
        }
    }
    let is_open =
        |data: &Value| ["new", "partially_filled"].contains(&data["status"].as_str().expect("a word"));
    let mut found = 0;
    for account in (0..ACCOUNTS).map(AccountId) {
        for only_open in [false, true] {
            let (mut before, mut page) = (u64::MAX, Vec::new());
            loop {
                let which = Orders { only_open, before, count_max: 7 };
                let orders = wait(reader.orders(account, which)).expect("it can be read");
                let Some(oldest) = orders.last() else { break };
                assert!(orders.iter().all(|order| order.created_seq < before), "pages do not overlap");
                before = oldest.created_seq;
                page.extend(orders);
            }
            for order in page {
                let data: Value = serde_json::from_str(&order.data).expect("JSON");
                let key =
                    ["symbol", "exchange_order_id"].map(|key| data[key].as_str().expect("text").to_owned());
                assert_eq!((&data, order.is_open), (&last[&key], is_open(&data)), "{key:?}");
                assert!(order.is_open || !only_open);
                found += usize::from(!only_open) + usize::from(order.is_open);
            }
        }
    }
    let open = last.values().filter(|data| is_open(data)).count();
    assert!(open > 0 && found == last.len() + 2 * open, "{found} of {} and {open}", last.len());
}

#[test]
fn a_batch_that_is_written_twice_changes_nothing() {
    let story = story(3);
    everywhere(|places| {
        let place = places.next();
        story.write(&mut story.open(&place).expect("a new store").0, 10);
        let first = rows(&place);
        // Somebody who begins at the beginning again, in other batches.
        let (mut writer, _) = story.open(&place).expect("the store from before");
        story.write(&mut writer, 33);
        assert!(first == rows(&place), "rows changed");
        // And one who has forgotten how far it was, as after a crash within a commit.
        change(&place, "UPDATE positions SET position = 0");
        let (mut writer, _) = story.open(&place).expect("the store from before");
        story.write(&mut writer, 21);
        assert!(first == rows(&place), "rows changed");
    });
}

#[test]
fn a_writer_that_ends_anywhere_is_followed_by_one_that_goes_on() {
    let story = story(4);
    let seed = 4;
    everywhere(|places| {
        let whole = places.next();
        story.write(&mut story.open(&whole).expect("a new store").0, 1000);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let place = places.next();
        loop {
            let (mut writer, _) = story.open(&place).expect("the store");
            let is_written =
                |positions: &Positions| writer.positions().is_some_and(|at| positions.all_within(at));
            let begin = story.chapters.iter().take_while(|(_, positions)| is_written(positions)).count();
            if begin == story.chapters.len() {
                break;
            }
            // Some batches, and then one that is noted and never committed.
            let mut at = begin;
            for _ in 0..random.random_range(0..3) {
                let end = (at + random.random_range(1..40)).min(story.chapters.len());
                if end > at {
                    let positions = story.note(&mut writer, at..end);
                    writer.commit(positions).expect("the store is there");
                }
                at = end;
            }
            if at < story.chapters.len() {
                story.note(&mut writer, at..at + 1);
            }
        }
        assert!(rows(&whole) == rows(&place), "the rows are not those of one who wrote all at once");
    });
}

#[test]
fn a_store_that_is_away_for_a_while_misses_nothing() {
    let Some(mut server) = postgres::start() else { return };
    let story = story(5);
    let mut files = Places::files();
    let file = files.next();
    story.write(&mut story.open(&file).expect("a new store").0, 100);
    let place = server.database().parse::<Wish>().expect("a URL").place(&PathBuf::new()).expect("a place");
    let (mut writer, reader) = story.open(&place).expect("a new store");
    let third = story.chapters.len() / 3;
    let positions = story.note(&mut writer, 0..third);
    assert_eq!(writer.save(positions), Saved::All);
    server.kill();
    let positions = story.note(&mut writer, third..2 * third);
    assert!(matches!(writer.save(positions), Saved::NotYet(_)));
    assert_eq!((reader.counters().failures.get(), reader.counters().kept.get()), (1, 0));
    // It is asked again when it is time, and not before.
    assert!(matches!(writer.save(positions), Saved::NotYet(_)));
    assert_eq!(reader.counters().failures.get(), 1);
    server.restart();
    let positions = story.note(&mut writer, 2 * third..story.chapters.len());
    while let Saved::NotYet(wait) = writer.save(positions) {
        std::thread::park_timeout(wait);
    }
    assert_eq!(reader.counters().kept.get(), 1);
    assert!(rows(&file) == rows(&place), "the two databases differ");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let story = story(6);
    let mut places = Places::files();
    let place = places.next();
    story.write(&mut story.open(&place).expect("a new store").0, 100);
    let error = |source| format!("{:#}", history::open(&place, source).err().expect("it is refused"));
    let (end, venue) = (story.end(), &story.venue);
    let other = error(Source { journal: 7, end, venue: venue.clone() });
    assert!(other.contains("another place") && other.contains("00000000000000000000000000005eed"), "{other}");
    change(&place, "UPDATE meta SET value = '2' WHERE key = 'schema'");
    let newer = error(Source { journal: JOURNAL, end, venue: venue.clone() });
    assert!(newer.contains("schema is version 2") && newer.contains("version 1"), "{newer}");
    change(&place, "UPDATE meta SET value = '1' WHERE key = 'schema'");
    // Ahead of its journal: one of the two is an old copy, and it is not for a program to say which.
    let before = rows(&place);
    let early = &story.chapters[story.chapters.len() / 2].1;
    let ahead = error(Source { journal: JOURNAL, end: early, venue: venue.clone() });
    assert!(ahead.contains("ahead of its journal") && ahead.contains("--history off"), "{ahead}");
    assert!(before == rows(&place), "nothing is deleted");
}

#[test]
fn what_has_waited_long_is_written_in_parts() {
    let story = story(8);
    everywhere(|places| {
        let once = places.next();
        story.write(&mut story.open(&once).expect("a new store").0, 1000);
        let (place, mut noted) = (places.next(), 0);
        let (mut writer, reader) = story.open(&place).expect("a new store");
        while noted <= 2 * BATCH_ENTRIES {
            story.note(&mut writer, 0..story.chapters.len());
            noted += story.told().len();
        }
        assert!(!reader.progress().borrow().has_start, "nothing is written");
        assert_eq!(writer.save(story.end()), Saved::All);
        assert!(reader.progress().borrow().has_start, "all that there was is written");
        let counters = reader.counters();
        assert_eq!(counters.commits.get(), noted.div_ceil(BATCH_ENTRIES) as u64);
        assert_eq!((counters.entries.get(), counters.waiting.get()), (noted as u64, 0));
        assert!(rows(&once) == rows(&place), "rows of parts are other rows");
    });
}

#[test]
fn who_asks_gets_what_is_there_at_once_and_the_rest_when_it_is_written() {
    let story = story(9);
    let mut places = Places::files();
    let (mut writer, reader) = story.open(&places.next()).expect("a new store");
    let positions = story.note(&mut writer, 0..story.chapters.len() / 2);
    writer.commit(positions).expect("the store is there");
    // As after a crash: the journal is longer than the history.
    assert!(!reader.progress().borrow().has_start);
    let account = AccountId(0);
    let (wake, _sleeper) = wake().expect("a socket pair");
    let door = Arc::new(ReactorDoor { dirty: DirtySet::new(1), wake });
    let (sender, mail) = std::sync::mpsc::channel();
    let (desk, clerk) = desk(reader.clone(), vec![door], vec![sender]);
    let ask = |from| {
        let to = story.last_of(account);
        assert!(desk.ask(Question { reactor: 0, session: 0, request: 0, account, from, to }));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let there = runtime.block_on(reader.last(account)).expect("it can be read");
    runtime.spawn(async move { match clerk.run().await {} });
    let heard = || -> Vec<u64> {
        let Ok(Mail::History(answer)) = mail.recv() else { panic!("an answer is due") };
        answer.page.expect("it is in the history").iter().map(|entry| entry.exec_seq).collect()
    };
    let first = there.saturating_sub(10).max(1);
    ask(first);
    assert_eq!(heard(), (first..=there).collect::<Vec<_>>());
    ask(there + 1);
    let positions = story.note(&mut writer, story.chapters.len() / 2..story.chapters.len());
    writer.commit(positions).expect("the store is there");
    assert_eq!(heard()[0], there + 1);
}

/// The journal of a story in a directory of its own, in small pieces so that it forgets.
fn journal(directory: &Path) -> (Story, Journal) {
    let recovered = recover(directory, 16 << 10);
    let (story, journal) = (tell(recovered.shards, 7), recovered.journal);
    // All of it, as counted by an engine whose logs are in memory.
    let all = crate::story::story(7);
    while !all.end().all_within(&journal.watch().positions()) {
        std::thread::yield_now();
    }
    let said = story.chapters.into_iter().map(|(said, _)| said);
    let chapters = said.zip(all.chapters.into_iter().map(|(_, positions)| positions)).collect();
    (Story { venue: story.venue, chapters }, journal)
}

#[test]
fn what_the_journal_has_forgotten_is_missing_in_a_new_history_and_nothing_else() {
    let mut places = Places::files();
    let (story, journal) = journal(&places.directory.join("journal"));
    let watch = journal.watch();
    let keep = |place: &Place| {
        let (keeper, reader) = keep(&journal, &story.venue, place, 4 << 10);
        wait_until_written(&reader, &story);
        keeper.stop();
        reader
    };
    // From the journal's beginning it is whole, as if somebody had written down what was said.
    let by_hand = places.next();
    story.write(&mut story.open(&by_hand).expect("a new store").0, 50);
    let whole = places.next();
    keep(&whole);
    assert!(rows(&by_hand)[..4] == rows(&whole)[..4], "what the keeper heard is something else");
    assert_ne!(watch.first(), Positions::zero(SHARDS), "the journal has forgotten its beginning");
    // Once more, with nothing to add.
    let before = rows(&whole);
    let of_whole = keep(&whole);
    assert!(before == rows(&whole), "rows changed");
    // A new one has what the journal still tells.
    let late = places.next();
    let reader = keep(&late);
    let mut missing = 0;
    for account in (0..ACCOUNTS).map(AccountId) {
        let entries = wait(reader.entries(account, (1, u64::MAX), u32::MAX)).expect("it can be read");
        let first = entries.first().expect("the end is there").exec_seq;
        let told = wait(of_whole.entries(account, (first, u64::MAX), u32::MAX));
        assert!(entries == told.expect("it can be read"), "account {}", account.0);
        missing += first - 1;
    }
    assert!(missing > 0, "there is a hole");
    journal.close().expect("it is written");
}

/// So that one that is set aside again and again gets on each time: it is not for what the store has already.
#[test]
fn a_store_was_asked_only_once_there_was_something_for_it() {
    let mut places = Places::files();
    let (story, journal) = journal(&places.directory.join("journal"));
    let (whole, new) = (places.next(), places.next());
    story.write(&mut story.open(&whole).expect("a new store").0, 50);
    for (place, lacks_some) in [(whole, false), (new, true)] {
        let mut recorder = Recorder::new(Some(story.open(&place).expect("a store").0));
        let mut follower = recorder.begin(&journal.watch(), crate::story::fresh).expect("it can be read");
        recorder.follow(&mut follower).expect("it can be read").expect("there is something");
        assert!(!recorder.has_asked() && recorder.save(&follower));
        assert_eq!(recorder.has_asked(), lacks_some);
    }
}
