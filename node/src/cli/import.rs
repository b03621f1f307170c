//! `lymph decisions import`: lists of others become decisions, in portions, with progress.
//!
//! All portions have one id, so that `lymph undo` takes back the whole list. `lists` reads the forms; the daemon says
//! of each portion what came of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::args::{Global, Import, Read};
use super::lists::{self, Format, Listed, Options};
use super::out::{Out, Style, count, thousands};
use super::progress::Progress;
use super::{ban, client};
use crate::daemon::api::requests::{BanRequest, WishRequest};
use crate::daemon::api::views::BannedView;

/// How many entries go in one request: the firewall and the disk take each at once.
const PORTION: usize = 5_000;
/// Problems that are shown one by one.
const PROBLEMS_SHOWN: usize = 5;

pub(super) fn run(global: &Global, args: &Import, out: &mut Out) -> Result<()> {
    let (input, name): (Box<dyn BufRead>, String) = match args.file == Path::new("-") {
        true => (Box::new(io::stdin().lock()), "stdin".to_owned()),
        false => {
            let file = File::open(&args.file)
                .with_context(|| format!("cannot read {}", args.file.display()))?;
            let name = args.file.file_stem().unwrap_or_default();
            (
                Box::new(BufReader::new(file)),
                name.to_string_lossy().into_owned(),
            )
        }
    };
    let options = Options {
        format: args.format.map(|format| match format {
            Read::Json => Format::CrowdsecJson,
            Read::Csv => Format::CrowdsecCsv,
            Read::Ipsum => Format::Ipsum,
            Read::Plain => Format::Plain,
        }),
        min_count: args.min_count,
    };
    let mut listed = Vec::new();
    let report = lists::read(input, options, &mut |entry| listed.push(entry))?;
    let origin = match report.format {
        Format::CrowdsecJson | Format::CrowdsecCsv => "crowdsec",
        Format::Plain | Format::Ipsum => "lists",
    };
    let name = args.name.clone().unwrap_or(name);
    let total = hand_over(global, args, &name, origin, listed)?;
    if out.json {
        out.json(&total)?;
    } else {
        say(&total, report.below_min_count, out)?;
        say_stopped(&total, origin, out)?;
        if report.is_cut {
            out.styled(
                Style::Warning,
                "Cut",
                ": the list is longer than what is read of one",
            )?;
        }
        for problem in report.problems.iter().take(PROBLEMS_SHOWN) {
            out.line(format!("line {}: {}", problem.line, problem.what))?;
        }
        let more = report.problem_count.saturating_sub(PROBLEMS_SHOWN as u64);
        if more > 0 {
            out.line(format!("and {} more that make no sense", thousands(more)))?;
        }
        if total.new + total.over_budget > 0 {
            out.line(format!("Take it back with: lymph undo {}", total.id))?;
        }
        ban::reservations(
            total.not_saved.as_deref(),
            total.not_enforced.as_deref(),
            out,
        )?;
    }
    if report.entries == 0 {
        bail!(
            "there was nothing to import; expected {}",
            report.format.expected()
        );
    }
    Ok(())
}

/// Portion after portion. Returns what came of all of them.
fn hand_over(
    global: &Global,
    args: &Import,
    name: &str,
    origin: &str,
    listed: Vec<Listed>,
) -> Result<BannedView> {
    let mut total = BannedView::default();
    let mut id = None;
    let progress = Progress::entries(listed.len() as u64);
    for portion in listed.chunks(PORTION) {
        let wish = |entry: &Listed| WishRequest {
            subject: entry.target.to_string(),
            kind: entry.kind.map(|kind| kind.name().to_owned()),
            seconds: Some(entry.duration.unwrap_or(args.length).as_secs().max(1)),
            reason: Some(entry.reason.clone().unwrap_or_else(|| name.to_owned())),
        };
        let request = BanRequest {
            origin: Some(origin.to_owned()),
            force: false,
            id: id.clone(),
            entries: portion.iter().map(wish).collect(),
        };
        let done: BannedView = client::post(global, "/decisions/add", &request)?;
        id = Some(done.id.clone());
        total.id = done.id;
        total.new += done.new;
        total.longer += done.longer;
        total.unchanged += done.unchanged;
        total.no_room += done.no_room;
        total.held += done.held;
        total.over_budget += done.over_budget;
        total.not_held += done.not_held;
        total.too_wide += done.too_wide;
        total.protected += done.protected;
        total.examples.extend(done.examples);
        total.examples.truncate(PROBLEMS_SHOWN);
        total.not_saved = done.not_saved.or(total.not_saved);
        total.not_enforced = done.not_enforced;
        progress.advance(portion.len() as u64);
    }
    progress.finish();
    Ok(total)
}

fn say(total: &BannedView, below_min_count: u64, out: &mut Out) -> Result<()> {
    out.line(format!(
        "{}, {} made longer, {} stood already",
        count(total.new as u64, "new decision", "new decisions"),
        thousands(total.longer as u64),
        thousands(total.unchanged as u64)
    ))?;
    let left_out = [
        (total.protected as u64, "are protected and left out"),
        (
            total.held as u64,
            "are held back, since somebody has logged in from there (lymph decisions held)",
        ),
        (
            total.too_wide as u64,
            "are networks so wide that they are more likely a mistake",
        ),
        (
            total.no_room as u64,
            "found no room ([limits] decisions in the configuration)",
        ),
        (below_min_count, "are on too few lists (--min-count)"),
    ];
    for (number, what) in left_out.into_iter().filter(|(number, _)| *number > 0) {
        out.line(format!("{} {what}", thousands(number)))?;
    }
    for refused in &total.examples {
        out.line(format!(
            "  {}: {} is {}",
            refused.subject, refused.protected.network, refused.protected.text
        ))?;
    }
    Ok(())
}

/// What is not in force because the list is more than its origin may add at once.
fn say_stopped(total: &BannedView, origin: &str, out: &mut Out) -> Result<()> {
    if total.over_budget > 0 {
        let held = thousands(total.over_budget as u64);
        out.styled(
            Style::Warning,
            "Held",
            &format!(
                ": {held} new ones are more than {origin} may add at once ([breaker] import_burst, imports_per_minute)"
            ),
        )?;
        out.line(format!(
            "  carry them out: lymph decisions release --origin {origin}   forget them: lymph decisions drop --origin {origin}"
        ))?;
    }
    if total.not_held > 0 {
        let not_held = thousands(total.not_held as u64);
        out.styled(
            Style::Warning,
            "Left out",
            &format!(
                ": {not_held} found no room among what is held either; import the list again once that is released or the budget is larger"
            ),
        )?;
    }
    Ok(())
}
