//! The figures as a Markdown document: the machine, then a table for each metric.

use std::fmt::Write;

use crate::figure::{Figure, Metric};
use crate::report::machine::Machine;

/// The document.
#[must_use]
pub fn document(machine: &Machine, figures: &[Figure]) -> String {
    let mut text = format!("# Bench\n\n{machine}.\n\n{HOW_TO_READ}\n");
    let mut metrics: Vec<Metric> = Vec::new();
    for figure in figures {
        if !metrics.contains(&figure.line.metric()) {
            metrics.push(figure.line.metric());
        }
    }
    for metric in metrics {
        let _ = writeln!(text, "\n## {}\n\n{HEAD}", capitalised(&metric.to_string()));
        for figure in figures.iter().filter(|figure| figure.line.metric() == metric) {
            let _ = writeln!(text, "{}", row(figure));
        }
    }
    text
}

/// A row of the table.
fn row(figure: &Figure) -> String {
    let Figure { line, ours, peer, ratio, spread: [low, high], control } = figure;
    let metric = line.metric();
    let (ours, peer) = (metric.show(*ours), metric.show(*peer));
    let (spread, control) = match control {
        Some(control) => (format!("{low:.2} to {high:.2}"), format!("{control:.2}")),
        None => (String::new(), String::new()),
    };
    let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { String::new() };
    let target = line.target().map_or_else(String::new, |target| target.to_string());
    let (case, name, verdict) = (line.case(), line.peer().replace('<', "&lt;"), figure.verdict());
    format!("| {case} | {name} | {ours} | {peer} | {ratio} | {spread} | {control} | {target} | {verdict} |")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

const HOW_TO_READ: &str = "\
Everything is less-is-better. The ratio is the peer's figure over ours: above 1, ours is better. Times are medians; the
middle half is that of the rounds' ratios, and the control is ours against ours in the same rounds: how far it is from 1
is how far to trust the line. Files are rewritten in the page cache, unless they are called new; a disk would hide much
of this. Options are the defaults, unless a line names them.";

const HEAD: &str = "\
| case | peer | ours | peer's | ratio | middle half | control | to reach | |
|---|---|--:|--:|--:|---|--:|--:|---|";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Line;

    #[test]
    fn a_table_for_each_metric() {
        let line = |metric| Line::new("a", metric, "Mutex<b>");
        let figures = [
            Figure {
                line: line(Metric::Time).at_least(2.0),
                ours: 1e-6,
                peer: 3e-6,
                ratio: 3.0,
                spread: [2.9, 3.1],
                control: Some(1.0),
            },
            Figure { line: line(Metric::Calls), ours: 1.0, peer: 12.0, ratio: 12.0, spread: [12.0; 2], control: None },
        ];
        let text = document(&Machine::here(), &figures);
        assert_eq!(text.matches("\n## ").count(), 2);
        assert!(
            text.contains("| a | Mutex&lt;b> | 1.000 us | 3.000 us | 3.00 | 2.90 to 3.10 | 1.00 | >= 2 | reached |"),
            "{text}"
        );
        assert!(text.contains("| a | Mutex&lt;b> | 1 | 12 | 12.00 |  |  |  |  |"), "{text}");
    }
}
