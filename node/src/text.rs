//! Text that others wrote, made fit for a terminal.

use std::borrow::Cow;

/// Whether a character can steer a terminal or turn the direction of writing.
pub(crate) fn steers(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    character.is_control() || turns
}

/// A text that can be shown on a terminal: whatever could steer it is written as `\x1b` or `\u{202e}`.
#[must_use]
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match (character, steers(character)) {
            ('\t', _) => safe.push(' '),
            (_, false) => safe.push(character),
            (_, true) => safe.extend(character.escape_default()),
        }
    }
    Cow::Owned(safe)
}
