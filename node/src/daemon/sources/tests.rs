//! The sources as the daemon has them: with their threads, the kernel's news, and writers that do not wait.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

use lymph_protocol::Timestamp;
use tokio::time::timeout;

use super::*;

/// Far more than anything here needs, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes what the sources give until these many lines were seen or nothing comes for some seconds.
async fn gather(sources: &mut Sources, lines: &mut Vec<u64>, until: usize) {
    while lines.len() < until {
        let Ok(Ok(batch)) = timeout(Duration::from_secs(4), sources.next()).await else {
            return;
        };
        take(batch, sources, lines);
    }
}

fn take(batch: Batch, sources: &mut Sources, lines: &mut Vec<u64>) {
    for line in batch.lines(Timestamp::EPOCH) {
        let number = std::str::from_utf8(line.text)
            .unwrap()
            .strip_prefix("line ")
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        lines.push(number.parse().unwrap());
    }
    sources.taken(batch);
}

fn spec(log: &Path) -> Vec<SourceSpec> {
    vec![SourceSpec::new(
        What::Files(log.to_str().unwrap().to_owned()),
        "syslog",
    )]
}

/// Writes lines without a pause until it is told to stop.
struct Writer {
    stop: AtomicBool,
    written: AtomicU64,
    file: Mutex<File>,
}

impl Writer {
    fn new(log: &Path) -> Self {
        Writer {
            stop: AtomicBool::new(false),
            written: AtomicU64::new(0),
            file: Mutex::new(append(log)),
        }
    }

    fn run(&self) {
        while !self.stop.load(std::sync::atomic::Ordering::SeqCst) {
            let mut file = self.file.lock().unwrap();
            let number = self.written.load(std::sync::atomic::Ordering::SeqCst);
            writeln!(file, "line {number} {}", "x".repeat(number as usize % 150)).unwrap();
            self.written
                .store(number + 1, std::sync::atomic::Ordering::SeqCst);
            drop(file);
            if number.is_multiple_of(50) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn count(&self) -> u64 {
        self.written.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn stop(&self) {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

fn append(log: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .unwrap()
}

fn shift(log: &Path) {
    for number in (1..30).rev() {
        let _ = fs::rename(beside(log, number), beside(log, number + 1));
    }
}

fn beside(log: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", log.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames_under_load_lose_and_double_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("auth.log");
    let writer = Arc::new(Writer::new(&log));
    let (mut sources, _) = Sources::new(spec(&log), None);
    let running = Arc::clone(&writer);
    let rotating = thread::spawn(move || {
        thread::scope(|scope| {
            scope.spawn(|| running.run());
            for turn in 0..6 {
                thread::sleep(Duration::from_millis(120));
                shift(&log);
                fs::rename(&log, beside(&log, 1)).unwrap();
                let new = append(&log);
                // Some writers take a while to notice.
                thread::sleep(Duration::from_millis(turn % 3 * 50));
                *running.file.lock().unwrap() = new;
            }
            running.stop();
        });
    });
    let mut lines = Vec::new();
    while !rotating.is_finished() {
        let soon = lines.len() + 1;
        gather(&mut sources, &mut lines, soon).await;
    }
    rotating.join().unwrap();
    gather(&mut sources, &mut lines, writer.count() as usize).await;
    lines.sort_unstable();
    assert_eq!(lines, (0..writer.count()).collect::<Vec<_>>());
    let counters: Vec<_> = sources.counters().values().collect();
    assert_eq!(
        (counters[0].lines, counters[0].gaps, counters.len()),
        (writer.count(), 0, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copytruncate_under_load_loses_only_what_the_copy_did_not_get() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("auth.log");
    let writer = Arc::new(Writer::new(&log));
    let (mut sources, _) = Sources::new(spec(&log), None);
    let running = Arc::clone(&writer);
    let rotating = thread::spawn(move || {
        let mut at_risk = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| running.run());
            for _ in 0..6 {
                thread::sleep(Duration::from_millis(120));
                shift(&log);
                let before = running.count();
                fs::copy(&log, beside(&log, 1)).unwrap();
                File::options()
                    .write(true)
                    .open(&log)
                    .unwrap()
                    .set_len(0)
                    .unwrap();
                at_risk.push(before..running.count() + 1);
            }
            running.stop();
        });
        at_risk
    });
    let mut lines = Vec::new();
    while !rotating.is_finished() {
        let Ok(Ok(batch)) = timeout(PATIENCE, sources.next()).await else {
            break;
        };
        // A line whose first half went into the copy and whose other half into nothing cannot be read.
        let whole: Vec<_> = batch
            .lines(Timestamp::EPOCH)
            .filter_map(|line| number_of(line.text))
            .collect();
        lines.extend(whole);
        sources.taken(batch);
    }
    let at_risk = rotating.join().unwrap();
    while let Ok(Ok(batch)) = timeout(Duration::from_secs(3), sources.next()).await {
        lines.extend(
            batch
                .lines(Timestamp::EPOCH)
                .filter_map(|line| number_of(line.text)),
        );
        sources.taken(batch);
    }
    let seen: BTreeSet<_> = lines.iter().copied().collect();
    assert_eq!(seen.len(), lines.len(), "none twice");
    let missing = (0..writer.count()).filter(|number| !seen.contains(number));
    let lost: Vec<_> = missing
        .filter(|number| !at_risk.iter().any(|range| range.contains(number)))
        .collect();
    assert_eq!(lost, [] as [u64; 0], "{at_risk:?}");
}

fn number_of(text: &[u8]) -> Option<u64> {
    let mut words = std::str::from_utf8(text)
        .ok()?
        .strip_prefix("line ")?
        .split(' ');
    let number = words.next()?.parse().ok()?;
    (words.next()?.len() == number as usize % 150).then_some(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_go_on_at_the_positions() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("auth.log");
    let writer = Arc::new(Writer::new(&log));
    let (mut sources, _) = Sources::new(spec(&log), None);
    let running = Arc::clone(&writer);
    let rotating = thread::spawn(move || {
        thread::scope(|scope| {
            scope.spawn(|| running.run());
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(200));
                shift(&log);
                fs::rename(&log, beside(&log, 1)).unwrap();
                *running.file.lock().unwrap() = append(&log);
            }
            running.stop();
        });
        log
    });
    let mut lines = Vec::new();
    let mut turn = 0;
    while !rotating.is_finished() {
        for _ in 0..turn % 5 + 1 {
            let soon = lines.len() + 1;
            gather(&mut sources, &mut lines, soon).await;
        }
        // What was handed out but not taken is read again.
        let _ = timeout(Duration::from_millis(20), sources.next()).await;
        let positions = sources.positions().clone();
        let watched = spec(&directory.path().join("auth.log"));
        drop(sources);
        sources = Sources::new(watched, Some(positions)).0;
        turn += 1;
    }
    rotating.join().unwrap();
    gather(&mut sources, &mut lines, writer.count() as usize).await;
    lines.sort_unstable();
    assert!(turn > 3, "{turn}");
    assert_eq!(lines, (0..writer.count()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_there_long_before_the_second_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("auth.log");
    let mut file = append(&log);
    let (mut sources, notices) = Sources::new(spec(&log), None);
    assert_eq!(notices, []);
    let mut lines = Vec::new();
    let began = tokio::time::Instant::now();
    for number in 0..20 {
        writeln!(file, "line {number}").unwrap();
        gather(&mut sources, &mut lines, number + 1).await;
    }
    assert_eq!(lines.len(), 20);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_ahead_without_bound() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("auth.log");
    let mut file = append(&log);
    let (mut sources, _) = Sources::new(spec(&log), None);
    for number in 0..300_000 {
        writeln!(file, "line {number}").unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(sources.inbox.len() <= CHANNEL_BATCHES);
    assert_eq!(
        sources.positions().files.values().next().unwrap().files[0].offset,
        0,
        "nothing was taken"
    );
    let mut lines = Vec::new();
    gather(&mut sources, &mut lines, 300_000).await;
    assert_eq!(lines, (0..300_000).collect::<Vec<_>>());
}

/// Needs another user than root, for whom nothing is forbidden.
#[tokio::test]
async fn a_file_that_may_not_be_read_is_said_once_and_read_when_it_may() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("auth.log");
    let mut file = append(&log);
    writeln!(file, "line 0").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&log).is_ok() {
        return skip("root may read everything");
    }
    let (mut sources, notices) = Sources::new(spec(&log), None);
    assert_eq!(
        notices.iter().map(|notice| notice.kind).collect::<Vec<_>>(),
        [NoticeKind::Denied]
    );
    writeln!(file, "line 1").unwrap();
    tokio::time::sleep(Duration::from_millis(2200)).await;
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
    let mut lines = Vec::new();
    gather(&mut sources, &mut lines, 1).await;
    assert_eq!(
        lines,
        [1],
        "what was there when following began is old, what came after is not"
    );
}

fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
