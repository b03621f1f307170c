//! Where reading stands in every source. It is saved together with what the engine made of the lines so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::daemon::tail::checkpoint::PathPosition;

/// Positions of all sources, after the lines that the engine has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// The patterns that were followed. A file that one of them matches today for the first time is new and
    /// read from its beginning.
    pub patterns: Vec<String>,
    /// By the path that is followed.
    pub files: BTreeMap<String, PathPosition>,
    /// Cursor by name of the journal source.
    pub journals: BTreeMap<String, String>,
}

/// What changes in the positions once the engine has taken a batch. Each holds the whole position, so that
/// none needs the one before.
#[derive(Clone, Debug)]
pub(in crate::daemon) enum Update {
    Pattern(String),
    File(String, PathPosition),
    Forget(String),
    Journal(String, String),
}

impl Positions {
    pub(in crate::daemon) fn apply(&mut self, update: Update) {
        match update {
            Update::Pattern(pattern) => {
                if !self.patterns.contains(&pattern) {
                    self.patterns.push(pattern);
                }
            }
            Update::File(path, position) => {
                self.files.insert(path, position);
            }
            Update::Forget(path) => {
                self.files.remove(&path);
            }
            Update::Journal(name, cursor) => {
                self.journals.insert(name, cursor);
            }
        }
    }
}
