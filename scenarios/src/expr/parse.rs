//! Tokens into a syntax tree, by precedence climbing.
//!
//! Precedences and quirks are those of expr-lang: `not` binds tighter than `==`, `a < b < c` is a chain, `??`
//! does not mix with other operators without brackets. Depth and number of nodes are bounded, so that nothing
//! that walks the tree runs out of stack.

mod operand;

use super::ast::{Ast, Binary, Syntax, Unary};
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
    if *parser.peek() == Token::End {
        Ok(ast)
    } else {
        parser.unexpected()
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
}
