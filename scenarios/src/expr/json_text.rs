//! Values into JSON as Go writes it: keys in order, `<`, `>` and `&` escaped.

use super::access::Elements;
use super::error::EvalError;
use super::eval::{Frame, MADE_BYTES_MAX};
use super::ops::{self, Number};
use super::value::{Key, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Compact,
    /// Two spaces for each level.
    Indented,
}

pub(super) fn write<'a>(
    frame: &mut Frame<'a, '_>,
    value: &Value<'a>,
    layout: Layout,
) -> Result<Vec<u8>, EvalError> {
    let mut writer = Writer {
        out: Vec::new(),
        layout,
    };
    writer.value(frame, value, 0)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    layout: Layout,
}

impl Writer {
    /// Recursion ends at the nesting that values may have.
    fn value<'a>(
        &mut self,
        frame: &mut Frame<'a, '_>,
        value: &Value<'a>,
        level: usize,
    ) -> Result<(), EvalError> {
        frame.work(1)?;
        if self.out.len() > MADE_BYTES_MAX {
            return Err(EvalError::too_much());
        }
        if let Some(text) = value.as_bytes() {
            string(&mut self.out, text);
        } else if let Some(elements) = Elements::of(value) {
            self.list(frame, &elements, level)?;
        } else if let Some(entries) = ops::entries(value) {
            self.members(frame, entries, level)?;
        } else if let Some(number) = Number::of(value) {
            match number {
                Number::Int(value) => self.out.extend_from_slice(value.to_string().as_bytes()),
                Number::Float(value) if value.is_finite() => {
                    self.out.extend_from_slice(float(value).as_bytes())
                }
                Number::Float(_) => {
                    return Err(EvalError::argument(
                        "toJSON",
                        "JSON has no infinity and no NaN",
                    ));
                }
            }
        } else if let Value::Bool(value) = value {
            self.out.extend_from_slice(value.to_string().as_bytes());
        } else if let Value::Duration(duration) = value {
            self.out
                .extend_from_slice(duration.nanos().to_string().as_bytes());
        } else if let Value::Time(time) = value {
            string(&mut self.out, time.to_string().as_bytes());
        } else if value.is_nil() {
            self.out.extend_from_slice(b"null");
        } else {
            return Err(EvalError::kind(
                "toJSON",
                "given a plain value",
                value.kind(),
            ));
        }
        Ok(())
    }

    fn list<'a>(
        &mut self,
        frame: &mut Frame<'a, '_>,
        all: &Elements<'a>,
        level: usize,
    ) -> Result<(), EvalError> {
        self.out.push(b'[');
        for (i, element) in all.iter().enumerate() {
            self.separate(i, level + 1);
            self.value(frame, &element, level + 1)?;
        }
        self.close(all.len(), level);
        self.out.push(b']');
        Ok(())
    }

    fn members<'a>(
        &mut self,
        frame: &mut Frame<'a, '_>,
        entries: std::collections::BTreeMap<Key, Value<'a>>,
        level: usize,
    ) -> Result<(), EvalError> {
        self.out.push(b'{');
        let count = entries.len();
        for (i, (key, value)) in entries.into_iter().enumerate() {
            self.separate(i, level + 1);
            match &key {
                Key::Text(text) => string(&mut self.out, text),
                Key::Int(number) => string(&mut self.out, number.to_string().as_bytes()),
                Key::Nil | Key::Bool(_) | Key::Float(_) => {
                    return Err(EvalError::argument(
                        "toJSON",
                        "a key of a map is neither text nor whole number",
                    ));
                }
            }
            self.out.push(b':');
            if self.layout == Layout::Indented {
                self.out.push(b' ');
            }
            self.value(frame, &value, level + 1)?;
        }
        self.close(count, level);
        self.out.push(b'}');
        Ok(())
    }

    fn separate(&mut self, place: usize, level: usize) {
        if place > 0 {
            self.out.push(b',');
        }
        self.line(level);
    }

    fn close(&mut self, count: usize, level: usize) {
        if count > 0 {
            self.line(level);
        }
    }

    fn line(&mut self, level: usize) {
        if self.layout == Layout::Indented {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', 2 * level));
        }
    }
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '\u{8}' => out.extend(b"\\b"),
            '\u{C}' => out.extend(b"\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend(format!("\\u{:04x}", u32::from(c)).bytes())
            }
            c if u32::from(c) < 0x20 => out.extend(format!("\\u{:04x}", u32::from(c)).bytes()),
            c => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out.push(b'"');
}

/// A number in full unless it is very small or very large.
fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if exponent.starts_with('-') => format!("{digits}e{exponent}"),
            Some((digits, exponent)) => format!("{digits}e+{exponent}"),
            None => text,
        };
    }
    value.to_string()
}
