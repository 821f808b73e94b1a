//! Recovery of bytes in memory.

use ipc_recover::{Error, RecoverOptions, Report, Source};

/// What becomes of `bytes`.
pub(crate) fn recover(bytes: &[u8], options: &RecoverOptions) -> Result<(Vec<u8>, Report), Error> {
    let mut output = Vec::new();
    let mut source = Source::from(bytes);
    let report = ipc_recover::recover(&mut source, &mut output, options)?;
    assert_eq!(report.written_bytes, output.len() as u64);
    Ok((output, report))
}
