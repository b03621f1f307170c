//! Calls: functions, and those that are more than a computation.

use super::super::ast::{Ast, Looping, Syntax};
use super::super::error::ExprError;
use super::super::functions::{self, Function};
use super::super::members::Member;
use super::super::node::{Node, Unfold};
use super::super::simplify;
use super::{Compiler, Made};

impl Compiler<'_> {
    pub(super) fn call(&mut self, at: usize, name: &str, arguments: &[Ast]) -> Made {
        if let Some(made) = self.special_call(at, name, arguments) {
            return made;
        }
        if let Some(why) = functions::refused(name) {
            return self.error(at, format!("{name} cannot be used here: {why}"));
        }
        let Some(function) = functions::find(name) else {
            let known = functions::names().chain(Looping::ALL.iter().map(|(name, _)| *name));
            return self.unknown(at, "function", name, known);
        };
        self.check_arity(at, function, arguments.len())?;
        Ok(simplify::fold(Node::Call(function, self.all(arguments)?)))
    }

    fn check_arity(&self, at: usize, function: &Function, given: usize) -> Result<(), ExprError> {
        let (least, most) = function.arity;
        if (least..=most).contains(&given) {
            return Ok(());
        }
        let wanted = match (least, most) {
            (least, most) if least == most => least.to_string(),
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        let noun = if wanted == "1" {
            "argument"
        } else {
            "arguments"
        };
        self.error(
            at,
            format!("{} takes {wanted} {noun}, not {given}", function.name),
        )
    }

    /// Functions that are more than a computation: they change the event, or ask a file.
    fn special_call(&mut self, at: usize, name: &str, arguments: &[Ast]) -> Option<Made> {
        if let Some(unfold) = Unfold::named(name) {
            return Some(self.unfold(at, name, unfold, arguments));
        }
        Some(match (name, arguments) {
            ("File", [file]) => self
                .file(file)
                .map(|file| Node::Texts(self.data.texts(file))),
            ("FileMap", [file]) => self
                .file(file)
                .map(|file| Node::Rows(self.data.lookup(file))),
            ("RegexpInFile", [text, file]) => self.boxed(text).and_then(|text| {
                Ok(Node::MatchesFile(
                    text,
                    self.data.patterns(self.file(file)?),
                ))
            }),
            ("LookupFile", [text, file]) => self
                .boxed(text)
                .and_then(|text| Ok(Node::Tag(text, self.data.lookup(self.file(file)?)))),
            ("File" | "FileMap", _) => self.error(at, format!("{name} takes the name of a file")),
            ("RegexpInFile" | "LookupFile", _) => {
                self.error(at, format!("{name} takes a text and the name of a file"))
            }
            _ => return None,
        })
    }

    /// The name of a data file must be known when the rules are loaded.
    fn file<'f>(&self, ast: &'f Ast) -> Result<&'f str, ExprError> {
        let Syntax::Text(name) = &ast.syntax else {
            return self.error(ast.at, "the name of a data file must be written out");
        };
        std::str::from_utf8(name).or_else(|_| self.error(ast.at, "the name is not UTF-8"))
    }

    fn unfold(&mut self, at: usize, name: &str, unfold: Unfold, arguments: &[Ast]) -> Made {
        let [text, target, key] = arguments else {
            return self.error(
                at,
                format!("{name} takes a text, evt.Unmarshaled and a key"),
            );
        };
        let Node::Member(Member::Unmarshaled) = self.node(target)? else {
            return self.error(target.at, format!("{name} writes to evt.Unmarshaled only"));
        };
        Ok(Node::Unfold(unfold, self.pair(text, key)?))
    }
}
