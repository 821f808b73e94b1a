//! Any bytes are listed, checked and recovered, or refused by a typed error; what recovery makes is complete.

use ipc_recover::scan::{self, Framing, Kind, Next};
use ipc_recover::{Checker, Condition, Damage, RecoverOptions, Source, list, recover};

/// Lists, checks and recovers in every way.
pub fn run(data: &[u8]) {
    let is_sound = check(data).is_ok_and(|is_at_end| is_at_end);
    for kind in [Kind::Stream, Kind::File] {
        let listed = list::<()>(&mut Source::from(data), kind, |_, _| Ok(()));
        assert!(listed.is_ok(), "nothing but what shows a message ends the list with an error");
        let plain = RecoverOptions::default().with_format(kind);
        for options in [plain.clone(), plain.with_salvage()] {
            let mut output = Vec::new();
            let Ok(report) = recover(&mut Source::from(data), &mut output, &options) else { continue };
            assert_eq!(report.written_bytes, output.len() as u64);
            assert!(!is_sound || report.cut.rows == 0, "who reads it and who recovers it see the same: {report:?}");
            let again = recover(&mut Source::from(output.as_slice()), &mut Vec::new(), &RecoverOptions::default());
            let again = again.unwrap();
            let kept = (report.kept.record_batches, report.kept.rows);
            let dictionary_batches = report.kept.dictionary_batches + report.empty_dictionaries;
            assert_eq!(again.condition, Condition::Complete);
            assert_eq!((again.kept.record_batches, again.kept.rows), kept);
            assert_eq!(again.kept.dictionary_batches, dictionary_batches);
        }
    }
}

/// Checks a stream as those do who read its values. Returns whether it has a proper end.
fn check(data: &[u8]) -> Result<bool, Damage> {
    let mut source = Source::from(data);
    let Next::Message(schema) = scan::next(&mut source)? else { return Ok(false) };
    schema.skip_body(&mut source)?;
    let mut checker = Checker::of_stream(schema)?;
    loop {
        match scan::next(&mut source)? {
            Next::Message(head) => {
                let body = head.read_body(&mut source)?;
                checker.check(&head, &body)?;
            }
            // Of zeros instead, nobody can tell whether they are one.
            Next::EndOfStream(marker) => return Ok(marker == Framing::Marked && source.lacks(1)),
            Next::EndOfInput => return Ok(false),
        }
    }
}
