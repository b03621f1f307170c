//! The rules that come with lymph, embedded: what stands below `rules/` in this crate.

use std::collections::BTreeMap;

use crate::cases::Case;
use crate::document::LoadError;
use crate::rules::{RuleFile, Rules, RulesBuilder};

static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/bundled.in"));

/// The bundled rule files.
#[must_use]
pub fn files() -> Vec<RuleFile> {
    let rules = FILES.iter().filter(|(path, _)| path.ends_with(".yaml"));
    rules
        .map(|(path, bytes)| RuleFile {
            path: (*path).to_owned(),
            text: text(bytes),
        })
        .collect()
}

/// The bundled data files, by the name that rules give them.
#[must_use]
pub fn data() -> BTreeMap<String, Vec<u8>> {
    let named = FILES
        .iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix("data/")?.to_owned(), bytes.to_vec())));
    named.collect()
}

/// The bundled rules, compiled.
pub fn rules() -> Result<Rules, LoadError> {
    let mut builder = RulesBuilder::new(data());
    for file in files() {
        builder.add(&file)?;
    }
    builder.finish()
}

/// The sample logs beside the bundled rules, and what is expected of them.
#[must_use]
pub fn cases() -> Vec<Case> {
    let find = |name: &str| {
        FILES
            .iter()
            .find(|(path, _)| *path == name)
            .map(|(_, bytes)| *bytes)
    };
    let case = |(path, log): &(&str, &[u8])| {
        let stem = path.strip_suffix(".log")?;
        let expect = find(&format!("{stem}.expect")).unwrap_or_default();
        Some(Case {
            rule: format!("{stem}.yaml"),
            log: log.to_vec(),
            expect: text(expect),
        })
    };
    FILES.iter().filter_map(case).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_loads_with_nothing_missing() {
        let rules = rules().unwrap();
        assert_eq!(rules.warnings(), []);
        assert!(rules.scenarios().len() >= 15, "{}", rules.scenarios().len());
    }

    #[test]
    fn every_rule_of_a_service_has_a_sample_and_every_sample_comes_out_as_expected() {
        let rules = std::sync::Arc::new(rules().unwrap());
        let cases = cases();
        for file in files()
            .iter()
            .filter(|file| !file.path.contains("s02-enrich") && !file.path.contains("s00-raw"))
        {
            assert!(
                cases.iter().any(|case| case.rule == file.path),
                "{} has no sample log",
                file.path
            );
        }
        let results: Vec<_> = cases.iter().map(|case| case.run(&rules)).collect();
        let failed: Vec<_> = results
            .iter()
            .filter(|result| !result.mismatches.is_empty())
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }

    /// Writes the expectations anew from what the rules do, to be read before they are committed:
    /// `LYMPH_UPDATE_EXPECT=1 cargo test -p lymph-scenarios bundled`.
    #[test]
    fn update_expectations_when_asked() {
        if std::env::var_os("LYMPH_UPDATE_EXPECT").is_none() {
            return;
        }
        let rules = std::sync::Arc::new(rules().unwrap());
        for case in cases() {
            let path = format!(
                "{}/rules/{}",
                env!("CARGO_MANIFEST_DIR"),
                case.rule.replace(".yaml", ".expect")
            );
            std::fs::write(path, case.actual(&rules)).unwrap();
        }
    }
}
