//! `lymph rules`: which there are, what one says, whether their samples come out as expected.

use std::sync::Arc;

use anyhow::{Result, bail};
use lymph_scenarios::{RuleInfo, Scenario, nearest};
use serde_json::json;

use super::args::{Global, RuleArgs, Rules};
use super::out::{Out, Style, duration};
use crate::daemon::api::views::RuleView;

pub(super) fn run(global: &Global, command: Rules, out: &mut Out) -> Result<()> {
    match command {
        Rules::List(args) => list(global, &args, out),
        Rules::Inspect { name, rules } => inspect(global, &name, &rules, out),
        Rules::Test(args) => test(global, &args, out),
    }
}

fn list(global: &Global, args: &RuleArgs, out: &mut Out) -> Result<()> {
    let rules = super::rule_set(global, args)?.load()?;
    let views: Vec<RuleView> = rules.infos().iter().map(RuleView::from).collect();
    if out.json {
        return Ok(out.json(&views)?);
    }
    let rows = views
        .into_iter()
        .map(|view| [view.kind, view.name, view.description, view.file]);
    out.table(["KIND", "NAME", "WHAT IT DOES", "FILE"], rows)?;
    for warning in rules.warnings() {
        out.styled(Style::Warning, "note", &format!(": {warning}"))?;
    }
    Ok(())
}

fn inspect(global: &Global, name: &str, args: &RuleArgs, out: &mut Out) -> Result<()> {
    let rules = super::rule_set(global, args)?.load()?;
    let Some(info) = rules.infos().iter().find(|info| info.name == name) else {
        let names = rules.infos().iter().map(|info| info.name.as_str());
        let hint = nearest(name, names).map_or_else(
            || "`lymph rules list` shows those that are".to_owned(),
            |near| format!("did you mean {near:?}?"),
        );
        bail!("no rule is called {name:?}; {hint}");
    };
    let scenario = rules
        .scenarios()
        .iter()
        .find(|scenario| &*scenario.name == name);
    let text = rules
        .file(&info.path)
        .map(|file| file.text.as_str())
        .unwrap_or_default();
    match out.json {
        true => out.json(&inspected(info, scenario, text))?,
        false => show(info, scenario, text, out)?,
    }
    Ok(())
}

fn inspected(info: &RuleInfo, scenario: Option<&Arc<Scenario>>, text: &str) -> serde_json::Value {
    let numbers = scenario.map(|scenario| {
        json!({
            "type": scenario.kind.name(),
            "filter": scenario.filter(),
            "capacity": scenario.capacity,
            "leakspeed_ms": scenario.leakspeed_ms,
            "blackhole_ms": scenario.blackhole_ms,
            "scope": scenario.scope.name(),
            "remediation": scenario.remediation,
            "labels": &*scenario.labels,
            "line": scenario.line,
        })
    });
    json!({ "rule": RuleView::from(info), "scenario": numbers, "text": text })
}

fn show(
    info: &RuleInfo,
    scenario: Option<&Arc<Scenario>>,
    text: &str,
    out: &mut Out,
) -> std::io::Result<()> {
    out.styled(
        Style::Bold,
        &info.name,
        &format!(" ({}, {})", info.kind, info.path),
    )?;
    out.line(format!("  {}", info.description))?;
    if let Some(scenario) = scenario {
        let seconds = |millis: u64| duration(millis / 1000);
        let asks = if scenario.remediation {
            "asks for a ban"
        } else {
            "only informs"
        };
        out.line(format!(
            "  {} bucket about {}; {asks}",
            scenario.kind.name(),
            scenario.scope
        ))?;
        if scenario.capacity >= 0 && scenario.leakspeed_ms > 0 {
            let first_too_many = scenario.capacity + 1;
            out.line(format!(
                "  runs over at {first_too_many} events; one leaks away every {}",
                seconds(scenario.leakspeed_ms)
            ))?;
        }
        if let Some(blackhole) = scenario.blackhole_ms {
            out.line(format!(
                "  then silent about the same group for {}",
                seconds(blackhole)
            ))?;
        }
    }
    out.line("")?;
    out.text(text)
}

fn test(global: &Global, args: &RuleArgs, out: &mut Out) -> Result<()> {
    let set = super::rule_set(global, args)?;
    let (rules, cases) = (Arc::new(set.load()?), set.cases()?);
    let results: Vec<_> = cases.iter().map(|case| case.run(&rules)).collect();
    let failed = results
        .iter()
        .filter(|result| !result.mismatches.is_empty())
        .count();
    let (lines_passed, lines_failed) = results.iter().fold((0, 0), |(passed, failed), result| {
        (passed + result.passed, failed + result.mismatches.len())
    });
    if out.json {
        let cases: Vec<_> = results
            .iter()
            .map(|result| {
                let mismatches = result.mismatches.iter();
                let mismatches: Vec<_> =
                    mismatches.map(|mismatch| json!({ "expected": mismatch.expected, "actual": mismatch.actual })).collect();
                json!({ "rule": result.rule, "passed": result.passed, "failed": mismatches.len(), "mismatches": mismatches })
            })
            .collect();
        out.json(&json!({
            "totals": { "passed": results.len() - failed, "failed": failed, "skipped": 0 },
            "lines": { "passed": lines_passed, "failed": lines_failed },
            "cases": cases,
        }))?;
    } else {
        for result in &results {
            match result.mismatches.is_empty() {
                true => out.styled(
                    Style::Good,
                    "pass",
                    &format!("  {} ({} lines)", result.rule, result.passed),
                )?,
                false => out.styled(Style::Warning, "FAIL", &format!("  {}", result.rule))?,
            }
            for mismatch in &result.mismatches {
                out.line(format!(
                    "        expected {}",
                    or_nothing(&mismatch.expected)
                ))?;
                out.line(format!("        but got  {}", or_nothing(&mismatch.actual)))?;
            }
        }
        out.line(format!(
            "{} samples passed, {failed} failed",
            results.len() - failed
        ))?;
    }
    out.flush()?;
    if failed > 0 {
        bail!(
            "{failed} of {} samples do not come out as expected",
            results.len()
        );
    }
    Ok(())
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}
