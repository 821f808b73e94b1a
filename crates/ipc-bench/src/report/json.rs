//! The figures as JSON: an array of `{case, metric, ours, peer, peer_name, ratio, spread, control, target}`.
//!
//! `ratio` is the peer's figure over ours; above 1, ours is better. It is `null` where ours is nothing. `spread` are its
//! quartiles, `control` is ours over ours, or `null` for what was counted and not measured. `target` is what was to be
//! reached: `>= RATIO`, `0`, or `null`.

use serde_json::{Value, json};

use crate::figure::Figure;

/// The keys of each element.
const KEYS: [&str; 9] = ["case", "metric", "ours", "peer", "peer_name", "ratio", "spread", "control", "target"];

/// The document.
#[must_use]
pub fn document(figures: &[Figure]) -> String {
    let elements: Vec<Value> = figures
        .iter()
        .map(|Figure { line, ours, peer, ratio, spread, control }| {
            json!({
                "case": line.case(),
                "metric": line.metric().to_string(),
                "ours": ours,
                "peer": peer,
                "peer_name": line.peer(),
                "ratio": ratio,
                "spread": spread,
                "control": control,
                "target": line.target().map(|target| target.to_string()),
            })
        })
        .collect();
    serde_json::to_string_pretty(&elements).expect("numbers and strings are JSON") + "\n"
}

/// Reads a document back, and checks that it is what it should be.
///
/// # Errors
///
/// Says what is wrong.
pub fn validate(document: &str) -> Result<(), String> {
    let document: Value = serde_json::from_str(document).map_err(|error| error.to_string())?;
    let elements = document.as_array().ok_or("not an array")?;
    for element in elements {
        let object = element.as_object().ok_or_else(|| format!("not an object: {element}"))?;
        if !KEYS.iter().all(|&key| object.contains_key(key)) || object.len() != KEYS.len() {
            return Err(format!("not the keys {KEYS:?}: {element}"));
        }
        let strings = ["case", "metric", "peer_name"].iter().all(|&key| object[key].is_string());
        let numbers = ["ours", "peer"].iter().all(|&key| object[key].is_number());
        let ratio = object["ratio"].is_number() || (object["ratio"].is_null() && object["ours"] == 0.0);
        let spread = object["spread"].as_array().is_some_and(|spread| spread.len() == 2);
        if !(strings && numbers && ratio && spread) {
            return Err(format!("a value of another kind than it should be: {element}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Line, Metric};

    fn figure(ours: f64, ratio: f64) -> Figure {
        let line = Line::new("a", Metric::Allocations, "b").nothing();
        Figure { line, ours, peer: 44.0, ratio, spread: [ratio; 2], control: None }
    }

    #[test]
    fn what_is_written_is_valid() {
        let document = document(&[figure(0.0, f64::INFINITY), figure(2.0, 22.0)]);
        assert_eq!(validate(&document), Ok(()));
        let elements: Value = serde_json::from_str(&document).unwrap();
        assert_eq!((&elements[0]["ratio"], &elements[1]["ratio"]), (&Value::Null, &json!(22.0)));
    }

    #[test]
    fn what_cannot_be_a_figure_is_not() {
        assert!(validate(&document(&[figure(f64::NAN, 1.0)])).is_err());
        assert!(validate(&document(&[figure(1.0, f64::NAN)])).is_err());
        assert!(validate("{}").is_err());
        assert!(validate("[{\"case\": \"a\"}]").is_err());
    }
}
