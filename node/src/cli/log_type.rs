//! Finds out what wrote a log, from its first lines: the type whose rules understand most of them.

use std::sync::Arc;

use anyhow::{Result, bail};
use lymph_protocol::Timestamp;
use lymph_scenarios::line::{Line, Source};
use lymph_scenarios::{Rules, Scratch, Stash};

use crate::config::settings::LOG_TYPES;

/// Lines that are tried: enough that a log with one line of ours in fifty shows it.
const LINES_TRIED: usize = 200;

/// The type that understands most of these lines. Of two equal ones the first in the list: `syslog` reads
/// what `sshd` does and more.
pub(super) fn guess<'a>(
    rules: &Rules,
    lines: impl Iterator<Item = &'a [u8]>,
    now: Timestamp,
    name: &str,
) -> Result<&'static str> {
    let lines: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .take(LINES_TRIED)
        .collect();
    let mut best = (0, "");
    for log_type in LOG_TYPES.into_iter().rev() {
        let understood = count_understood(rules, &lines, log_type, now);
        if understood >= best.0 && understood > 0 {
            best = (understood, log_type);
        }
    }
    match best {
        (0, _) if lines.is_empty() => Ok("syslog"),
        (0, _) => bail!(
            "cannot tell what wrote {name}: none of its first {} lines is understood as a log of {}; name it with --type TYPE, or see `lymph explain`",
            lines.len(),
            LOG_TYPES.join(", ")
        ),
        (_, log_type) => Ok(log_type),
    }
}

fn count_understood(rules: &Rules, lines: &[&[u8]], log_type: &str, now: Timestamp) -> usize {
    let source = Arc::new(Source {
        log_time: true,
        ..Source::file("", log_type)
    });
    let (mut event, mut scratch, stash) = (rules.new_event(), Scratch::default(), Stash::default());
    let understood = |text: &&&[u8]| {
        let line = Line {
            text,
            source: &source,
            id: 0,
            received_at: now,
        };
        rules.parse(&line, &mut event, &mut scratch, &stash)
    };
    lines.iter().filter(understood).count()
}
