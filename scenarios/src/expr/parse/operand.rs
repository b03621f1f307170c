//! What operators stand between: literals, names, calls, brackets, and the members behind them.

use super::super::ast::{Access, Ast, Looping, Syntax, Unary};
use super::super::error::ExprError;
use super::super::lex::Token;
use super::{Parsed, Parser};

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed {
        let at = self.at();
        let unary = match self.sign() {
            Some("not" | "!") => Some((50, Unary::Not)),
            Some("-") => Some((90, Unary::Minus)),
            Some("+") => Some((90, Unary::Plus)),
            _ => None,
        };
        if let Some((binds, unary)) = unary {
            self.advance();
            let of = self.expression(binds)?;
            return self.node(at, Syntax::Unary(unary, Box::new(of)));
        }
        match self.sign() {
            Some("(") => {
                self.advance();
                let inner = self.sequence()?;
                self.expect(")")?;
                // Brackets end a chain of `&&`: `(a && b) && c` is the same anyway, so they need no node.
                self.postfix(inner)
            }
            Some("#" | ".") if self.closures > 0 => {
                let syntax = self.element()?;
                let element = self.node(at, syntax)?;
                self.postfix(element)
            }
            Some("#" | ".") => {
                self.error("`#` and `.member` mean something inside of a closure only")
            }
            Some("::") => {
                self.advance();
                let name = self.name()?;
                let call = self.call(at, name, None)?;
                self.postfix(call)
            }
            Some("[") => {
                let list = self.list(at)?;
                self.postfix(list)
            }
            Some("{") => {
                let map = self.map(at)?;
                self.postfix(map)
            }
            _ => self.literal(at),
        }
    }

    /// `#`, `#acc`, `#index`; before `.member` nothing needs to stand.
    fn element(&mut self) -> Result<Syntax, ExprError> {
        if !self.take("#") {
            return Ok(Syntax::Element);
        }
        match *self.peek() {
            Token::Name("acc") => {
                self.advance();
                Ok(Syntax::Accumulator)
            }
            Token::Name("index") => {
                self.advance();
                Ok(Syntax::Position)
            }
            Token::Name(name) => {
                self.error(format!("there is no `#{name}`, only #, #acc and #index"))
            }
            Token::Int(_) | Token::Float(_) | Token::Text(_) | Token::Sign(_) | Token::End => {
                Ok(Syntax::Element)
            }
        }
    }

    fn literal(&mut self, at: usize) -> Parsed {
        let syntax = match self.peek().clone() {
            Token::Int(value) => Syntax::Int(value),
            Token::Float(value) => Syntax::Float(value),
            Token::Name("true") => Syntax::Bool(true),
            Token::Name("false") => Syntax::Bool(false),
            Token::Name("nil") => Syntax::Nil,
            Token::Text(text) => {
                self.advance();
                let text = self.node(at, Syntax::Text(text))?;
                return self.postfix(text);
            }
            Token::Name(name) => {
                self.advance();
                let node = if self.sign() == Some("(") {
                    self.call(at, name, None)?
                } else {
                    self.node(at, Syntax::Name(name.into()))?
                };
                return self.postfix(node);
            }
            Token::Sign(_) | Token::End => return self.unexpected(),
        };
        // A number, a boolean or nil has no members.
        self.advance();
        self.node(at, syntax)
    }

    pub(super) fn call(&mut self, at: usize, name: &str, piped: Option<Ast>) -> Parsed {
        if let Some(looping) = Looping::named(name) {
            return self.closure_call(at, looping, piped);
        }
        let arguments = self.arguments(piped)?;
        self.node(at, Syntax::Call(name.into(), arguments))
    }

    fn arguments(&mut self, first: Option<Ast>) -> Result<Vec<Ast>, ExprError> {
        let mut arguments: Vec<Ast> = first.into_iter().collect();
        self.expect("(")?;
        while !self.take(")") {
            arguments.push(self.expression(0)?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(arguments)
    }

    fn closure_call(&mut self, at: usize, looping: Looping, piped: Option<Ast>) -> Parsed {
        self.expect("(")?;
        let list = match piped {
            Some(list) => list,
            None => {
                let list = self.expression(0)?;
                if self.sign() != Some(")") {
                    self.expect(",")?;
                }
                list
            }
        };
        let closure = match self.sign() {
            Some(")") if looping.closure_is_optional() => None,
            Some(")") => return self.error(format!("{} needs a closure", looping.name())),
            _ => Some(Box::new(self.closure()?)),
        };
        let mut third = None;
        if closure.is_some()
            && self.take(",")
            && looping.takes_a_third()
            && self.sign() != Some(")")
        {
            third = Some(Box::new(self.expression(0)?));
            self.take(",");
        }
        self.expect(")")?;
        self.node(at, Syntax::Closure(looping, Box::new(list), closure, third))
    }

    fn closure(&mut self) -> Parsed {
        self.closures += 1;
        let parsed = if self.sign() == Some("{") {
            self.block()
        } else {
            self.expression(0)
        };
        self.closures -= 1;
        parsed
    }

    fn list(&mut self, at: usize) -> Parsed {
        self.expect("[")?;
        let mut elements = Vec::new();
        while !self.take("]") {
            elements.push(self.expression(0)?);
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
        }
        self.node(at, Syntax::List(elements))
    }

    fn map(&mut self, at: usize) -> Parsed {
        self.expect("{")?;
        let mut entries = Vec::new();
        while !self.take("}") {
            let key = self.map_key()?;
            self.expect(":")?;
            entries.push((key, self.expression(0)?));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        self.node(at, Syntax::Map(entries))
    }

    fn map_key(&mut self) -> Parsed {
        let at = self.at();
        let text = match self.peek().clone() {
            Token::Name(name) => name.as_bytes().into(),
            Token::Text(text) => text,
            Token::Int(number) => number.to_string().into_bytes().into(),
            Token::Float(number) => number.to_string().into_bytes().into(),
            Token::Sign("(") => return self.expression(0),
            Token::Sign(_) | Token::End => {
                return self.error(
                    "a key of a map is a text, a number, a name, or an expression in brackets",
                );
            }
        };
        self.advance();
        self.node(at, Syntax::Text(text))
    }

    /// Members, elements, slices and method calls behind `of`.
    pub(super) fn postfix(&mut self, of: Ast) -> Parsed {
        let mut of = of;
        loop {
            let at = self.at();
            match self.sign() {
                Some(".") => {
                    self.advance();
                    of = self.member(of, Access::Plain)?;
                }
                Some("?.") => {
                    self.advance();
                    if self.sign() == Some("[") {
                        self.advance();
                        of = self.index(of, at, Access::Optional)?;
                    } else {
                        of = self.member(of, Access::Optional)?;
                    }
                }
                Some("[") => {
                    self.advance();
                    of = self.index(of, at, Access::Plain)?;
                }
                _ => return Ok(of),
            }
        }
    }

    fn member(&mut self, of: Ast, access: Access) -> Parsed {
        let at = self.at();
        let name: Box<str> = match *self.peek() {
            Token::Name(name) => name.into(),
            // Words that are operators are names as well here.
            Token::Sign(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => word.into(),
            Token::Sign(_) | Token::Int(_) | Token::Float(_) | Token::Text(_) | Token::End => {
                return self.error(format!(
                    "the name of a member is missing before {}",
                    self.found()
                ));
            }
        };
        self.advance();
        // A member of a chain belongs to the chain: a nil in front skips it too.
        let (of, chained) = match of {
            Ast {
                syntax: Syntax::Chain(inner),
                ..
            } => (*inner, true),
            other => (other, false),
        };
        let syntax = if self.sign() == Some("(") {
            let arguments = self.arguments(None)?;
            Syntax::Method(Box::new(of), name, arguments, access)
        } else {
            Syntax::Member(Box::new(of), name, access)
        };
        let node = self.node(at, syntax)?;
        if chained || access == Access::Optional {
            self.node(at, Syntax::Chain(Box::new(node)))
        } else {
            Ok(node)
        }
    }

    /// Behind the `[`.
    fn index(&mut self, of: Ast, at: usize, access: Access) -> Parsed {
        let from = if self.sign() == Some(":") {
            None
        } else {
            Some(Box::new(self.expression(0)?))
        };
        if self.take(":") {
            let to = if self.sign() == Some("]") {
                None
            } else {
                Some(Box::new(self.expression(0)?))
            };
            self.expect("]")?;
            return self.node(at, Syntax::Slice(Box::new(of), from, to));
        }
        self.expect("]")?;
        let Some(key) = from else {
            return self.unexpected();
        };
        let node = self.node(at, Syntax::Index(Box::new(of), key, access))?;
        match access {
            Access::Plain => Ok(node),
            Access::Optional => self.node(at, Syntax::Chain(Box::new(node))),
        }
    }
}
