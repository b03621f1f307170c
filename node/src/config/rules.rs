//! The rules that are used: those that lymph brings along, and a folder of the operator's own.
//!
//! The folder is laid out as CrowdSec's hub: `parsers/STAGE/…`, `scenarios/…`, `postoverflows/STAGE/…`, and
//! `data/…` for the files that rules read by name. A file with the path of a bundled one takes its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use lymph_scenarios::cases::Case;
use lymph_scenarios::{RuleFile, Rules, RulesBuilder, bundled};

/// Largest rule file that is read, in bytes; the largest of the hub has 60 kB.
const RULE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Largest data file that is read, in bytes.
const DATA_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How deep folders are searched: kind, stage, author.
const DEPTH_MAX: usize = 6;

/// Where rules come from.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Whether those that lymph brings along are used.
    pub bundled: bool,
    /// The operator's own.
    pub folder: Option<PathBuf>,
}

/// What stands in a folder of rules.
#[derive(Debug, Default)]
struct Folder {
    rules: BTreeMap<String, RuleFile>,
    data: BTreeMap<String, Vec<u8>>,
}

impl RuleSet {
    /// Compile them. All mistakes are reported at once.
    pub fn load(&self) -> anyhow::Result<Rules> {
        let mut files: BTreeMap<String, RuleFile> = BTreeMap::new();
        let mut data = BTreeMap::new();
        if self.bundled {
            files.extend(
                bundled::files()
                    .into_iter()
                    .map(|file| (file.path.clone(), file)),
            );
            data = bundled::data();
        }
        if let Some(folder) = &self.folder {
            let own = Folder::read(folder)?;
            if own.rules.is_empty() {
                bail!(
                    "no rules in {}: expected .yaml files below parsers/, scenarios/ or postoverflows/",
                    folder.display()
                );
            }
            files.extend(own.rules);
            data.extend(own.data);
        }
        let mut builder = RulesBuilder::new(data);
        let mistakes: Vec<_> = files
            .values()
            .filter_map(|file| builder.add(file).err())
            .collect();
        if !mistakes.is_empty() {
            let list: Vec<_> = mistakes
                .iter()
                .map(|mistake| format!("  {mistake}"))
                .collect();
            let s = if mistakes.len() == 1 { "" } else { "s" };
            bail!(
                "{} mistake{s} in the rules:\n{}",
                mistakes.len(),
                list.join("\n")
            );
        }
        Ok(builder.finish()?)
    }

    /// The sample logs that stand beside rules.
    pub fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let mut cases = if self.bundled {
            bundled::cases()
        } else {
            Vec::new()
        };
        if let Some(folder) = &self.folder {
            for rule in Folder::read(folder)?.rules.into_keys() {
                let beside = |extension| folder.join(&rule).with_extension(extension);
                let Ok(log) = std::fs::read(beside("log")) else {
                    continue;
                };
                let expect = std::fs::read_to_string(beside("expect")).unwrap_or_default();
                cases.retain(|case| case.rule != rule);
                cases.push(Case { rule, log, expect });
            }
        }
        Ok(cases)
    }
}

impl Folder {
    fn read(root: &Path) -> anyhow::Result<Self> {
        let mut folder = Folder::default();
        folder.descend(root, root, 0)?;
        Ok(folder)
    }

    fn descend(&mut self, root: &Path, at: &Path, depth: usize) -> anyhow::Result<()> {
        let unreadable = || format!("cannot read the rules in {}", at.display());
        let mut entries = std::fs::read_dir(at)
            .with_context(unreadable)?
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) else {
                continue;
            };
            // Links are followed: the hub's own tool installs rules as links.
            let metadata = std::fs::metadata(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            if metadata.is_dir() {
                if depth < DEPTH_MAX && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                    self.descend(root, &path, depth + 1)?;
                }
            } else if let Some(data) = name.strip_prefix("data/") {
                self.data.insert(
                    data.to_owned(),
                    read(&path, metadata.len(), DATA_BYTES_MAX)?,
                );
            } else if is_rule(name) {
                let text = String::from_utf8_lossy(&read(&path, metadata.len(), RULE_BYTES_MAX)?)
                    .into_owned();
                self.rules.insert(
                    name.to_owned(),
                    RuleFile {
                        path: name.to_owned(),
                        text,
                    },
                );
            }
        }
        Ok(())
    }
}

fn is_rule(name: &str) -> bool {
    let kind = ["parsers/", "scenarios/", "postoverflows/"]
        .iter()
        .any(|kind| name.starts_with(kind));
    kind && (name.ends_with(".yaml") || name.ends_with(".yml"))
}

fn read(path: &Path, bytes: u64, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    if bytes > bytes_max {
        bail!(
            "{} has {bytes} bytes, more than the {bytes_max} that are read",
            path.display()
        );
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
