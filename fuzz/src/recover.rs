//! Any bytes are listed, checked and recovered, or refused by a typed error; what recovery makes is complete.

use ipc_recover::scan::{Framing, Kind};
use ipc_recover::{Condition, Damage, Ending, Input, Part, RecoverOptions, Source, recover};

/// Lists, checks and recovers in every way.
pub fn run(data: &[u8]) {
    if let Ok((mut input, _)) = Input::open_broken(Source::from(data)) {
        while let Ok(Some(_)) = input.next() {}
    }
    let is_sound = read(data).is_ok_and(|is_at_end| is_at_end);
    for kind in [Kind::Stream, Kind::File] {
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

/// Reads an input as those do who read its values. Returns whether all of it has a proper end.
fn read(data: &[u8]) -> Result<bool, Damage> {
    let mut input = Input::open(Source::from(data))?;
    let mut is_ended = true;
    while let Some(part) = input.next()? {
        match part {
            Part::Message(head) => drop(input.read_body(&head)?),
            // Of zeros instead, nobody can tell whether they are one.
            Part::End { ending, .. } => is_ended &= ending == Ending::Marker(Framing::Marked),
            _ => {}
        }
    }
    Ok(is_ended && input.trailing().is_none())
}
