//! As much of Markdown as these documents use.

/// The contents of the fenced blocks in `language`.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut block) {
            (Some(info), None) => block = Some((info.split(',').next() == Some(language), String::new())),
            (Some(_), Some(_)) => blocks.extend(block.take().filter(|(wanted, _)| *wanted).map(|(_, text)| text)),
            (None, Some((_, text))) => text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

/// The targets of the links and images: `[text](target)` and `[label]: target`.
pub(crate) fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let references = prose
        .lines()
        .filter(|line| line.starts_with('[') && !line.starts_with("[^"))
        .filter_map(|line| line.split_once("]: "))
        .map(|(_, target)| target.trim());
    inline.chain(references).map(str::to_owned).collect()
}

/// What `#anchor` may be: the headings, as GitHub and mdBook turn them into anchors.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let (mut anchors, mut plain) = (Vec::new(), Vec::new());
    let without_code = without_fenced_code(text);
    let headings = without_code.lines().filter(|line| line.starts_with('#'));
    for heading in headings.map(|line| line.trim_start_matches('#').trim()) {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase();
        let before = plain.iter().filter(|known| **known == anchor).count();
        anchors.push(if before == 0 { anchor.clone() } else { format!("{anchor}-{before}") });
        plain.push(anchor);
    }
    anchors
}

/// The text without code, whose brackets are no links.
fn prose(text: &str) -> String {
    let without_blocks = without_fenced_code(text);
    let pieces = without_blocks.split('`');
    pieces.enumerate().map(|(index, piece)| if index % 2 == 0 { piece } else { "code" }).collect()
}

fn without_fenced_code(text: &str) -> String {
    let mut is_code = false;
    let mut kept = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            kept.extend([line, "\n"]);
        }
    }
    kept
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# One `type` of *file*\n```\n# no heading\n```\n## It's A-B, and C?\n## One type of file\n";
    assert_eq!(anchors(text), ["one-type-of-file", "its-a-b-and-c", "one-type-of-file-1"]);
}

#[test]
fn links_in_code_are_none() {
    let text = "[a](b.md#c) ![d](e.svg) `[f](g)`\n```rust\nlet x = h[i](j);\n```\n[k]: l.md\n";
    assert_eq!(links(text), ["b.md#c", "e.svg", "l.md"]);
}
