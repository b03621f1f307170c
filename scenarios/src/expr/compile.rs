//! A syntax tree into nodes: names are resolved, constants folded, patterns compiled. Every name that does not
//! exist is an error here, never a value later.

use memchr::memmem::Finder;

mod call;

use super::ast::{Access, Ast, Binary, Looping, Syntax, Unary};
use super::env::{Globals, Root};
use super::error::ExprError;
use super::functions;
use super::members::{EVENT_METHODS, LineMember, Member};
use super::node::{Loop, Node, PatternCache, Unfold};
use super::simplify;
use super::value::Value;
use crate::data::DataFiles;
use crate::event::{Keys, Namespace};
use crate::nearest;
use crate::pattern::{self, Limits};

/// What the compiler makes.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) node: Node,
    /// How many locals an evaluation needs.
    pub(super) locals: usize,
    /// Whether it changes its event.
    pub(super) has_effects: bool,
}

pub(super) fn compile(
    source: &str,
    ast: &Ast,
    globals: Globals,
    keys: &mut Keys,
    data: &DataFiles,
) -> Result<Compiled, ExprError> {
    let (mut sets_fields, mut unfolds) = (false, false);
    find_effects(ast, &mut sets_fields, &mut unfolds);
    let mut compiler = Compiler {
        source,
        globals,
        keys,
        data,
        names: Vec::new(),
        loops: Vec::new(),
        locals: 0,
        sets_fields,
        unfolds,
    };
    let node = compiler.node(ast)?;
    Ok(Compiled {
        node,
        locals: compiler.locals,
        has_effects: sets_fields || unfolds,
    })
}

fn find_effects(ast: &Ast, sets_fields: &mut bool, unfolds: &mut bool) {
    if let Syntax::Method(_, name, ..) = &ast.syntax {
        *sets_fields |= matches!(&**name, "SetMeta" | "SetParsed");
    } else if let Syntax::Call(name, _) = &ast.syntax {
        *unfolds |= Unfold::named(name).is_some();
    }
    ast.syntax
        .each_child(&mut |child| find_effects(child, sets_fields, unfolds));
}

struct Compiler<'c> {
    source: &'c str,
    globals: Globals,
    keys: &'c mut Keys,
    data: &'c DataFiles,
    /// Variables of `let` that are in sight, innermost last.
    names: Vec<(Box<str>, usize)>,
    /// Locals of the closures that are open: element, position, accumulator.
    loops: Vec<[usize; 3]>,
    locals: usize,
    sets_fields: bool,
    unfolds: bool,
}

type Made = Result<Node, ExprError>;

impl Compiler<'_> {
    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, ExprError> {
        Err(ExprError::new(self.source, at, message))
    }

    /// An error about a name, with the nearest right one.
    fn unknown<'n, T>(
        &self,
        at: usize,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Result<T, ExprError> {
        match nearest(name, known) {
            Some(near) => self.error(at, format!("unknown {what} {name}, did you mean {near}?")),
            None => self.error(at, format!("unknown {what} {name}")),
        }
    }

    fn local(&mut self) -> usize {
        self.locals += 1;
        self.locals - 1
    }

    fn boxed(&mut self, ast: &Ast) -> Result<Box<Node>, ExprError> {
        self.node(ast).map(Box::new)
    }

    fn all(&mut self, all: &[Ast]) -> Result<Box<[Node]>, ExprError> {
        all.iter().map(|ast| self.node(ast)).collect()
    }

    fn pair(&mut self, left: &Ast, right: &Ast) -> Result<Box<[Node; 2]>, ExprError> {
        Ok(Box::new([self.node(left)?, self.node(right)?]))
    }

    fn node(&mut self, ast: &Ast) -> Made {
        Ok(match &ast.syntax {
            Syntax::Nil => Node::Const(Value::Nil),
            Syntax::Bool(value) => Node::Const(Value::Bool(*value)),
            Syntax::Int(value) => Node::Const(Value::Int(*value)),
            Syntax::Float(value) => Node::Const(Value::Float(*value)),
            Syntax::Text(text) => Node::Text(text.clone()),
            Syntax::Name(name) => self.name(ast.at, name)?,
            Syntax::Element => self.of_loop(ast.at, 0)?,
            Syntax::Position => self.of_loop(ast.at, 1)?,
            Syntax::Accumulator => self.of_loop(ast.at, 2)?,
            Syntax::Unary(Unary::Not, of) => simplify::not(self.node(of)?),
            Syntax::Unary(Unary::Minus, of) => simplify::fold(Node::Negative(self.boxed(of)?)),
            Syntax::Unary(Unary::Plus, of) => simplify::fold(Node::Plus(self.boxed(of)?)),
            Syntax::Binary(operator, left, right) => self.binary(ast.at, *operator, left, right)?,
            Syntax::And(terms) => Node::And(self.all(terms)?),
            Syntax::Or(terms) => simplify::or(self.all(terms)?),
            Syntax::Conditional(condition, then, otherwise) => Node::Conditional(Box::new([
                self.node(condition)?,
                self.node(then)?,
                self.node(otherwise)?,
            ])),
            Syntax::Let(name, value, rest) => {
                let value = self.node(value)?;
                let local = self.declare(ast.at, name)?;
                let rest = self.node(rest)?;
                self.names.pop();
                Node::Let(local, Box::new([value, rest]))
            }
            Syntax::Sequence(steps) => Node::Sequence(self.all(steps)?),
            Syntax::Member(of, name, access) => self.member(of, name, *access, ast.at)?,
            Syntax::Index(of, key, access) => self.index(of, key, *access, ast.at)?,
            Syntax::Slice(of, from, to) => {
                let mut bound = |part: &Option<Box<Ast>>| {
                    part.as_ref().map(|part| self.boxed(part)).transpose()
                };
                let (from, to) = (bound(from)?, bound(to)?);
                Node::Slice(self.boxed(of)?, from, to)
            }
            Syntax::Chain(of) => Node::Chain(self.boxed(of)?),
            Syntax::Call(name, arguments) => self.call(ast.at, name, arguments)?,
            Syntax::Method(of, name, arguments, access) => {
                self.method(ast.at, of, name, arguments, *access)?
            }
            Syntax::Closure(looping, list, closure, third) => {
                self.closure(*looping, list, closure.as_deref(), third.as_deref())?
            }
            Syntax::List(elements) => simplify::list(self.all(elements)?),
            Syntax::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((self.node(key)?, self.node(value)?)));
                Node::Map(entries.collect::<Result<_, ExprError>>()?)
            }
        })
    }

    fn declare(&mut self, at: usize, name: &str) -> Result<usize, ExprError> {
        if functions::find(name).is_some() || Looping::named(name).is_some() {
            return self.error(at, format!("{name} is a function and cannot be a variable"));
        }
        if self.globals.roots().iter().any(|(root, _)| *root == name)
            || self.names.iter().any(|(n, _)| **n == *name)
        {
            return self.error(at, format!("{name} has a meaning already"));
        }
        let local = self.local();
        self.names.push((name.into(), local));
        Ok(local)
    }

    fn name(&mut self, at: usize, name: &str) -> Made {
        if let Some((_, local)) = self.names.iter().rev().find(|(known, _)| **known == *name) {
            return Ok(Node::Local(*local));
        }
        if let Some((_, root)) = self
            .globals
            .roots()
            .iter()
            .find(|(known, _)| *known == name)
        {
            return Ok(if *root == Root::Event {
                Node::Event
            } else {
                Node::Root(*root)
            });
        }
        if functions::find(name).is_some() || Looping::named(name).is_some() {
            return self.error(at, format!("{name} is a function: write {name}(...)"));
        }
        let variables = self.names.iter().map(|(name, _)| &**name);
        self.unknown(
            at,
            "name",
            name,
            self.globals
                .roots()
                .iter()
                .map(|(root, _)| *root)
                .chain(variables),
        )
    }

    fn of_loop(&self, at: usize, which: usize) -> Made {
        match self.loops.last() {
            Some(locals) => Ok(Node::Local(locals[which])),
            None => self.error(at, "`#` means something inside of a closure only"),
        }
    }

    fn binary(&mut self, at: usize, operator: Binary, left: &Ast, right: &Ast) -> Made {
        if let (Binary::In, Syntax::Text(name), Syntax::Name(env)) =
            (operator, &left.syntax, &right.syntax)
            && **env == *"$env"
        {
            let known = self
                .globals
                .roots()
                .iter()
                .any(|(root, _)| root.as_bytes() == &**name);
            return Ok(Node::Const(Value::Bool(known)));
        }
        let [left, right] = *self.pair(left, right)?;
        Ok(match (operator, right) {
            (Binary::Equal, right) => simplify::equal(left, right),
            (Binary::NotEqual, right) => simplify::not(simplify::equal(left, right)),
            (
                Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual,
                right,
            ) => simplify::fold(Node::Order(operator, Box::new([left, right]))),
            (Binary::In, right) => simplify::contained(left, right),
            (Binary::Matches, Node::Text(pattern)) => {
                let pattern = String::from_utf8_lossy(&pattern);
                match pattern::compile(&pattern, Limits::RULE) {
                    Ok(regex) => Node::Matches(Box::new(left), Box::new(regex)),
                    Err(bad) => return self.error(at, bad.to_string()),
                }
            }
            (Binary::Matches, right) => {
                Node::MatchesComputed(Box::new([left, right]), PatternCache::default())
            }
            (Binary::Contains, Node::Text(text)) => {
                Node::Contains(Box::new(left), Box::new(Finder::new(&text).into_owned()))
            }
            (Binary::StartsWith, Node::Text(text)) => Node::StartsWith(Box::new(left), text),
            (Binary::EndsWith, Node::Text(text)) => Node::EndsWith(Box::new(left), text),
            (Binary::Contains | Binary::StartsWith | Binary::EndsWith, right) => {
                Node::TextTest(operator, Box::new([left, right]))
            }
            (Binary::Range, right) => Node::Range(Box::new([left, right])),
            (Binary::Coalesce, right) => Node::Coalesce(Box::new([left, right])),
            (
                Binary::Add
                | Binary::Subtract
                | Binary::Multiply
                | Binary::Divide
                | Binary::Modulo
                | Binary::Power,
                right,
            ) => simplify::fold(Node::Arithmetic(operator, Box::new([left, right]))),
        })
    }

    fn member(&mut self, of: &Ast, name: &str, access: Access, at: usize) -> Made {
        if let Syntax::Name(env) = &of.syntax
            && **env == *"$env"
        {
            return self.name(at, name);
        }
        let of = self.node(of)?;
        self.member_of(of, name, access, at)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "members of anything but the event are looked up when they are read"
    )]
    fn member_of(&mut self, of: Node, name: &str, access: Access, at: usize) -> Made {
        match of {
            Node::Event => match Member::named(name) {
                Some(member) => Ok(Node::Member(member)),
                None => self.unknown(at, "member of evt:", name, Member::names()),
            },
            Node::Member(Member::Line) => match LineMember::named(name) {
                Some(member) => Ok(Node::LineMember(member)),
                None => self.unknown(at, "member of evt.Line:", name, LineMember::names()),
            },
            Node::Member(Member::Unmarshaled) if self.unfolds => {
                Ok(Node::PendingUnmarshaled(name.into()))
            }
            Node::Member(Member::Unmarshaled) => Ok(Node::Unmarshaled(name.into())),
            Node::LineMember(LineMember::Labels) => Ok(Node::Label(name.into())),
            Node::Member(member) if member.namespace().is_some() => {
                let namespace = member.namespace().unwrap_or(Namespace::Parsed);
                let slot = self
                    .keys
                    .intern(namespace, name)
                    .map_err(|full| ExprError::new(self.source, at, full.to_string()))?;
                if self.sets_fields {
                    Ok(Node::PendingField(namespace, name.into(), slot))
                } else {
                    Ok(Node::Field(slot))
                }
            }
            other => Ok(Node::Get(Box::new(other), name.into(), access)),
        }
    }

    fn index(&mut self, of: &Ast, key: &Ast, access: Access, at: usize) -> Made {
        if let Syntax::Text(name) = &key.syntax
            && let Ok(name) = std::str::from_utf8(name)
        {
            return self.member(of, name, access, at);
        }
        Ok(Node::Index(self.pair(of, key)?, access))
    }

    fn method(
        &mut self,
        at: usize,
        of: &Ast,
        name: &str,
        arguments: &[Ast],
        access: Access,
    ) -> Made {
        let of = self.node(of)?;
        if let Node::Event = of {
            let namespace = match name {
                "SetMeta" => Some(Namespace::Meta),
                "SetParsed" => Some(Namespace::Parsed),
                _ if EVENT_METHODS.contains(&name) => None,
                _ => return self.unknown(at, "method of evt:", name, EVENT_METHODS),
            };
            match (namespace, arguments) {
                (Some(namespace), [key, value]) => {
                    return Ok(Node::SetField(namespace, self.pair(key, value)?));
                }
                (Some(_), _) => {
                    return self.error(at, format!("evt.{name} takes a key and a value"));
                }
                (None, _) => {}
            }
        }
        Ok(Node::Method(
            Box::new(of),
            name.into(),
            self.all(arguments)?,
            access,
        ))
    }

    fn closure(
        &mut self,
        looping: Looping,
        list: &Ast,
        closure: Option<&Ast>,
        third: Option<&Ast>,
    ) -> Made {
        let list = self.node(list)?;
        let third = third.map(|third| self.node(third)).transpose()?;
        let locals = [self.local(), self.local(), self.local()];
        self.loops.push(locals);
        let closure = closure.map(|closure| self.node(closure)).transpose()?;
        self.loops.pop();
        let [element, position, accumulator] = locals;
        Ok(simplify::any_text(Loop {
            looping,
            list,
            closure,
            third,
            element,
            position,
            accumulator,
        }))
    }
}
