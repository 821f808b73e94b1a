//! Writes slices to a sink in as few calls as it allows, and counts the bytes that it takes.

use std::io::{self, ErrorKind, IoSlice, Write};

/// The most slices in a call to the sink: the usual `IOV_MAX`.
const SLICES_AT_MOST: usize = 1024;

/// A write that failed. `taken` is the number of bytes that the sink had taken, or `None` if the sink reported a number
/// that cannot be right.
pub(crate) struct Interrupted {
    pub(crate) taken: Option<u64>,
    pub(crate) source: io::Error,
}

/// Writes all of `slices`, which hold `length` bytes, in as few calls as the sink allows.
pub(crate) fn write_all_vectored(
    sink: &mut impl Write,
    slices: &mut [IoSlice<'_>],
    length: u64,
) -> Result<(), Interrupted> {
    let mut rest = slices;
    let mut left = length;
    // The bytes in the next call. Updated by the slices that enter it: adding all of them up again would take quadratic
    // time with a sink that takes one slice at a time.
    let mut offered = match rest.get(..SLICES_AT_MOST) {
        None => left,
        Some(call) => lengths(call.iter()),
    };
    while left > 0 {
        let source = match sink.write_vectored(&rest[..rest.len().min(SLICES_AT_MOST)]) {
            Ok(0) => io::Error::new(ErrorKind::WriteZero, "the sink took no bytes"),
            Ok(n) if n as u64 <= offered => {
                left -= n as u64;
                if left > 0 {
                    let count = rest.len();
                    IoSlice::advance_slices(&mut rest, n);
                    let passed = (count - rest.len()).min(SLICES_AT_MOST);
                    let entered = rest.iter().take(SLICES_AT_MOST).skip(SLICES_AT_MOST - passed);
                    offered = offered - n as u64 + lengths(entered);
                }
                continue;
            }
            Ok(n) => {
                let reason = format!("the sink claims to have taken {n} bytes of {offered}");
                return Err(Interrupted { taken: None, source: io::Error::other(reason) });
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => e,
        };
        return Err(Interrupted { taken: Some(length - left), source });
    }
    Ok(())
}

fn lengths<'s>(slices: impl Iterator<Item = &'s IoSlice<'s>>) -> u64 {
    slices.map(|slice| slice.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `step` bytes of each call, and at last claims one more than it was offered.
    struct Sipping {
        step: usize,
        lies_at: usize,
        taken: Vec<u8>,
    }

    impl Write for Sipping {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            assert!(slices.len() <= SLICES_AT_MOST && slices.iter().any(|slice| !slice.is_empty()));
            let offered: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            if self.taken.len() >= self.lies_at {
                return Ok(offered.len() + 1);
            }
            let n = offered.len().min(self.step);
            self.taken.extend_from_slice(&offered[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_takes_little_gets_all_and_is_not_believed_more() {
        let bytes: Vec<u8> = (0..5_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
        // 2,500 slices of 0 to 4 bytes.
        let pieces: Vec<&[u8]> =
            (0..500).flat_map(|i| [0, 1, 2, 3, 4].map(|n| &bytes[i * 10 + n * (n + 1) / 2 - n..][..n])).collect();
        for step in [2, 700, 1_500, 5_000] {
            for lies_at in [usize::MAX, 0, 1, 1_999, 3_000] {
                let mut sink = Sipping { step, lies_at, taken: Vec::new() };
                let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                let result = write_all_vectored(&mut sink, &mut slices, 5_000);
                if lies_at == usize::MAX {
                    assert!(result.is_ok());
                    assert_eq!(sink.taken, bytes, "{step}");
                } else {
                    let taken = result.map_err(|interrupted| interrupted.taken);
                    assert_eq!(taken, Err(None), "{step}, {lies_at}");
                }
            }
        }
    }
}
