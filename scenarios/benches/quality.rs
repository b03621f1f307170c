//! What the bundled rules find in generated logs whose truth is known, class by class:
//! `cargo bench -p lymph-scenarios --bench quality [-- LINES SEED]`. For those who write rules.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by several programs, each of which uses a part"
)]
#[path = "corpus/mod.rs"]
mod corpus;

use std::sync::Arc;

use corpus::judge::{Found, Judgement, judge};
use corpus::{Corpus, Header, OpenSsh, Service, Style, Wanted};
use lymph_protocol::Timestamp;
use lymph_scenarios::line::{Line, Source};
use lymph_scenarios::{Detector, Limits, Rules, bundled};

/// The log's dates are all of the year before now, whatever today is.
const NOW: Timestamp = Timestamp::from_secs(1_798_000_000);

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let (lines, seed) = (
        numbers.next().unwrap_or(200_000),
        numbers.next().unwrap_or(1),
    );
    let rules = Arc::new(bundled::rules().expect("the bundled rules load"));
    let newer = Style {
        header: Header::Iso8601,
        openssh: OpenSsh::Split,
        folds: false,
        ..Style::default()
    };
    for (service, style) in [
        (Service::Sshd, Style::default()),
        (Service::Sshd, newer),
        (Service::Nginx, Style::default()),
    ] {
        show(
            &rules,
            Wanted {
                style,
                ..Wanted::new(service, lines, seed)
            },
        );
    }
}

fn show(rules: &Arc<Rules>, wanted: Wanted) {
    let source = Arc::new(Source {
        log_time: true,
        ..Source::file("corpus.log", wanted.service.name())
    });
    let mut detector = Detector::new(Arc::clone(rules), Limits::default(), 1);
    let mut corpus = Corpus::new(wanted);
    let (mut found, mut id) = (Found::new(), 0);
    while let Some((_, text)) = corpus.next_line() {
        id += 1;
        for overflow in detector.handle(
            &Line {
                text: text.as_bytes(),
                source: &source,
                id,
                received_at: NOW,
            },
            NOW,
        ) {
            for attacker in overflow.attackers.iter().filter(|_| overflow.remediation) {
                found
                    .entry(attacker.value.clone())
                    .or_default()
                    .insert(overflow.scenario.to_string());
            }
        }
    }
    let Judgement {
        table,
        missed,
        wronged,
    } = judge(&corpus.into_truth(), &found);
    println!(
        "{table}{} loud attackers missed, {} benign clients blamed",
        missed.len(),
        wronged.len()
    );
    for line in missed.iter().take(20).chain(wronged.iter().take(20)) {
        println!("  {line}");
    }
    println!();
}
