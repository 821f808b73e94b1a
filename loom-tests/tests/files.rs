//! Models of files, which allow no dictionary to be replaced, and may have their dictionaries at the end.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use ipc_core::{DictionaryHandling, Options, Unify};
use ipc_shared::internals::model;
use ipc_shared::{CoreError, Error, FileFormat, SharedWriter};
use loom::thread;
use loom_tests::{Act, Failing, Shared, dictionary_batch, explore, values, words, words_batch};

/// The words of all batches of a file, in any order.
fn sorted_words(sink: &Shared) -> Vec<String> {
    let mut all: Vec<_> = sink.read_file().iter().flat_map(words).collect();
    all.sort_unstable();
    all
}

fn at_close() -> Options {
    Options::builder().dictionaries(Unify::new().at_close(true)).build().unwrap()
}

#[test]
fn values_behind_the_closing_dictionaries() {
    explore("a batch that brought a value while its file was being closed", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::file(sink.clone()).options(at_close()).schema(words_batch(&[]).schema());
        let writer = writer.build().unwrap();
        writer.write(&words_batch(&["a"])).unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&words_batch(&["b"])))
        };
        let stats = writer.close().expect("every batch finds its values at the close").stats;
        assert_eq!((stats.dictionary_batches, stats.deltas), (1, 0), "one message, without deltas");
        match other.join().unwrap() {
            Ok(_) => {
                assert_eq!(sorted_words(&sink), ["a", "b"]);
                coverage.met();
            }
            Err(Error::Closed) => assert_eq!(sorted_words(&sink), ["a"]),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn same_dictionary_in_slots() {
    explore("a slot whose dictionary was sent ahead", |coverage| {
        let sink = Shared::default();
        let values = values(&["a"]);
        let writer = SharedWriter::file(sink.clone()).schema(dictionary_batch(&values).schema()).window(2);
        let writer = writer.build().unwrap();
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = {
            let values = values.clone();
            thread::spawn(move || second.write(&dictionary_batch(&values)).unwrap())
        };
        thread::yield_now();
        let is_sent_ahead = writer.stats().dictionary_batches == 1;
        first.write(&dictionary_batch(&values)).unwrap();
        other.join().unwrap();
        assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1, "equal dictionaries are sent once");
        assert_eq!(sorted_words(&sink), ["a", "a"]);
        coverage.met_if(is_sent_ahead);
    });
}

#[test]
fn other_dictionary_in_slots() {
    explore("a slot that was written first, so that the one before it was refused", |coverage| {
        let sink = Shared::default();
        let [mine, theirs] = ["a", "b"].map(|word| dictionary_batch(&values(&[word])));
        let writer = SharedWriter::file(sink.clone()).schema(mine.schema()).window(2).build().unwrap();
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = thread::spawn(move || second.write(&theirs).map_err(|failed| drop(failed.into_parts())));
        let written = first.write(&mine).map_err(|failed| failed.into_parts().0);
        let is_theirs = other.join().unwrap().is_ok();
        let closed = writer.close().map(drop);
        assert!(closed.is_ok(), "what was accepted can be written: {closed:?}");
        match written {
            Ok(()) => assert!(!is_theirs && sorted_words(&sink) == ["a"]),
            Err(Error::Core(CoreError::DictionaryReplacement { .. })) => {
                assert!(is_theirs && sorted_words(&sink) == ["b"]);
                coverage.met();
            }
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn overtaken_by_progress() {
    explore("a batch that was overtaken after its third plan", |coverage| {
        let sink = Shared::default();
        let all = ["a", "b", "c", "d"];
        let batches = [1, 2, 3].map(|count| dictionary_batch(&values(&all[..count])));
        let mine = dictionary_batch(&values(&all));
        let options = Options::builder().dictionaries(DictionaryHandling::Delta).build().unwrap();
        let writer = SharedWriter::file(sink.clone()).options(options).schema(mine.schema()).build().unwrap();
        let overtaken = std::rc::Rc::new(std::cell::Cell::new(0));
        // Whenever this thread has made a plan, others send a longer dictionary before it comes to the lock.
        model::after_each_plan({
            let (overtaken, other) = (std::rc::Rc::clone(&overtaken), writer.clone());
            move || {
                if let Some(batch) = batches.get(overtaken.get()) {
                    other.write(batch).unwrap();
                    overtaken.set(overtaken.get() + 1);
                }
            }
        });
        let written = writer.write(&mine);
        assert!(written.is_ok(), "a file's dictionary is extended from what it is by then: {written:?}");
        model::after_each_plan(|| ());
        let stats = writer.close().unwrap().stats;
        assert_eq!((stats.dictionary_batches, stats.deltas), (4, 3));
        assert_eq!(sorted_words(&sink), ["a", "a", "a", "a"]);
        coverage.met_if(overtaken.get() == 3);
    });
}

#[test]
fn close_that_fails_and_values_behind_it() {
    explore("a batch that brought a value behind a close that failed", |coverage| {
        let sink = Shared::default();
        // All is staged, so the first call is that of the end.
        let writer: SharedWriter<_, FileFormat> = SharedWriter::file(Failing::new(&sink, Act::Fail, 1))
            .options(at_close())
            .schema(words_batch(&[]).schema())
            .build()
            .unwrap();
        writer.write(&words_batch(&["a"])).unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&words_batch(&["b"])))
        };
        let failed = writer.close();
        assert!(matches!(failed, Err(Error::Core(CoreError::Io(_)))), "{failed:?}");
        let before = writer.stats().record_batches;
        let written = other.join().unwrap();
        let stats = writer.close().expect("a close that failed may be repeated").stats;
        assert_eq!((stats.dictionary_batches, stats.deltas), (1, 0), "one message, without deltas");
        match written {
            Ok(_) => assert_eq!(sorted_words(&sink), ["a", "b"]),
            Err(Error::Closed) => assert_eq!(sorted_words(&sink), ["a"]),
            Err(error) => panic!("{error}"),
        }
        coverage.met_if(before == 1 && stats.record_batches == 2);
    });
}
