//! The writer's figures: counters that are readable without the lock, and the summary of a close.

use arrow_schema::SchemaRef;
use ipc_core::Stats;

use crate::sync::{Counter, Relaxed};

/// Lists the figures of [`Stats`] once, for the struct and both directions.
macro_rules! counters {
    ($($figure:ident),* $(,)?) => {
        /// One counter for each figure of [`Stats`]. Written under the lock, read by any thread. Each figure counts by
        /// itself, so all accesses are relaxed.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $($figure: Counter,)*
        }

        impl Counters {
            pub(super) fn publish(&self, stats: &Stats) {
                $(self.$figure.store(stats.$figure, Relaxed);)*
            }

            pub(super) fn read(&self) -> Stats {
                let mut stats = Stats::default();
                $(stats.$figure = self.$figure.load(Relaxed);)*
                stats
            }
        }

        #[cfg(test)]
        const FIGURES: &[&str] = &[$(stringify!($figure),)*];
    };
}

counters!(
    messages,
    record_batches,
    rows,
    dictionary_batches,
    deltas,
    replacements,
    unused_values,
    raw_bytes,
    written_bytes,
);

/// What a closed writer has written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// The figures.
    pub stats: Stats,
    /// The schema of the output.
    pub schema: SchemaRef,
    /// The number of reserved places without a batch: slots that were given up or dropped unwritten, slots still
    /// unwritten at the close, and places whose `reserve` ended in a panic of the sink.
    pub given_up: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Stats` may gain figures, which the compiler does not ask for here.
    #[test]
    fn every_figure_is_published() {
        let stats = format!("{:?}", Stats::default());
        let figures = stats.trim_start_matches("Stats {").trim_end_matches('}').split(", ");
        let names: Vec<_> = figures.filter_map(|figure| Some(figure.split_once(':')?.0.trim())).collect();
        assert_eq!(names, FIGURES);
    }
}
