//! Text into tokens.

use std::borrow::Cow;

use super::error::ExprError;

/// Longest expression, in bytes. The hub's longest, a list of emojis, has 41,288.
pub(super) const SOURCE_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'s> {
    Int(i64),
    Float(f64),
    Text(Box<[u8]>),
    Name(&'s str),
    /// An operator, a bracket, or a word that is one.
    Sign(&'static str),
    End,
}

/// Longer ones before those they begin with.
const SIGNS: [&str; 37] = [
    "&&", "||", "==", "!=", "<=", ">=", "**", "..", "?.", "??", "::", "(", ")", "[", "]", "{", "}",
    ",", ";", "%", "+", "-", "^", "!", "=", "*", "<", ">", "/", "|", "?", ":", ".", "#", "&", "@",
    "~",
];

const WORDS: [&str; 11] = [
    "not",
    "in",
    "or",
    "and",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "let",
    "if",
    "else",
];

/// The tokens and where each begins; the last one is [`Token::End`].
pub(super) fn lex(source: &str) -> Result<Vec<(usize, Token<'_>)>, ExprError> {
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the expression is longer than {SOURCE_BYTES_MAX} bytes");
        return Err(ExprError::new(source, 0, message));
    }
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space()?;
        let at = lexer.at;
        let token = lexer.token()?;
        let ended = token == Token::End;
        tokens.push((at, token));
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, ExprError> {
        Err(ExprError::new(self.source, at, message))
    }

    fn skip_space(&mut self) -> Result<(), ExprError> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    return self.error(self.at, "a comment without its end");
                };
                self.at += length + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token<'s>, ExprError> {
        let rest = self.rest();
        let mut chars = rest.chars();
        let Some(first) = chars.next() else {
            return Ok(Token::End);
        };
        let second = chars.next();
        match first {
            '\'' | '"' => self.text(first, unescape),
            'b' | 'B' if matches!(second, Some('\'' | '"')) => {
                self.at += 1;
                self.text(second.unwrap_or('"'), unescape_bytes)
            }
            '`' => self.raw_text(),
            '0'..='9' => self.number(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            c if is_name(c) => Ok(self.word()),
            _ => {
                let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
                    return self.error(self.at, format!("`{first}` means nothing here"));
                };
                self.at += sign.len();
                Ok(Token::Sign(sign))
            }
        }
    }

    fn word(&mut self) -> Token<'s> {
        let rest = self.rest();
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        self.at += length;
        let word = &rest[..length];
        match WORDS.iter().find(|known| **known == word) {
            Some(known) => Token::Sign(known),
            None => Token::Name(word),
        }
    }

    fn number(&mut self) -> Result<Token<'s>, ExprError> {
        let start = self.at;
        let rest = self.rest();
        let radix = match rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => 10,
        };
        let length = if radix == 10 {
            decimal_length(rest.as_bytes())
        } else {
            2 + digits(&rest.as_bytes()[2..], 36)
        };
        self.at += length;
        let digits = rest[..length].replace('_', "");
        if self.rest().starts_with(is_name) {
            return self.error(start, format!("`{digits}` runs into what follows it"));
        }
        if radix == 10 && digits.contains(['.', 'e', 'E']) {
            return match digits.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Token::Float(value)),
                Ok(_) | Err(_) => self.error(start, format!("`{digits}` is no number")),
            };
        }
        let bare = if radix == 10 {
            &digits[..]
        } else {
            &digits[2..]
        };
        match i64::from_str_radix(bare, radix) {
            Ok(value) => Ok(Token::Int(value)),
            Err(_) => self.error(
                start,
                format!("`{digits}` is no number that fits into 64 bits"),
            ),
        }
    }

    fn text(&mut self, quote: char, unescape: Unescape) -> Result<Token<'s>, ExprError> {
        let start = self.at;
        let body = &self.rest()[1..];
        let mut escaped = false;
        for (i, c) in body.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.at += i + 2;
                return match unescape(&normal_newlines(&body[..i])) {
                    Ok(text) => Ok(Token::Text(text.into())),
                    Err(offset) => self.error(start + 1 + offset, "an escape that does not exist"),
                };
            } else if c == '\n' {
                break;
            }
        }
        self.error(start, format!("a text without its closing {quote}"))
    }

    /// Between backquotes nothing is escaped but a doubled backquote.
    fn raw_text(&mut self) -> Result<Token<'s>, ExprError> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(length) = rest.find('`') else {
                return self.error(start, "a text without its closing `");
            };
            text.push_str(&rest[..length]);
            self.at += length + 1;
            if !self.rest().starts_with('`') {
                return Ok(Token::Text(text.into_bytes().into()));
            }
            text.push('`');
            self.at += 1;
        }
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphanumeric()
}

/// How long the run of digits (and `_`) is.
fn digits(text: &[u8], radix: u32) -> usize {
    text.iter()
        .take_while(|byte| **byte == b'_' || char::from(**byte).is_digit(radix))
        .count()
}

fn decimal_length(text: &[u8]) -> usize {
    let mut length = digits(text, 10);
    // `1..5` is a range.
    if text.get(length) == Some(&b'.') && text.get(length + 1) != Some(&b'.') {
        length += 1 + digits(&text[length + 1..], 10);
    }
    if matches!(text.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(&text[length + 1 + sign..], 10);
        length += 1 + sign + exponent;
    }
    length
}

fn normal_newlines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The bytes that a text between quotes means, or where its bad escape is.
type Unescape = fn(&str) -> Result<Vec<u8>, usize>;

fn unescape(text: &str) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(length) = text[at..].find('\\') {
        out.extend_from_slice(&text.as_bytes()[at..at + length]);
        at += length;
        let (c, taken) = escaped_char(&text[at + 1..]).ok_or(at)?;
        let mut encoded = [0; 4];
        out.extend_from_slice(c.encode_utf8(&mut encoded).as_bytes());
        at += 1 + taken;
    }
    out.extend_from_slice(&text.as_bytes()[at..]);
    Ok(out)
}

/// As [`unescape`], but `\x` and octal digits say a byte and not a character.
fn unescape_bytes(text: &str) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(length) = text[at..].find('\\') {
        out.extend_from_slice(&text.as_bytes()[at..at + length]);
        at += length;
        if text[at + 1..].starts_with(['u', 'U']) {
            return Err(at);
        }
        let (c, taken) = escaped_char(&text[at + 1..]).ok_or(at)?;
        out.push(u8::try_from(u32::from(c)).map_err(|_| at)?);
        at += 1 + taken;
    }
    out.extend_from_slice(&text.as_bytes()[at..]);
    Ok(out)
}

/// What stands for the text behind a backslash, and how many bytes of it.
fn escaped_char(text: &str) -> Option<(char, usize)> {
    let simple = |c| Some((c, 1));
    match text.bytes().next()? {
        b'a' => simple('\x07'),
        b'b' => simple('\x08'),
        b'f' => simple('\x0C'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\x0B'),
        c @ (b'\\' | b'\'' | b'"' | b'`' | b'?') => simple(char::from(c)),
        b'x' | b'X' => coded(text, 1, 2, 16),
        b'u' if text[1..].starts_with('{') => {
            let digits = text[2..].find('}').filter(|digits| *digits <= 6)?;
            coded(text, 2, digits, 16).map(|(c, taken)| (c, taken + 1))
        }
        b'u' => coded(text, 1, 4, 16),
        b'U' => coded(text, 1, 8, 16),
        b'0'..=b'3' => coded(text, 0, 3, 8),
        _ => None,
    }
}

fn coded(text: &str, start: usize, length: usize, radix: u32) -> Option<(char, usize)> {
    let digits = text.get(start..start + length)?;
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    Some((c, start + length))
}
