//! Any bytes are listed and recovered, or refused by a typed error; what recovery makes is complete.

use ipc_recover::scan::Kind;
use ipc_recover::{Condition, RecoverOptions, Source, list, recover};

/// Lists and recovers in every way.
pub fn run(data: &[u8]) {
    for kind in [Kind::Stream, Kind::File] {
        let listed = list::<()>(&mut Source::from(data), kind, |_, _| Ok(()));
        assert!(listed.is_ok(), "nothing but what shows a message ends the list with an error");
        let plain = RecoverOptions::default().with_format(kind);
        for options in [plain.clone(), plain.with_salvage()] {
            let mut output = Vec::new();
            let Ok(report) = recover(&mut Source::from(data), &mut output, &options) else { continue };
            assert_eq!(report.written_bytes, output.len() as u64);
            let again = recover(&mut Source::from(output.as_slice()), &mut Vec::new(), &RecoverOptions::default());
            let again = again.unwrap();
            assert_eq!((again.condition, again.kept), (Condition::Complete, report.kept));
        }
    }
}
