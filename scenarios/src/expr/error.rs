//! What can be wrong with an expression: with its text, once, when it is loaded; with one evaluation of it.

use std::fmt;

/// Why an expression cannot be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Byte offset into the source.
    pub at: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ExprError {
    pub(super) fn new(source: &str, at: usize, message: impl Into<String>) -> Self {
        let before = source.get(..at).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        ExprError {
            at,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            1 => write!(f, "{} (column {})", self.message, self.column),
            line => write!(f, "{} (line {line}, column {})", self.message, self.column),
        }
    }
}

impl std::error::Error for ExprError {}

/// Why one evaluation has no value. The rule that asked treats it as "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError(Box<Reason>);

/// The reason of an [`EvalError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// An operator between values that it is not defined for.
    #[error("{operator} is not defined between {left} and {right}")]
    Operands {
        /// The operator.
        operator: &'static str,
        /// Kind of the left value.
        left: &'static str,
        /// Kind of the right value.
        right: &'static str,
    },
    /// One kind of value where another one is needed.
    #[error("{place} must be {wanted}, not {found}")]
    Kind {
        /// Where.
        place: &'static str,
        /// What is needed there.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A member, element or method of something that has none of that name.
    #[error("{of} has no {name}")]
    NoMember {
        /// Kind of the value.
        of: &'static str,
        /// The name or index.
        name: Box<str>,
    },
    /// A function that can do nothing with what it was given.
    #[error("{function}: {message}")]
    Argument {
        /// The function.
        function: &'static str,
        /// What is wrong.
        message: Box<str>,
    },
    /// The bound on what one evaluation may make or look at.
    #[error("the expression makes or looks at too much")]
    TooMuch,
    /// A root that this place of a rule does not have.
    #[error("there is no {0} here")]
    NoRoot(&'static str),
}

impl EvalError {
    /// What went wrong.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.0
    }

    #[cold]
    pub(super) fn operands(
        operator: &'static str,
        left: &'static str,
        right: &'static str,
    ) -> Self {
        Reason::Operands {
            operator,
            left,
            right,
        }
        .into()
    }

    #[cold]
    pub(super) fn kind(place: &'static str, wanted: &'static str, found: &'static str) -> Self {
        Reason::Kind {
            place,
            wanted,
            found,
        }
        .into()
    }

    #[cold]
    pub(super) fn no_member(of: &'static str, name: impl Into<Box<str>>) -> Self {
        Reason::NoMember {
            of,
            name: name.into(),
        }
        .into()
    }

    #[cold]
    pub(super) fn argument(function: &'static str, message: impl Into<Box<str>>) -> Self {
        Reason::Argument {
            function,
            message: message.into(),
        }
        .into()
    }

    #[cold]
    pub(super) fn too_much() -> Self {
        Reason::TooMuch.into()
    }
}

impl From<Reason> for EvalError {
    fn from(reason: Reason) -> Self {
        EvalError(Box::new(reason))
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for EvalError {}
