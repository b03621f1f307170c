//! A real journal file, read by the real journalctl where there is one, and a false journalctl for its failures.
//!
//! `sample.journal.gz` was written by `systemd-journal-remote` from seven entries in the export format.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lymph_protocol::Timestamp;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(15);

/// A follower, and what came from it.
struct Followed {
    inbox: Receiver<Batch>,
    task: JoinHandle<()>,
    lines: Vec<(String, u64)>,
    notices: Vec<Notice>,
    cursor: Option<String>,
    cut: u64,
    gaps: u64,
}

impl Followed {
    fn start(spec: JournalSpec, cursor: Option<&str>, start: Start) -> Self {
        let (outbox, inbox) = mpsc::channel(2);
        let source = Arc::new(Source {
            name: spec.name(),
            ..Source::default()
        });
        let task = tokio::spawn(follow(
            spec,
            source,
            cursor.map(str::to_owned),
            start,
            outbox,
        ));
        Followed {
            inbox,
            task,
            lines: Vec::new(),
            notices: Vec::new(),
            cursor: None,
            cut: 0,
            gaps: 0,
        }
    }

    async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            let batch = timeout(PATIENCE, self.inbox.recv())
                .await
                .expect("something comes")
                .expect("not closed");
            self.lines.extend(
                batch
                    .lines(Timestamp::EPOCH)
                    .map(|line| (String::from_utf8_lossy(line.text).into_owned(), line.id)),
            );
            self.cut += batch.cut_lines;
            self.gaps += batch.gaps;
            self.notices.extend(batch.notices);
            for update in batch.updates {
                if let Update::Journal(_, cursor) = update {
                    self.cursor = Some(cursor);
                }
            }
        }
    }

    fn kinds(&self) -> Vec<NoticeKind> {
        self.notices.iter().map(|notice| notice.kind).collect()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn sample(directory: &Path) -> PathBuf {
    let mut journal = Vec::new();
    flate2::read::GzDecoder::new(&include_bytes!("sample.journal.gz")[..])
        .read_to_end(&mut journal)
        .unwrap();
    let path = directory.join("sample.journal");
    fs::write(&path, journal).unwrap();
    path
}

fn has_journalctl() -> bool {
    std::process::Command::new("journalctl")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn entries_of_a_real_journal_become_syslog_lines() {
    if !has_journalctl() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let spec = JournalSpec {
        file: Some(sample(directory.path())),
        ..JournalSpec::default()
    };
    let mut all = Followed::start(spec.clone(), None, Start::Beginning);
    all.until(|all| all.lines.len() == 7).await;
    let texts: Vec<_> = all.lines.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(
        texts[..4],
        [
            "2026-03-01T10:00:00.123456+00:00 host sshd[78]: Failed password for root from 203.0.113.9 port 4711 ssh2",
            "2026-03-01T10:00:01.123456+00:00 host cron[5]: session opened",
            "2026-03-01T10:00:02.123456+00:00 host sshd[77]: Invalid user a#012Mar  1 10:00:00 host sshd[1]: Accepted password from 203.0.113.9",
            "2026-03-01T10:00:03.123456+00:00 host sshd[77]: Invalid user \u{fffd}\u{1}#000 from 203.0.113.9",
        ]
    );
    assert!(texts[4].ends_with(&"x".repeat(5000)));
    assert_eq!((texts[5].len(), all.cut), (LINE_BYTES_MAX, 1));
    assert_eq!(
        texts[6],
        "2026-03-01T10:00:06.123456+00:00 localhost a_b_1___c: no program"
    );
    assert_eq!(all.kinds(), [NoticeKind::Following, NoticeKind::Cut]);

    // From the second entry on, the same lines with the same ids.
    let mut one = Followed::start(
        JournalSpec {
            units: vec!["cron.service".into()],
            ..spec.clone()
        },
        None,
        Start::Beginning,
    );
    one.until(|one| one.lines.len() == 1).await;
    assert_eq!(one.lines[0], all.lines[1]);
    let mut rest = Followed::start(spec.clone(), one.cursor.as_deref(), Start::End);
    rest.until(|rest| rest.lines.len() == 5).await;
    assert_eq!(rest.lines, all.lines[2..]);
    assert_eq!(rest.gaps, 0);

    // At the end there is nothing to read, but a place to go on from.
    let mut end = Followed::start(spec.clone(), None, Start::End);
    end.until(|end| end.cursor.is_some()).await;
    assert_eq!(
        (end.cursor.as_ref(), end.lines.len()),
        (all.cursor.as_ref(), 0)
    );

    // A cursor of another journal: what it stood for is gone.
    let foreign = all
        .cursor
        .as_ref()
        .unwrap()
        .replace("s=", "s=f")
        .replace("i=7", "i=3");
    let mut lost = Followed::start(spec, Some(&foreign), Start::End);
    lost.until(|lost| lost.gaps > 0).await;
}

/// A journalctl that keeps its arguments and does what its script says.
fn false_journalctl(directory: &Path, script: &str) -> JournalSpec {
    let program = directory.join("journalctl");
    let whole = format!(
        "#!/bin/sh\ncd {}\necho \"$@\" >> arguments\n{script}\n",
        directory.display()
    );
    fs::write(&program, whole).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    JournalSpec {
        program: Some(program),
        ..JournalSpec::default()
    }
}

fn entry(number: u32) -> String {
    format!(
        r#"{{"MESSAGE":"message {number}","__CURSOR":"c{number}","__REALTIME_TIMESTAMP":"1772359200000000","SYSLOG_IDENTIFIER":"sshd","_PID":"1","_HOSTNAME":"h"}}"#
    )
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_behind_the_last_entry() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (entry(1), entry(2));
    let script = format!(
        "case \"$*\" in *--after-cursor=c1*) echo '{two}'; exec sleep 60;; *--after-cursor=c0*) echo '{one}'; echo oops >&2; exit 3;; *--cursor=c0*) echo '{{\"__CURSOR\":\"c0\"}}';; esac"
    );
    let mut followed = Followed::start(
        false_journalctl(directory.path(), &script),
        Some("c0"),
        Start::End,
    );
    followed.until(|followed| followed.lines.len() == 2).await;
    assert!(
        followed.lines[1].0.ends_with("sshd[1]: message 2"),
        "{:?}",
        followed.lines
    );
    assert_eq!(
        followed.kinds(),
        [
            NoticeKind::Following,
            NoticeKind::Failed,
            NoticeKind::Following
        ]
    );
    assert!(
        followed.notices[1].message.contains("oops"),
        "{}",
        followed.notices[1].message
    );
    assert_eq!((followed.cursor.as_deref(), followed.gaps), (Some("c2"), 0));
}

#[tokio::test]
async fn a_cursor_that_leads_nowhere_is_given_up_loudly() {
    let directory = tempfile::tempdir().unwrap();
    let three = entry(3);
    let script = format!(
        "case \"$*\" in *--after-cursor=bad*) echo 'Failed to seek to cursor' >&2; exit 1;; *--cursor=bad*) exit 1;; *--lines=1*) echo '{{\"__CURSOR\":\"c2\"}}';; *--after-cursor=c2*) echo '{three}'; exec sleep 60;; esac"
    );
    let mut followed = Followed::start(
        false_journalctl(directory.path(), &script),
        Some("bad"),
        Start::End,
    );
    followed.until(|followed| followed.lines.len() == 1).await;
    assert_eq!(
        followed.kinds(),
        [NoticeKind::Failed, NoticeKind::Gap, NoticeKind::Following]
    );
    assert_eq!(followed.gaps, 1);
}

/// Whatever keeps journalctl from running is no fault of the cursor.
#[tokio::test]
async fn a_journalctl_that_fails_for_a_while_costs_no_entry() {
    let fails_at_first = [
        // It cannot be started, by its mode.
        (0o644, ""),
        // It starts, but not for long.
        (
            0o755,
            "[ -e mended ] || { echo 'Cannot allocate memory' >&2; exit 1; }",
        ),
    ];
    let checks = fails_at_first.map(|(mode, first)| async move {
        let directory = tempfile::tempdir().unwrap();
        let one = entry(1);
        let script = format!(
            "{first}\ncase \"$*\" in *--after-cursor=c0*) echo '{one}'; exec sleep 60;; *--cursor=c0*) echo '{{\"__CURSOR\":\"c0\"}}';; *--lines=1*) echo '{{\"__CURSOR\":\"c9\"}}';; esac"
        );
        let spec = false_journalctl(directory.path(), &script);
        let program = spec.program.clone().unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let mut followed = Followed::start(spec, Some("c0"), Start::End);
        // Its first four starts are about 0, 1, 3 and 7 seconds after the beginning.
        tokio::time::sleep(Duration::from_secs(5)).await;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.path().join("mended"), "").unwrap();
        followed.until(|followed| followed.lines.len() == 1).await;
        assert_eq!(followed.kinds(), [NoticeKind::Failed, NoticeKind::Following]);
        assert_eq!((followed.cursor.as_deref(), followed.gaps), (Some("c1"), 0));
    });
    let [first, second] = checks;
    tokio::join!(first, second);
}

#[tokio::test]
async fn a_journalctl_that_is_installed_later_is_used_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let one = entry(1);
    let script = format!(
        "case \"$*\" in *--after-cursor=c0*) echo '{one}'; exec sleep 60;; *--lines=1*) echo '{{\"__CURSOR\":\"c0\"}}';; esac"
    );
    let spec = false_journalctl(directory.path(), &script);
    let program = spec.program.clone().unwrap();
    let aside = directory.path().join("aside");
    fs::rename(&program, &aside).unwrap();
    let mut followed = Followed::start(spec, None, Start::End);
    followed
        .until(|followed| !followed.notices.is_empty())
        .await;
    assert_eq!(followed.kinds(), [NoticeKind::Missing]);
    fs::rename(&aside, &program).unwrap();
    followed.until(|followed| followed.lines.len() == 1).await;
    assert_eq!(
        followed.kinds(),
        [NoticeKind::Missing, NoticeKind::Following]
    );
    assert_eq!(followed.gaps, 0);
}

#[tokio::test]
async fn hints_about_permissions_are_passed_on_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let one = entry(1);
    let script = format!(
        "echo 'Hint: You are currently not seeing messages from other users and the system.' >&2\ncase \"$*\" in *--follow*) sleep 1; echo '{one}'; exec sleep 60;; esac"
    );
    let mut followed = Followed::start(
        false_journalctl(directory.path(), &script),
        None,
        Start::End,
    );
    followed
        .until(|followed| followed.lines.len() == 1 && followed.notices.len() == 2)
        .await;
    assert_eq!(
        followed.kinds(),
        [NoticeKind::Denied, NoticeKind::Following]
    );
    assert!(followed.notices[0].message.contains("systemd-journal"));
}

#[tokio::test]
async fn what_is_no_entry_or_too_long_is_counted_and_skipped() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("in"),
        format!(
            "no json\n{{\"__CURSOR\":\"c8\",\"MESSAGE\":\"{}\"}}\n{}\n",
            "x".repeat(3_000_000),
            entry(9)
        ),
    )
    .unwrap();
    let script = "case \"$*\" in *--follow*) cat in; exec sleep 60;; esac";
    let mut followed =
        Followed::start(false_journalctl(directory.path(), script), None, Start::End);
    followed.until(|followed| followed.lines.len() == 1).await;
    assert_eq!((followed.cut, followed.cursor.as_deref()), (2, Some("c9")));
    assert_eq!(followed.kinds(), [NoticeKind::Following, NoticeKind::Cut]);
}

#[test]
fn a_cut_entry_still_has_its_cursor() {
    let cursor = |text: &str| cursor_of_cut(text.as_bytes());
    assert_eq!(
        cursor(r#"{"_PID":"1","__CURSOR":"s=1;i=2","MESSAGE":"xxx"#).as_deref(),
        Some("s=1;i=2")
    );
    assert_eq!(cursor(r#"{"MESSAGE":"\"__CURSOR\":\"forged\" "#), None);
    assert_eq!(cursor(r#"{"__CURSOR":"s=1"#), None);
}

#[test]
fn the_calendar() {
    let date = |micros| {
        let mut text = Vec::new();
        write_time(micros, &mut text);
        String::from_utf8(text).unwrap()
    };
    assert_eq!(date(0), "1970-01-01T00:00:00.000000+00:00");
    assert_eq!(
        date(951_782_400_000_001),
        "2000-02-29T00:00:00.000001+00:00"
    );
    assert_eq!(
        date(4_107_542_399_999_999),
        "2100-02-28T23:59:59.999999+00:00"
    );
    assert_eq!(
        date(4_107_542_400_000_000),
        "2100-03-01T00:00:00.000000+00:00"
    );
    assert!(date(u64::MAX).ends_with("+00:00"));
}
