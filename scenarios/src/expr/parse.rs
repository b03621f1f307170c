//! Tokens into a syntax tree, by precedence climbing.
//!
//! Precedences and quirks are those of expr-lang: `not` binds tighter than `==`, `a < b < c` is a chain, `??`
//! does not mix with other operators without brackets. Depth and number of nodes are bounded, so that nothing
//! that walks the tree runs out of stack.

use super::ast::{Access, Ast, Binary, Looping, Syntax, Unary};
use super::error::ExprError;
use super::lex::{Token, lex};

/// Deepest nesting, counted in nodes and in calls of the parser. The hub's deepest expression has 14; at 100
/// nothing that walks a tree comes near the 2 MiB of stack that threads have.
pub(super) const DEPTH_MAX: usize = 100;

/// Most nodes of one expression. The hub's largest has 5,012.
pub(super) const NODES_MAX: usize = 16_384;

pub(super) fn parse(source: &str) -> Result<Ast, ExprError> {
    let tokens = lex(source)?;
    let mut parser = Parser {
        source,
        tokens,
        next: 0,
        level: 0,
        closures: 0,
    };
    let ast = parser.sequence()?;
    match parser.peek() {
        Token::End => Ok(ast),
        _ => parser.unexpected(),
    }
}

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<(usize, Token<'s>)>,
    next: usize,
    level: usize,
    /// How many closures are open: `#` means something inside of one only.
    closures: usize,
}

type Parsed = Result<Ast, ExprError>;

/// A binary operator's precedence, and what it makes.
fn operator(sign: &str) -> Option<(u16, Operator)> {
    let plain = |binary| Operator::Binary(binary);
    Some(match sign {
        "|" => (0, Operator::Pipe),
        "or" | "||" => (10, Operator::Or),
        "and" | "&&" => (15, Operator::And),
        "==" => (20, plain(Binary::Equal)),
        "!=" => (20, plain(Binary::NotEqual)),
        "<" => (20, Operator::Order(Binary::Less)),
        "<=" => (20, Operator::Order(Binary::LessOrEqual)),
        ">" => (20, Operator::Order(Binary::Greater)),
        ">=" => (20, Operator::Order(Binary::GreaterOrEqual)),
        "in" => (20, plain(Binary::In)),
        "matches" => (20, plain(Binary::Matches)),
        "contains" => (20, plain(Binary::Contains)),
        "startsWith" => (20, plain(Binary::StartsWith)),
        "endsWith" => (20, plain(Binary::EndsWith)),
        ".." => (25, plain(Binary::Range)),
        "+" => (30, plain(Binary::Add)),
        "-" => (30, plain(Binary::Subtract)),
        "*" => (60, plain(Binary::Multiply)),
        "/" => (60, plain(Binary::Divide)),
        "%" => (60, plain(Binary::Modulo)),
        "**" | "^" => (100, Operator::Power),
        "??" => (500, plain(Binary::Coalesce)),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Pipe,
    Or,
    And,
    Order(Binary),
    Binary(Binary),
    /// Binds to the right.
    Power,
}

fn negatable(sign: &str) -> bool {
    matches!(
        sign,
        "in" | "matches" | "contains" | "startsWith" | "endsWith"
    )
}

impl<'s> Parser<'s> {
    fn peek(&self) -> &Token<'s> {
        &self.tokens[self.next].1
    }

    fn at(&self) -> usize {
        self.tokens[self.next].0
    }

    fn advance(&mut self) {
        // The end is never passed.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    fn sign(&self) -> Option<&'static str> {
        match self.peek() {
            Token::Sign(sign) => Some(sign),
            Token::Int(_) | Token::Float(_) | Token::Text(_) | Token::Name(_) | Token::End => None,
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.sign() == Some(sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), ExprError> {
        if self.take(sign) {
            return Ok(());
        }
        self.error(format!("`{sign}` is missing before {}", self.found()))
    }

    fn name(&mut self) -> Result<&'s str, ExprError> {
        if let Token::Name(name) = *self.peek() {
            self.advance();
            return Ok(name);
        }
        self.error(format!("a name is missing before {}", self.found()))
    }

    fn found(&self) -> String {
        match self.peek() {
            Token::End => "the end".to_owned(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::Name(name) => format!("`{name}`"),
            Token::Text(_) => "a text".to_owned(),
            Token::Int(_) | Token::Float(_) => "a number".to_owned(),
        }
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, ExprError> {
        Err(ExprError::new(self.source, self.at(), message))
    }

    fn unexpected<T>(&self) -> Result<T, ExprError> {
        self.error(format!("did not expect {}", self.found()))
    }

    fn node(&self, at: usize, syntax: Syntax) -> Parsed {
        let (mut depth, mut size) = (1, 1);
        syntax.each_child(&mut |child| {
            depth = depth.max(1 + child.depth);
            size += child.size;
        });
        if depth > DEPTH_MAX || size > NODES_MAX {
            return Err(ExprError::new(
                self.source,
                at,
                "the expression is too large or too deeply nested",
            ));
        }
        Ok(Ast {
            at,
            depth,
            size,
            syntax,
        })
    }

    /// Expressions between semicolons.
    fn sequence(&mut self) -> Parsed {
        let at = self.at();
        let mut steps = vec![self.expression(0)?];
        while self.take(";") {
            if *self.peek() == Token::End {
                break;
            }
            steps.push(self.expression(0)?);
        }
        match (steps.len(), steps.pop()) {
            (1, Some(only)) => Ok(only),
            (_, last) => {
                steps.extend(last);
                self.node(at, Syntax::Sequence(steps))
            }
        }
    }

    fn expression(&mut self, precedence: u16) -> Parsed {
        self.level += 1;
        if self.level > DEPTH_MAX {
            return self.error("the expression is too deeply nested");
        }
        let parsed = match self.sign() {
            Some("let") if precedence == 0 => self.declaration(),
            Some("if") if precedence == 0 => self.if_else(),
            _ => self.operators(precedence),
        };
        self.level -= 1;
        parsed
    }

    fn operators(&mut self, precedence: u16) -> Parsed {
        let mut left = self.primary()?;
        let mut after_coalesce = false;
        while let Some(sign) = self.sign() {
            let negated = sign == "not"
                && matches!(&self.tokens[self.next + 1].1, Token::Sign(s) if negatable(s));
            let (at, written) = match (&self.tokens[self.next + usize::from(negated)], negated) {
                ((at, Token::Sign(written)), _) => (*at, *written),
                _ => break,
            };
            let Some((binds, operator)) =
                operator(written).filter(|(binds, _)| *binds >= precedence)
            else {
                break;
            };
            if after_coalesce
                && operator != Operator::Binary(Binary::Coalesce)
                && operator != Operator::Pipe
            {
                return self.error(format!("`??` and `{written}` need brackets to be mixed"));
            }
            self.advance();
            if negated {
                self.advance();
            }
            after_coalesce = operator == Operator::Binary(Binary::Coalesce);
            left = self.operation(left, at, binds, operator)?;
            if negated {
                left = self.node(at, Syntax::Unary(Unary::Not, Box::new(left)))?;
            }
        }
        if precedence == 0 {
            self.ternary(left)
        } else {
            Ok(left)
        }
    }

    fn operation(&mut self, left: Ast, at: usize, binds: u16, operator: Operator) -> Parsed {
        match operator {
            Operator::Pipe => {
                let at = self.at();
                let name = self.name()?;
                let call = self.call(at, name, Some(left))?;
                self.postfix(call)
            }
            Operator::Or => {
                let right = self.expression(binds + 1)?;
                let mut terms = match left {
                    Ast {
                        syntax: Syntax::Or(terms),
                        ..
                    } => terms,
                    other => vec![other],
                };
                terms.push(right);
                self.node(at, Syntax::Or(terms))
            }
            Operator::And => {
                let right = self.expression(binds + 1)?;
                let mut terms = match left {
                    Ast {
                        syntax: Syntax::And(terms),
                        ..
                    } => terms,
                    other => vec![other],
                };
                terms.push(right);
                self.node(at, Syntax::And(terms))
            }
            Operator::Order(order) => self.chain_of_orders(left, at, binds, order),
            Operator::Binary(binary) => {
                let right = self.expression(binds + 1)?;
                self.node(at, Syntax::Binary(binary, Box::new(left), Box::new(right)))
            }
            Operator::Power => {
                let right = self.expression(binds)?;
                self.node(
                    at,
                    Syntax::Binary(Binary::Power, Box::new(left), Box::new(right)),
                )
            }
        }
    }

    /// `a < b <= c` is `a < b && b <= c`.
    fn chain_of_orders(
        &mut self,
        left: Ast,
        mut at: usize,
        binds: u16,
        mut order: Binary,
    ) -> Parsed {
        let start = at;
        let mut left = left;
        let mut terms = Vec::new();
        loop {
            let right = self.expression(binds + 1)?;
            let next = self.sign().and_then(operator);
            let kept = matches!(next, Some((_, Operator::Order(_)))).then(|| right.clone());
            terms.push(self.node(at, Syntax::Binary(order, Box::new(left), Box::new(right)))?);
            let (Some(kept), Some((_, Operator::Order(next)))) = (kept, next) else {
                break;
            };
            (left, order, at) = (kept, next, self.at());
            self.advance();
        }
        match (terms.len(), terms.pop()) {
            (1, Some(only)) => Ok(only),
            (_, last) => {
                terms.extend(last);
                self.node(start, Syntax::And(terms))
            }
        }
    }

    fn ternary(&mut self, condition: Ast) -> Parsed {
        let mut condition = condition;
        while self.sign() == Some("?") {
            let at = self.at();
            self.advance();
            let then = if self.sign() == Some(":") {
                condition.clone()
            } else {
                self.expression(0)?
            };
            self.expect(":")?;
            let otherwise = self.expression(0)?;
            let parts = (Box::new(condition), Box::new(then), Box::new(otherwise));
            condition = self.node(at, Syntax::Conditional(parts.0, parts.1, parts.2))?;
        }
        Ok(condition)
    }

    fn declaration(&mut self) -> Parsed {
        self.expect("let")?;
        let at = self.at();
        let name = self.name()?;
        self.expect("=")?;
        let value = self.expression(0)?;
        self.expect(";")?;
        let rest = self.sequence()?;
        self.node(
            at,
            Syntax::Let(name.into(), Box::new(value), Box::new(rest)),
        )
    }

    fn if_else(&mut self) -> Parsed {
        let at = self.at();
        self.expect("if")?;
        let condition = self.expression(0)?;
        let then = self.block()?;
        self.expect("else")?;
        let otherwise = if self.sign() == Some("if") {
            self.expression(0)?
        } else {
            self.block()?
        };
        self.node(
            at,
            Syntax::Conditional(Box::new(condition), Box::new(then), Box::new(otherwise)),
        )
    }

    fn block(&mut self) -> Parsed {
        self.expect("{")?;
        let inner = self.sequence()?;
        self.expect("}")?;
        Ok(inner)
    }

    fn primary(&mut self) -> Parsed {
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

    fn call(&mut self, at: usize, name: &str, piped: Option<Ast>) -> Parsed {
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
    fn postfix(&mut self, of: Ast) -> Parsed {
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
