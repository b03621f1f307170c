//! `contains`, `startsWith`, `endsWith`, `matches`: nil passes none of them.

use super::ast::Binary;
use super::error::EvalError;
use super::eval::Frame;
use super::node::{Node, PatternCache};
use crate::pattern::{self, Limits};

impl<'a> Frame<'a, '_> {
    /// A test of a text; nil passes none.
    #[inline]
    pub(super) fn tests_text(
        &mut self,
        of: &'a Node,
        operator: &'static str,
        test: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool, EvalError> {
        let value = self.value(of)?;
        match value.as_bytes() {
            Some(text) => {
                self.search(text.len())?;
                Ok(test(text))
            }
            None if value.is_nil() => Ok(false),
            None => Err(EvalError::operands(operator, value.kind(), "a text")),
        }
    }

    pub(super) fn text_test(
        &mut self,
        operator: Binary,
        operands: &'a [Node; 2],
    ) -> Result<bool, EvalError> {
        let (left, right) = (self.value(&operands[0])?, self.value(&operands[1])?);
        if left.is_nil() || right.is_nil() {
            return Ok(false);
        }
        let (Some(text), Some(part)) = (left.as_bytes(), right.as_bytes()) else {
            return Err(EvalError::operands(
                operator.sign(),
                left.kind(),
                right.kind(),
            ));
        };
        self.search(text.len())?;
        Ok(if operator == Binary::StartsWith {
            text.starts_with(part)
        } else if operator == Binary::EndsWith {
            text.ends_with(part)
        } else {
            memchr::memmem::find(text, part).is_some()
        })
    }

    pub(super) fn matches_computed(
        &mut self,
        operands: &'a [Node; 2],
        cache: &PatternCache,
    ) -> Result<bool, EvalError> {
        let (left, right) = (self.value(&operands[0])?, self.value(&operands[1])?);
        if left.is_nil() || right.is_nil() {
            return Ok(false);
        }
        let (Some(text), Some(pattern)) = (left.as_bytes(), right.as_bytes()) else {
            return Err(EvalError::operands("matches", left.kind(), right.kind()));
        };
        // A pattern costs more to compile than to run.
        self.work(64 + 16 * pattern.len())?;
        self.search(text.len())?;
        let pattern = std::str::from_utf8(pattern)
            .map_err(|_| EvalError::argument("matches", "the pattern is not UTF-8"))?;
        let regex = cache.get(pattern, || pattern::compile(pattern, Limits::DYNAMIC).ok());
        match regex {
            Some(regex) => Ok(regex.is_match(text)),
            None => Err(EvalError::argument(
                "matches",
                "the pattern is none, or too large",
            )),
        }
    }
}
