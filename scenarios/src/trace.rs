//! What happened to a line on its way through the nodes, for `explain`.
//!
//! Parsing is generic over an `Observer`; the daemon's is `()`, which costs nothing.

use crate::expr::EvalError;

/// Somebody who watches a line go through the nodes.
pub(crate) trait Observer {
    /// Whether even nodes that cannot match are to be run, so that they can be shown.
    const WANTS_ALL: bool;

    fn stage(&mut self, name: &str);
    fn enter(&mut self, node: &str);
    fn filtered(&mut self, filter: &str, failed: Option<EvalError>);
    fn matched(&mut self, pattern: &str, matched: bool);
    fn leave(&mut self, understood: bool);
}

impl Observer for () {
    const WANTS_ALL: bool = false;

    fn stage(&mut self, _: &str) {}
    fn enter(&mut self, _: &str) {}
    fn filtered(&mut self, _: &str, _: Option<EvalError>) {}
    fn matched(&mut self, _: &str, _: bool) {}
    fn leave(&mut self, _: bool) {}
}

/// A node that was tried on a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The stage it stands in.
    pub stage: String,
    /// Its name; sub-nodes without one are `child-N`.
    pub node: String,
    /// How deep it lies in other nodes.
    pub depth: usize,
    /// Whether it understood the line.
    pub understood: bool,
    /// Why it was not even tried: the filter that did not hold, or failed with a message.
    pub filtered: Option<String>,
    /// Its pattern, and whether that matched.
    pub pattern: Option<(String, bool)>,
}

/// Every node that was tried on a line, in the order they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The steps; sub-nodes follow their parent.
    pub steps: Vec<Step>,
    stage: String,
    open: Vec<usize>,
}

/// Steps that are written down of one line.
pub(crate) const STEPS_MAX: usize = 10_000;

impl Trace {
    fn current(&mut self) -> Option<&mut Step> {
        let index = *self.open.last()?;
        self.steps.get_mut(index)
    }
}

impl Observer for Trace {
    const WANTS_ALL: bool = true;

    fn stage(&mut self, name: &str) {
        name.clone_into(&mut self.stage);
    }

    fn enter(&mut self, node: &str) {
        self.open.push(self.steps.len());
        if self.steps.len() < STEPS_MAX {
            let depth = self.open.len() - 1;
            self.steps.push(Step {
                stage: self.stage.clone(),
                node: node.to_owned(),
                depth,
                ..Step::default()
            });
        }
    }

    fn filtered(&mut self, filter: &str, failed: Option<EvalError>) {
        if let Some(step) = self.current() {
            step.filtered = Some(match failed {
                Some(error) => format!("{filter} ({error})"),
                None => filter.to_owned(),
            });
        }
    }

    fn matched(&mut self, pattern: &str, matched: bool) {
        if let Some(step) = self.current() {
            step.pattern = Some((pattern.to_owned(), matched));
        }
    }

    fn leave(&mut self, understood: bool) {
        if let Some(step) = self.current() {
            step.understood = understood;
        }
        self.open.pop();
    }
}
