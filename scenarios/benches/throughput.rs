//! How many lines one core parses and judges with all bundled rules, in lines per second of CPU time, and what a
//! detector takes in memory: `cargo bench -p lymph-scenarios --bench throughput [-- LINES RUNS]`.
//!
//! CPU time comes from `/proc/thread-self/schedstat`, so that neighbours on the machine count little; the log is
//! generated (`corpus`) and in memory before the clock starts. Each run has a detector of its own.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by several programs, each of which uses a part"
)]
#[path = "corpus/mod.rs"]
mod corpus;

use std::fs;
use std::sync::Arc;

use corpus::address::Addresses;
use corpus::{Corpus, Service, Wanted};
use lymph_protocol::Timestamp;
use lymph_scenarios::line::{Line, Source};
use lymph_scenarios::{Detector, Limits, Rules, bundled};

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let (lines, runs) = (
        numbers.next().unwrap_or(200_000),
        numbers.next().unwrap_or(5),
    );
    let started = cpu_ns();
    let rules = Arc::new(bundled::rules().expect("the bundled rules load"));
    println!(
        "rules: {} scenarios, loaded in {} CPU ms",
        rules.scenarios().len(),
        (cpu_ns() - started) / 1_000_000
    );
    println!(
        "memory: {} KiB resident with the rules loaded",
        resident_kib()
    );
    for service in [Service::Sshd, Service::Nginx] {
        measure(&rules, service, lines, runs);
    }
    many_sources(&rules, 1_000_000);
}

fn measure(rules: &Arc<Rules>, service: Service, lines: u64, runs: u64) {
    let mut text = Vec::new();
    Corpus::new(Wanted::new(service, lines, 1))
        .write(&mut text)
        .expect("memory takes all writes");
    let log: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let source = source(service);
    let mut rates = Vec::new();
    for run in 0..runs {
        let mut detector = Detector::new(Arc::clone(rules), Limits::default(), run);
        let started = cpu_ns();
        let overflows = log
            .iter()
            .enumerate()
            .map(|(id, text)| handle(&mut detector, text, &source, id as u64))
            .sum::<usize>();
        let ns = cpu_ns() - started;
        rates.push(lines * 1_000_000_000 / ns.max(1));
        if run == 0 {
            println!(
                "{}: {lines} lines, {overflows} detections, {:?}",
                service.name(),
                detector.counters()
            );
        }
    }
    rates.sort_unstable();
    let (low, middle, high) = (rates[0], rates[rates.len() / 2], rates[rates.len() - 1]);
    println!(
        "{}: {middle} lines per CPU second (median of {runs}; {low} to {high})",
        service.name()
    );
}

/// What a detector holds after one failed login from each of so many addresses.
fn many_sources(rules: &Arc<Rules>, sources: u64) {
    let mut detector = Detector::new(Arc::clone(rules), Limits::default(), 1);
    let (mut addresses, source) = (Addresses::new(9), source(Service::Sshd));
    let before = resident_kib();
    for id in 0..sources {
        let (address, minute, second) = (addresses.next_v4(), id / 6000 % 60, id / 100 % 60);
        let hour = 1 + id / 360_000;
        let text = format!(
            "Mar 10 {hour:02}:{minute:02}:{second:02} web1 sshd[{id}]: Failed password for root from {address} port 40000 ssh2"
        );
        handle(&mut detector, text.as_bytes(), &source, id);
    }
    let counters = detector.counters();
    println!(
        "memory: {before} KiB resident before, {} KiB after {sources} distinct sources ({} buckets alive, {} given up)",
        resident_kib(),
        counters.buckets,
        counters.evicted
    );
}

/// The year's end: the log's dates are all of the year before now, whatever today is.
const NOW: Timestamp = Timestamp::from_secs(1_798_000_000);

fn handle(detector: &mut Detector, text: &[u8], source: &Arc<Source>, id: u64) -> usize {
    detector
        .handle(
            &Line {
                text,
                source,
                id,
                received_at: NOW,
            },
            NOW,
        )
        .len()
}

fn source(service: Service) -> Arc<Source> {
    Arc::new(Source {
        log_time: true,
        ..Source::file("corpus.log", service.name())
    })
}

/// CPU time of this thread so far, in nanoseconds.
fn cpu_ns() -> u64 {
    let text =
        fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's CPU time");
    text.split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .expect("the first field is a number")
}

fn resident_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux tells a process's memory");
    let row = text
        .lines()
        .find(|row| row.starts_with("VmRSS:"))
        .expect("there is such a row");
    row.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("the second field is a number")
}
