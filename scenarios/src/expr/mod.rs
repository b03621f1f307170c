//! The expression language of rules: expr-lang as CrowdSec uses it, with CrowdSec's helpers.
//!
//! [`compile`] takes a rule's text apart once: names become slots, constants are computed, patterns compiled,
//! every unknown name is an error that says where and what was probably meant. [`Expr::eval`] then borrows the
//! event and, for the common filters, allocates nothing. What an expression changes about its event
//! ([`Effects`]) is done afterwards by whoever asked.
//!
//! Nothing in it can fail other than by an error: depth and size of an expression, and what one evaluation may
//! make and look at, are bounded. Nothing here reads a clock, a file or the network.
//!
//! Where it differs from CrowdSec on purpose: types are checked when they are used, not when a rule is loaded;
//! a map that `ParseKV` made reads nil for a key it has not, and not the empty text; `evt.Appsec` is always
//! empty; the functions that would need a database or the network are refused, those of time zones among them;
//! a bytes literal is a text; a weekday or month compares with a number; `keys` and the like are in order of the
//! keys; `.` and negated classes of patterns match bytes; a lone surrogate in JSON is an error.
//!
//! Path of an expression: `lex`, `parse` (into `ast`), `compile` and `simplify` (into `node`), `eval`.

mod access;
mod ast;
mod compile;
mod effects;
mod env;
mod error;
mod eval;
mod functions;
mod guard;
mod json_path;
mod json_text;
mod lex;
mod loops;
mod members;
mod methods;
mod node;
mod object;
mod ops;
mod parse;
mod plain;
mod simplify;
#[cfg(test)]
mod tests;
mod text_set;
mod text_test;
mod unfold;
mod value;
mod xml_path;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use self::effects::Effects;
pub use self::env::{Env, Globals, StashRead};
pub use self::error::{EvalError, ExprError, Reason};
pub use self::guard::{Guard, GuardField};
pub use self::object::Object;
pub use self::value::{Key, List, Map, Missing, Value};

use self::compile::Compiled;
use self::eval::Frame;
use self::plain::Truth;
use crate::data::DataFiles;
use crate::event::Keys;

/// A compiled expression. Cloning it is cheap.
#[derive(Clone)]
pub struct Expr {
    source: Arc<str>,
    compiled: Arc<Compiled>,
}

/// Compile an expression that may name the given roots. Keys that it names get slots; data files that it asks
/// must be there already, and are empty where they are not.
pub fn compile(
    source: &str,
    globals: Globals,
    keys: &mut Keys,
    data: &DataFiles,
) -> Result<Expr, ExprError> {
    let ast = parse::parse(source)?;
    let compiled = compile::compile(source, &ast, globals, keys, data)?;
    Ok(Expr {
        source: source.into(),
        compiled: Arc::new(compiled),
    })
}

impl Expr {
    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The value.
    pub fn eval<'a>(&'a self, env: &Env<'a>) -> Result<Value<'a>, EvalError> {
        let mut frame = Frame::new(env, self.compiled.locals);
        let value = frame.value(&self.compiled.node);
        self.finish(frame);
        value
    }

    /// The value as a bool; anything else is an error.
    #[inline]
    pub fn eval_bool(&self, env: &Env<'_>) -> Result<bool, EvalError> {
        // Most filters fail at a test of a field that they begin with.
        if let Some(event) = env.event {
            match plain::truth(&self.compiled.node, event) {
                Truth::Known(value) => return Ok(value),
                Truth::Open => {}
            }
        }
        let mut frame = Frame::new(env, self.compiled.locals);
        let value = frame.truth(&self.compiled.node);
        self.finish(frame);
        value
    }

    /// The value as a static takes it: a text as it is, numbers in decimal (a float with six places), `None`
    /// for nil. Anything else is an error, which leaves the static out.
    pub fn eval_text<'a>(&'a self, env: &Env<'a>) -> Result<Option<Cow<'a, [u8]>>, EvalError> {
        let value = self.eval(env)?;
        if value.is_nil() {
            return Ok(None);
        }
        if let Value::Int(number) = value {
            return Ok(Some(Cow::Owned(number.to_string().into_bytes())));
        }
        if let Value::Float(number) = value {
            return Ok(Some(Cow::Owned(format!("{number:.6}").into_bytes())));
        }
        let kind = value.kind();
        value
            .into_text()
            .map(Some)
            .ok_or_else(|| EvalError::kind("a static", "a text or a number", kind))
    }

    /// Whether it changes its event, so that the caller must give it [`Effects`] and apply them.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        self.compiled.has_effects
    }

    /// What must be so for it to be true, as far as that can be told without evaluating it.
    #[must_use]
    pub fn guards(&self) -> Vec<Guard> {
        guard::guards(&self.compiled.node)
    }

    #[inline]
    fn finish(&self, frame: Frame<'_, '_>) {
        if self.compiled.has_effects
            && let Some(effects) = frame.env.effects
        {
            effects.extend(frame.pending);
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({:?})", self.source)
    }
}
