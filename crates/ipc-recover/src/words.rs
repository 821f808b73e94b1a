//! Recognises text in place of messages.

/// Returns the text that `bytes` start with, if they are text: for example, the error message of a server.
pub(crate) fn words(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A character that is cut off at the end is no reason to reject the text.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    let is_text = |char: char| !char.is_control() || char.is_ascii_whitespace();
    let is_said = text.chars().filter(|char| char.is_alphanumeric()).count() >= 2;
    (is_said && text.chars().all(is_text)).then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
}
