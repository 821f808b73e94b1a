//! The charts: how many times as fast as each peer, and how the cost grows.

use crate::figure::{Figure, Metric, Target};
use crate::growth::{Point, Series};
use crate::report::machine::Machine;
use crate::report::svg::{Anchor, Svg, colour};

/// A bar for each line about time that has a target, grouped by peer, on a logarithmic axis. A tick marks the target.
#[must_use]
pub fn ratios(machine: &Machine, figures: &[Figure]) -> String {
    let shown: Vec<&Figure> = figures.iter().filter(|figure| is_shown(figure)).collect();
    let mut groups: Vec<(&str, Vec<&Figure>)> = Vec::new();
    for &figure in &shown {
        let peer = figure.line.peer();
        match groups.iter_mut().find(|(name, _)| *name == peer) {
            Some((_, group)) => group.push(figure),
            None => groups.push((peer, vec![figure])),
        }
    }
    let largest = shown.iter().map(|figure| figure.ratio).fold(2.0, f64::max) * 1.1;
    let axis = Axis { low: LEAST_RATIO, high: largest, from: NAMES, to: WIDTH - 60.0 };

    #[expect(clippy::cast_precision_loss, reason = "lines are few")]
    let height = TOP + ROW * (shown.len() + groups.len()) as f64 + 24.0;
    let mut svg = Svg::new(WIDTH, height, "How many times as fast as its peers");
    svg.text(
        [12.0, 20.0],
        "How many times as fast, by peer; the tick is what is to be reached",
        Anchor::Start,
        14.0,
        colour::TEXT,
    );
    svg.text([12.0, 36.0], &machine.to_string(), Anchor::Start, 9.0, colour::FAINT);
    for ratio in RATIOS.into_iter().filter(|&ratio| ratio <= largest) {
        let (x, weight) = (axis.place(ratio), if ratio == 1.0 { 1.5 } else { 0.5 });
        svg.line(&[[x, TOP], [x, height - 20.0]], colour::GRID, weight);
        svg.text([x, height - 8.0], &ratio.to_string(), Anchor::Middle, 10.0, colour::FAINT);
    }
    let mut y = TOP;
    for (peer, group) in groups {
        svg.text([12.0, y + 12.0], &format!("vs {peer}"), Anchor::Start, 11.0, colour::TEXT);
        y += ROW;
        for figure in group {
            bar(&mut svg, &axis, figure, y);
            y += ROW;
        }
    }
    svg.finish()
}

/// Which lines the chart shows: the table has all.
fn is_shown(figure: &Figure) -> bool {
    figure.line.metric() == Metric::Time && figure.line.target().is_some() && figure.ratio.is_finite()
}

fn bar(svg: &mut Svg, axis: &Axis, figure: &Figure, y: f64) {
    let (one, end) = (axis.place(1.0), axis.place(figure.ratio));
    let fill = if figure.is_reached() == Some(true) { colour::OURS } else { colour::PEER };
    svg.text([NAMES - 8.0, y + 11.0], figure.line.case(), Anchor::End, 10.0, colour::TEXT);
    svg.bar([one.min(end), y + 2.0], [(end - one).abs(), ROW - 5.0], fill);
    let mut label = one.max(end);
    if let Some(Target::Ratio(target)) = figure.line.target() {
        let x = axis.place(target);
        svg.line(&[[x, y + 1.0], [x, y + ROW - 2.0]], colour::TEXT, 1.5);
        label = label.max(x);
    }
    svg.text([label + 5.0, y + 11.0], &format!("{:.2}", figure.ratio), Anchor::Start, 10.0, colour::TEXT);
}

/// A panel for each series, both axes logarithmic.
#[must_use]
pub fn growth(machine: &Machine, all: &[Series]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "series are few")]
    let rows = all.len().div_ceil(COLUMNS).max(1) as f64;
    let mut svg = Svg::new(WIDTH, TOP + rows * PANEL[1], "Time per batch as the work grows");
    let head = "Time per batch as the work grows; grey: in proportion";
    svg.text([12.0, 20.0], head, Anchor::Start, 14.0, colour::TEXT);
    svg.text([12.0, 36.0], &machine.to_string(), Anchor::Start, 9.0, colour::FAINT);
    for (index, series) in all.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "series are few")]
        let corner = [(index % COLUMNS) as f64 * PANEL[0], TOP + (index / COLUMNS) as f64 * PANEL[1]];
        panel(&mut svg, series, corner);
    }
    svg.finish()
}

fn panel(svg: &mut Svg, series: &Series, [left, top]: [f64; 2]) {
    let Series { against, peer, points } = series;
    let ends = |of: &dyn Fn(&Point) -> [f64; 2]| {
        let values = || points.iter().flat_map(of);
        [values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max)]
    };
    let [least, most] = ends(&|point| [point.size; 2]);
    let [fastest, slowest] = ends(&|point| [point.ours, point.peer]);
    if points.is_empty() || fastest <= 0.0 {
        return;
    }
    let across = Axis { low: least, high: most.max(least * 1.01), from: left + 60.0, to: left + PANEL[0] - 20.0 };
    let bottom = top + PANEL[1] - 40.0;
    let up = Axis { low: fastest / 1.5, high: slowest * 1.5, from: bottom, to: top + 24.0 };

    svg.text([left + 60.0, top + 14.0], &format!("against {against}"), Anchor::Start, 12.0, colour::TEXT);
    for (time, name) in TIMES.into_iter().filter(|&(time, _)| (up.low..up.high).contains(&time)) {
        let y = up.place(time);
        svg.line(&[[across.from, y], [across.to, y]], colour::GRID, 0.5);
        svg.text([left + 54.0, y + 3.0], name, Anchor::End, 9.0, colour::FAINT);
    }
    for &Point { size, .. } in [points.first(), points.last()].into_iter().flatten() {
        svg.text([across.place(size), bottom + 14.0], &size.to_string(), Anchor::Middle, 9.0, colour::FAINT);
    }
    svg.line(&[[across.from, bottom], [across.to, bottom]], colour::FAINT, 1.0);
    // What in proportion looks like, from the first of ours on, as far as the panel goes.
    if let Some(first) = points.first() {
        let last = most.min(least * up.high / first.ours);
        let end = first.ours * last / least;
        svg.line(
            &[[across.place(least), up.place(first.ours)], [across.place(last), up.place(end)]],
            colour::GRID,
            1.5,
        );
    }
    let mut x = left + 60.0;
    for (name, stroke, of) in [("ours", colour::OURS, ours as fn(&Point) -> f64), (peer, colour::PEER, peers)] {
        let curve: Vec<_> = points.iter().map(|point| [across.place(point.size), up.place(of(point))]).collect();
        svg.line(&curve, stroke, 1.5);
        curve.iter().for_each(|&point| svg.dot(point, stroke));
        svg.text([x, bottom + 30.0], name, Anchor::Start, 10.0, stroke);
        x += 40.0;
    }
}

fn ours(point: &Point) -> f64 {
    point.ours
}

fn peers(point: &Point) -> f64 {
    point.peer
}

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Where a value is; what is off the axis is at its end.
    fn place(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }
}

const WIDTH: f64 = 860.0;
/// Room for the names of the lines.
const NAMES: f64 = 290.0;
/// Room for the title.
const TOP: f64 = 48.0;
const ROW: f64 = 16.0;
const COLUMNS: usize = 3;
/// Width and height of a panel.
const PANEL: [f64; 2] = [WIDTH / 3.0, 230.0];
const LEAST_RATIO: f64 = 0.5;
const RATIOS: [f64; 7] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];
const TIMES: [(f64, &str); 8] = [
    (1e-7, "100 ns"),
    (1e-6, "1 us"),
    (1e-5, "10 us"),
    (1e-4, "100 us"),
    (1e-3, "1 ms"),
    (1e-2, "10 ms"),
    (1e-1, "100 ms"),
    (1.0, "1 s"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Line;
    use crate::growth::Against;

    #[test]
    fn a_bar_for_each_line_about_time_with_a_target() {
        let figure = |line, ratio| Figure { line, ours: 1.0, peer: ratio, ratio, spread: [ratio; 2], control: None };
        let figures = [
            figure(Line::new("shown", Metric::Time, "a").at_least(2.0), 3.0),
            figure(Line::new("not reached", Metric::Time, "a").at_least(5.0), 3.0),
            figure(Line::new("no target", Metric::Time, "b"), 3.0),
            figure(Line::new("no time", Metric::Calls, "b").at_least(1.0), 3.0),
        ];
        let text = ratios(&Machine::here(), &figures);
        assert!(text.contains(">shown<") && text.contains(">not reached<") && text.contains(">vs a<"));
        assert!(!text.contains(">no target<") && !text.contains(">no time<"));
        assert_eq!((text.matches(colour::OURS).count(), text.matches(colour::PEER).count()), (1, 1));
    }

    #[test]
    fn a_panel_for_each_series_and_nothing_off_the_page() {
        let points = [1.0, 10.0, 1000.0].map(|size| Point { size, ours: size * 1e-7, peer: 1e-6 }).to_vec();
        let series = Series { against: Against::Columns, peer: "FileWriter".to_owned(), points };
        let text = growth(&Machine::here(), &[series.clone(), Series { points: Vec::new(), ..series }]);
        assert!(text.contains(">against columns<") && text.contains(">FileWriter<"));
        assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains("=\"-"), "{text}");
    }
}
