//! Options do what they say, and the summary says what was done.

use crate::support::{batch, dictionary_batch, file, folder, inspect, merge, put, run, stream, text};

#[test]
fn the_codec_is_the_one_asked_for() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 5_000)]));
    let output = folder.path().join("out.arrow");
    for (asked, found) in [("none", "none"), ("lz4", "lz4"), ("zstd", "zstd"), ("zstd:19", "zstd"), ("zstd:-3", "zstd")]
    {
        assert!(merge(&[&input], &output, &["--compression", asked]).status.success());
        assert_eq!(inspect(&output).0["messages"][1]["codec"], found, "{asked}");
    }
}

#[test]
fn dictionaries_are_compressed_on_request_only() {
    let folder = folder();
    let words: Vec<String> = (0..500).map(|word| format!("one word and another, {word}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let input = put(&folder, "a.arrow", &file(&[dictionary_batch(&words, &vec![7; 5_000])]));
    let output = folder.path().join("out.arrow");
    for (asked, dictionary) in [(&[][..], "none"), (&["--compress-dictionaries"], "zstd")] {
        assert!(merge(&[&input], &output, &[&["--compression", "zstd"], asked].concat()).status.success());
        let messages = inspect(&output).0["messages"].clone();
        assert_eq!((&messages[1]["codec"], &messages[2]["codec"]), (&dictionary.into(), &"zstd".into()), "{asked:?}");
    }
}

#[test]
fn messages_stand_on_the_boundary_asked_for() {
    let folder = folder();
    let batches: Vec<_> = (0..16).map(|rows| batch(1, rows)).collect();
    let input = put(&folder, "a.arrow", &file(&batches));
    for alignment in [8, 16, 32, 64] {
        let output = folder.path().join("out.arrow");
        assert!(merge(&[&input], &output, &["--alignment", &alignment.to_string()]).status.success());
        let (said, _) = inspect(&output);
        let offsets =
            said["messages"].as_array().unwrap()[1..].iter().map(|message| message["offset"].as_u64().unwrap());
        assert!(offsets.clone().all(|offset| offset.is_multiple_of(alignment)), "{said}");
        // And on no other: more padding than that is wasted.
        assert!(offsets.clone().any(|offset| !offset.is_multiple_of(2 * alignment)), "{alignment}: {said}");
    }
}

#[test]
fn the_summary_counts_what_was_written() {
    let folder = folder();
    let input = put(&folder, "a.arrow", &file(&[batch(1, 5), batch(2, 7)]));
    let output = folder.path().join("out.arrow");
    let done = merge(&[&input, &input], &output, &["--json", "--threads", "2"]);
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    for (key, expected) in [("inputs", 2), ("record_batches", 4), ("rows", 24), ("messages", 5), ("threads", 2)] {
        assert_eq!(said[key], expected, "{key}: {said}");
    }
    assert_eq!(said["written_bytes"], std::fs::metadata(&output).unwrap().len());
    assert!(done.stderr.is_empty(), "{}", text(&done.stderr));
}

/// Or a file of dictionaries would seem to grow a thousand times.
#[test]
fn the_size_of_the_inputs_counts_dictionaries() {
    let folder = folder();
    let words: Vec<String> = (0..5_000).map(|word| format!("word {word}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for (name, bytes) in [("a.arrow", file as fn(&[_]) -> _), ("a.arrows", stream)] {
        let bytes: Vec<u8> = bytes(&[dictionary_batch(&words, &[7, 8])]);
        let input = put(&folder, name, &bytes);
        let done = merge(&[&input, &input], &folder.path().join("out.arrow"), &["--json"]);
        let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let (read, all) = (said["read_bytes"].as_u64().unwrap(), 2 * bytes.len() as u64);
        assert!(read <= all && read > all * 8 / 10, "{name}: {read} of {all}");
    }
}

#[test]
fn help_shows_examples() {
    for (arguments, part) in
        [(&["--help"][..], "merge"), (&["merge", "--help"], "Examples:"), (&["inspect", "--help"], "Examples:")]
    {
        let help = run(arguments.iter().copied());
        assert!(help.status.success() && text(&help.stdout).contains(part), "{arguments:?}");
    }
    assert!(text(&run(["--version"]).stdout).starts_with("arrow-ipc "));
}
