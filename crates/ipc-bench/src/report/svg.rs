//! Just enough SVG for bars, curves and words. Fonts are the reader's; the background is white, whoever's page it is on.

use std::fmt::Write;

/// A drawing.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text stands, seen from its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// The colours of a drawing.
pub mod colour {
    /// Ours.
    pub const OURS: &str = "#2166ac";
    /// Another's.
    pub const PEER: &str = "#b2182b";
    /// Words.
    pub const TEXT: &str = "#222222";
    /// Words of less weight.
    pub const FAINT: &str = "#666666";
    /// What lies behind.
    pub const GRID: &str = "#dddddd";
}

impl Svg {
    /// An empty drawing, `title` being what those hear who do not see it.
    #[must_use]
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let body =
            format!("<title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", escaped(title));
        Self { width, height, body }
    }

    /// A filled rectangle.
    pub fn bar(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: &str) {
        self.push(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        ));
    }

    /// A line through points.
    pub fn line(&mut self, points: &[[f64; 2]], stroke: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        self.push(&format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>"
        ));
    }

    /// A dot.
    pub fn dot(&mut self, [x, y]: [f64; 2], fill: &str) {
        self.push(&format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{fill}\"/>"));
    }

    /// Words.
    pub fn text(&mut self, [x, y]: [f64; 2], words: &str, anchor: Anchor, size: f64, fill: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let words = escaped(words);
        self.push(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{fill}\">{words}</text>"
        ));
    }

    /// The document.
    #[must_use]
    pub fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"sans-serif\">\n{body}</svg>\n"
        )
    }

    fn push(&mut self, element: &str) {
        let _ = writeln!(self.body, "{element}");
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_be_taken_for_elements() {
        let mut svg = Svg::new(100.0, 50.0, "a & b");
        svg.text([1.0, 2.0], "Mutex<Writer>", Anchor::End, 10.0, colour::TEXT);
        let text = svg.finish();
        assert!(text.contains("<title>a &amp; b</title>") && text.contains(">Mutex&lt;Writer&gt;</text>"), "{text}");
        assert!(text.starts_with("<svg xmlns=") && text.ends_with("</svg>\n"));
    }
}
