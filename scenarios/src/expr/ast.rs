//! An expression as it is written, and how it is printed again.

use std::fmt;

/// One node of the syntax tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ast {
    /// Byte offset of what it is named after: its operator, its name, its first token.
    pub(super) at: usize,
    /// Levels below and including this one.
    pub(super) depth: usize,
    /// Nodes below and including this one.
    pub(super) size: usize,
    pub(super) syntax: Syntax,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Syntax {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<[u8]>),
    Name(Box<str>),
    /// The element that a closure is asked about.
    Element,
    /// `#acc`, what `reduce` has so far.
    Accumulator,
    /// `#index`, the number of the element.
    Position,
    Unary(Unary, Box<Ast>),
    Binary(Binary, Box<Ast>, Box<Ast>),
    /// Two or more, so that a long chain is flat.
    And(Vec<Ast>),
    Or(Vec<Ast>),
    Conditional(Box<Ast>, Box<Ast>, Box<Ast>),
    /// `let NAME = VALUE; REST`.
    Let(Box<str>, Box<Ast>, Box<Ast>),
    Sequence(Vec<Ast>),
    Member(Box<Ast>, Box<str>, Access),
    Index(Box<Ast>, Box<Ast>, Access),
    Slice(Box<Ast>, Option<Box<Ast>>, Option<Box<Ast>>),
    /// How far a nil that `?.` meets is passed on.
    Chain(Box<Ast>),
    Call(Box<str>, Vec<Ast>),
    Method(Box<Ast>, Box<str>, Vec<Ast>, Access),
    /// A function that takes a closure: its list, the closure, a third argument.
    Closure(Looping, Box<Ast>, Option<Box<Ast>>, Option<Box<Ast>>),
    List(Vec<Ast>),
    Map(Vec<(Ast, Ast)>),
}

impl Syntax {
    pub(super) fn each_child(&self, visit: &mut dyn FnMut(&Ast)) {
        match self {
            Syntax::Nil
            | Syntax::Bool(_)
            | Syntax::Int(_)
            | Syntax::Float(_)
            | Syntax::Text(_)
            | Syntax::Name(_)
            | Syntax::Element
            | Syntax::Accumulator
            | Syntax::Position => {}
            Syntax::Unary(_, of) | Syntax::Member(of, ..) | Syntax::Chain(of) => visit(of),
            Syntax::Binary(_, left, right)
            | Syntax::Index(left, right, _)
            | Syntax::Let(_, left, right) => {
                visit(left);
                visit(right);
            }
            Syntax::And(all)
            | Syntax::Or(all)
            | Syntax::Sequence(all)
            | Syntax::List(all)
            | Syntax::Call(_, all) => {
                all.iter().for_each(visit);
            }
            Syntax::Conditional(condition, then, otherwise) => {
                [condition, then, otherwise]
                    .into_iter()
                    .for_each(|part| visit(part));
            }
            Syntax::Slice(of, second, third) | Syntax::Closure(_, of, second, third) => {
                visit(of);
                second.iter().chain(third).for_each(|part| visit(part));
            }
            Syntax::Method(of, _, arguments, _) => {
                visit(of);
                arguments.iter().for_each(visit);
            }
            Syntax::Map(entries) => entries.iter().for_each(|(key, value)| {
                visit(key);
                visit(value);
            }),
        }
    }
}

/// What happens to a nil before a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// `.`: it is an error.
    Plain,
    /// `?.`: the chain is nil.
    Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl Binary {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessOrEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterOrEqual => ">=",
            Binary::In => "in",
            Binary::Matches => "matches",
            Binary::Contains => "contains",
            Binary::StartsWith => "startsWith",
            Binary::EndsWith => "endsWith",
            Binary::Range => "..",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Modulo => "%",
            Binary::Power => "**",
            Binary::Coalesce => "??",
        }
    }
}

/// The functions that take a closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looping {
    All,
    Any,
    One,
    None,
    Map,
    Filter,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    Count,
    Sum,
    GroupBy,
    SortBy,
    Reduce,
}

impl Looping {
    pub(super) const ALL: [(&'static str, Looping); 15] = [
        ("all", Looping::All),
        ("any", Looping::Any),
        ("one", Looping::One),
        ("none", Looping::None),
        ("map", Looping::Map),
        ("filter", Looping::Filter),
        ("find", Looping::Find),
        ("findIndex", Looping::FindIndex),
        ("findLast", Looping::FindLast),
        ("findLastIndex", Looping::FindLastIndex),
        ("count", Looping::Count),
        ("sum", Looping::Sum),
        ("groupBy", Looping::GroupBy),
        ("sortBy", Looping::SortBy),
        ("reduce", Looping::Reduce),
    ];

    pub(super) fn named(name: &str) -> Option<Looping> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, looping)| *looping)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, looping)| *looping == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether it also works without its closure.
    pub(super) fn closure_is_optional(self) -> bool {
        matches!(self, Looping::Count | Looping::Sum)
    }

    /// Whether it takes a third argument: an order, a first value.
    pub(super) fn takes_a_third(self) -> bool {
        matches!(self, Looping::SortBy | Looping::Reduce)
    }
}

/// Prints the expression with every bracket there can be, so that it reads as the same tree.
impl fmt::Display for Ast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.syntax {
            Syntax::Nil => f.write_str("nil"),
            Syntax::Bool(value) => write!(f, "{value}"),
            Syntax::Int(value) => write!(f, "{value}"),
            Syntax::Float(value) => write!(f, "{value:?}"),
            Syntax::Text(text) => write_text(f, text),
            Syntax::Name(name) => f.write_str(name),
            Syntax::Element => f.write_str("#"),
            Syntax::Accumulator => f.write_str("#acc"),
            Syntax::Position => f.write_str("#index"),
            Syntax::Unary(Unary::Not, of) => write!(f, "(not {of})"),
            Syntax::Unary(Unary::Minus, of) => write!(f, "(- {of})"),
            Syntax::Unary(Unary::Plus, of) => write!(f, "(+ {of})"),
            Syntax::Binary(operator, left, right) => {
                write!(f, "({left} {} {right})", operator.sign())
            }
            Syntax::And(terms) => write_joined(f, "(", terms, " && ", ")"),
            Syntax::Or(terms) => write_joined(f, "(", terms, " || ", ")"),
            Syntax::Conditional(condition, then, otherwise) => {
                write!(f, "({condition} ? {then} : {otherwise})")
            }
            Syntax::Let(name, value, rest) => write!(f, "(let {name} = {value}; {rest})"),
            Syntax::Sequence(steps) => write_joined(f, "(", steps, "; ", ")"),
            Syntax::Member(of, name, access) => {
                write_base(f, of)?;
                write!(f, "{}{name}", dot(*access))
            }
            Syntax::Index(of, key, access) => {
                write_base(f, of)?;
                f.write_str(if *access == Access::Optional {
                    "?.["
                } else {
                    "["
                })?;
                write!(f, "{key}]")
            }
            Syntax::Slice(of, from, to) => {
                write_base(f, of)?;
                f.write_str("[")?;
                write_option(f, from)?;
                f.write_str(":")?;
                write_option(f, to)?;
                f.write_str("]")
            }
            Syntax::Chain(of) => write!(f, "{of}"),
            Syntax::Call(name, arguments) => {
                f.write_str(name)?;
                write_joined(f, "(", arguments, ", ", ")")
            }
            Syntax::Method(of, name, arguments, access) => {
                write_base(f, of)?;
                write!(f, "{}{name}", dot(*access))?;
                write_joined(f, "(", arguments, ", ", ")")
            }
            Syntax::Closure(looping, list, closure, third) => {
                write!(f, "{}({list}", looping.name())?;
                if let Some(closure) = closure {
                    write!(f, ", {{{closure}}}")?;
                }
                if let Some(third) = third {
                    write!(f, ", {third}")?;
                }
                f.write_str(")")
            }
            Syntax::List(elements) => write_joined(f, "[", elements, ", ", "]"),
            Syntax::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    f.write_str(comma)?;
                    if let Syntax::Text(text) = &key.syntax {
                        write_text(f, text)?;
                        write!(f, ": {value}")?;
                    } else {
                        write!(f, "({key}): {value}")?;
                    }
                }
                f.write_str("}")
            }
        }
    }
}

/// What a member or element is taken of: numbers and the like need brackets there.
fn write_base(f: &mut fmt::Formatter<'_>, of: &Ast) -> fmt::Result {
    if matches!(
        of.syntax,
        Syntax::Nil | Syntax::Bool(_) | Syntax::Int(_) | Syntax::Float(_)
    ) {
        write!(f, "({of})")
    } else {
        write!(f, "{of}")
    }
}

fn dot(access: Access) -> &'static str {
    match access {
        Access::Plain => ".",
        Access::Optional => "?.",
    }
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    all: &[Ast],
    between: &str,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (i, one) in all.iter().enumerate() {
        write!(f, "{}{one}", if i == 0 { "" } else { between })?;
    }
    f.write_str(close)
}

fn write_option(f: &mut fmt::Formatter<'_>, of: &Option<Box<Ast>>) -> fmt::Result {
    match of {
        Some(of) => write!(f, "{of}"),
        None => Ok(()),
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    let Ok(text) = std::str::from_utf8(text) else {
        // Only a byte literal can hold what is not UTF-8.
        f.write_str("b\"")?;
        text.iter()
            .try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        return f.write_str("\"");
    };
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\U{:08x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
