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
    use std::sync::Arc;

    use super::*;
    use crate::cases::CASE_TIME;
    use crate::line::{LINE_BYTES_MAX, Line, Source};
    use crate::{Detector, Limits};

    #[test]
    fn every_rule_loads_with_nothing_missing() {
        let rules = rules().unwrap();
        assert_eq!(rules.warnings(), []);
        assert!(rules.scenarios().len() >= 15, "{}", rules.scenarios().len());
    }

    #[test]
    fn every_rule_of_a_service_has_a_sample_and_every_sample_comes_out_as_expected() {
        let rules = Arc::new(rules().unwrap());
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

    /// A client that makes its line longer than what is looked at must not thereby go unseen.
    #[test]
    fn an_attack_in_a_line_that_is_cut_is_seen() {
        let rules = Arc::new(rules().unwrap());
        let long = "A".repeat(2 * LINE_BYTES_MAX);
        let caddy = |path: &str, query: &str, cookie: &str| {
            format!(
                r#"{{"level":"info","ts":1772359200.5,"logger":"http.log.access","msg":"handled request","request":{{"remote_ip":"198.51.100.7","remote_port":"1","client_ip":"198.51.100.7","proto":"HTTP/1.1","method":"GET","host":"h","uri":"{path}?{query}","headers":{{"Cookie":["{cookie}"]}}}},"status":404}}"#
            )
        };
        let traefik = |path: &str, query: &str, cookie: &str| {
            format!(
                r#"{{"ClientAddr":"198.51.100.7:1","ClientHost":"198.51.100.7","ClientUsername":"-","RequestMethod":"GET","RequestPath":"{path}?{query}","StartUTC":"2026-03-01T10:00:00Z","request_Cookie":"{cookie}"}}"#
            )
        };
        type Write<'a> = &'a dyn Fn(&str, &str, &str) -> String;
        let formats: [(&str, Write<'_>); 2] = [("caddy", &caddy), ("traefik", &traefik)];
        for (log_type, write) in formats {
            for (query, cookie) in [("", ""), (long.as_str(), ""), ("", long.as_str())] {
                let source = Arc::new(Source::file("log", log_type));
                let mut detector = Detector::new(Arc::clone(&rules), Limits::default(), 1);
                let mut found = Vec::new();
                for (id, path) in ["/.env", "/.git/config", "/id_rsa"].into_iter().enumerate() {
                    let text = write(path, query, cookie);
                    let line = Line {
                        text: text.as_bytes(),
                        source: &source,
                        id: id as u64,
                        received_at: CASE_TIME,
                    };
                    found.extend(detector.handle(&line, CASE_TIME));
                }
                let names: Vec<&str> = found.iter().map(|found| &*found.scenario).collect();
                assert_eq!(
                    names,
                    ["lymph/http-sensitive-files"],
                    "{log_type} {}",
                    query.len()
                );
            }
        }
    }

    /// Writes the expectations anew from what the rules do, to be read before they are committed:
    /// `LYMPH_UPDATE_EXPECT=1 cargo test -p lymph-scenarios bundled`.
    #[test]
    fn update_expectations_when_asked() {
        if std::env::var_os("LYMPH_UPDATE_EXPECT").is_none() {
            return;
        }
        let rules = Arc::new(rules().unwrap());
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
