//! Real files in a temporary directory, and a reader without a thread: each test says when it looks and reads.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lymph_protocol::Timestamp;
use lymph_scenarios::line::{LINE_BYTES_MAX, Source};

use super::*;
use crate::daemon::sources::batch::{BATCH_BYTES_MAX, BATCH_LINES_MAX};

/// A reader, and the engine and disk of the daemon that it would read for.
struct Follower {
    specs: Vec<FileSpec>,
    tail: Tail,
    positions: Positions,
    lines: Vec<(String, u64)>,
    notices: Vec<Notice>,
    gaps: u64,
    cut: u64,
    saved: (Positions, usize),
}

impl Follower {
    fn new(patterns: &[&Path], start: Start) -> Self {
        let source = Source::file("", "syslog");
        let specs = patterns.iter().map(|pattern| FileSpec {
            pattern: pattern.to_str().unwrap().to_owned(),
            container: None,
            framing: Framing::Plain,
            start,
            source: source.clone(),
        });
        let specs: Vec<_> = specs.collect();
        let mut follower = Follower {
            tail: Tail::new(specs.clone(), Positions::default()),
            specs,
            positions: Positions::default(),
            lines: Vec::new(),
            notices: Vec::new(),
            gaps: 0,
            cut: 0,
            saved: Default::default(),
        };
        follower.look();
        follower.save();
        follower
    }

    fn take(&mut self, batch: &mut Batch) {
        assert!(batch.len() <= BATCH_LINES_MAX && batch.text.capacity() <= BATCH_BYTES_MAX);
        self.lines.extend(
            batch
                .lines(Timestamp::EPOCH)
                .map(|line| (String::from_utf8_lossy(line.text).into_owned(), line.id)),
        );
        self.notices.append(&mut batch.notices);
        self.gaps += batch.gaps;
        self.cut += batch.cut_lines;
        batch
            .updates
            .drain(..)
            .for_each(|update| self.positions.apply(update));
        batch.clear();
    }

    fn look(&mut self) {
        let mut batch = Batch::default();
        self.tail.look(&mut batch);
        self.take(&mut batch);
    }

    fn read_once(&mut self) -> bool {
        let mut batch = Batch::default();
        let has_read = self.tail.read(&mut batch);
        self.take(&mut batch);
        has_read
    }

    fn read(&mut self) {
        while self.read_once() {}
    }

    /// What happens in a second.
    fn second(&mut self) {
        self.tail.tick();
        self.look();
        self.read();
    }

    fn save(&mut self) {
        self.saved = (self.positions.clone(), self.lines.len());
    }

    /// The daemon is killed and starts again from what it saved last.
    fn kill(&mut self) {
        let (positions, lines) = self.saved.clone();
        self.lines.truncate(lines);
        self.tail = Tail::new(self.specs.clone(), positions.clone());
        self.positions = positions;
        self.look();
    }

    fn texts(&self) -> Vec<&str> {
        self.lines.iter().map(|(text, _)| text.as_str()).collect()
    }

    fn kinds(&self) -> Vec<NoticeKind> {
        self.notices.iter().map(|notice| notice.kind).collect()
    }

    #[track_caller]
    fn expect(&mut self, lines: &[&str]) {
        assert_eq!(self.texts(), lines, "{:#?}", self.notices);
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("auth.log");
    (directory, log)
}

fn beside(log: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", log.display()))
}

#[test]
fn begins_at_the_end_and_waits_for_whole_lines() {
    let (_directory, log) = directory();
    append(&log, "old\nhalf");
    let mut follower = Follower::new(&[&log], Start::End);
    follower.second();
    follower.expect(&[]);
    append(&log, " a line");
    follower.second();
    follower.expect(&[]);
    append(&log, "\nnew\n");
    follower.second();
    follower.expect(&["half a line", "new"]);
}

#[test]
fn begins_at_the_beginning_if_told_so() {
    let (_directory, log) = directory();
    append(&log, "old\n");
    let mut follower = Follower::new(&[&log], Start::Beginning);
    follower.second();
    follower.expect(&["old"]);
}

#[test]
fn a_file_that_appears_later_is_read_from_its_beginning() {
    let (directory, log) = directory();
    let pattern = directory.path().join("*.log");
    let mut follower = Follower::new(&[&pattern], Start::End);
    assert_eq!(follower.kinds(), [NoticeKind::Missing]);
    append(&log, "a\n");
    append(&directory.path().join("other.log"), "b\n");
    append(&directory.path().join("other.log.1"), "old\n");
    append(&directory.path().join("other.log.2.gz"), "old\n");
    follower.second();
    follower.expect(&["a", "b"]);
}

#[test]
fn a_rename_reads_the_old_file_first_and_for_as_long_as_it_is_written_to() {
    let (_directory, log) = directory();
    append(&log, "one\n");
    let mut follower = Follower::new(&[&log], Start::End);
    let mut writer = OpenOptions::new().append(true).open(&log).unwrap();
    writer.write_all(b"two\n").unwrap();
    fs::rename(&log, beside(&log, ".1")).unwrap();
    append(&log, "four\n");
    writer.write_all(b"three\n").unwrap();
    follower.second();
    follower.expect(&["two", "three", "four"]);
    for _ in 0..path::QUIET_TICKS * 2 {
        writer.write_all(b"late\n").unwrap();
        follower.second();
    }
    assert_eq!(follower.lines.len(), 3 + path::QUIET_TICKS as usize * 2);
    writer.write_all(b"no end").unwrap();
    for _ in 0..path::QUIET_TICKS + 2 {
        follower.second();
    }
    assert_eq!(follower.texts().last(), Some(&"no end"));
    let position = &follower.positions.files[log.to_str().unwrap()];
    assert_eq!((position.files.len(), position.done.len()), (1, 1));
    assert_eq!(follower.kinds(), [NoticeKind::Rotated]);
}

#[test]
fn an_old_file_stays_open_until_the_writer_is_seen_in_the_new_one() {
    let (_directory, log) = directory();
    append(&log, "one\n");
    let mut follower = Follower::new(&[&log], Start::End);
    let mut writer = OpenOptions::new().append(true).open(&log).unwrap();
    fs::rename(&log, beside(&log, ".1")).unwrap();
    append(&log, "");
    for _ in 0..path::QUIET_TICKS * 3 {
        follower.second();
    }
    writer.write_all(b"still here\n").unwrap();
    follower.second();
    follower.expect(&["still here"]);
}

#[test]
fn copytruncate_reads_the_copy_to_its_end() {
    let (_directory, log) = directory();
    append(&log, "zero\n");
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\n");
    follower.second();
    append(&log, "two\n");
    fs::copy(&log, beside(&log, ".1")).unwrap();
    File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(0)
        .unwrap();
    append(&log, "three\n");
    follower.second();
    follower.expect(&["one", "two", "three"]);
    assert_eq!(
        (follower.kinds(), follower.gaps),
        (vec![NoticeKind::Truncated], 0)
    );
    // Longer than it was, and nothing unread.
    fs::rename(beside(&log, ".1"), beside(&log, ".2")).unwrap();
    fs::copy(&log, beside(&log, ".1")).unwrap();
    File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(0)
        .unwrap();
    append(
        &log,
        "four, which is longer than all before together\nfive\n",
    );
    follower.second();
    follower.expect(&[
        "one",
        "two",
        "three",
        "four, which is longer than all before together",
        "five",
    ]);
    assert_eq!(follower.gaps, 0);
}

#[test]
fn a_truncation_without_a_copy_is_a_gap_only_if_something_was_unread() {
    let (_directory, log) = directory();
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\n");
    follower.second();
    fs::write(&log, "").unwrap();
    follower.second();
    append(&log, "two\n");
    follower.second();
    follower.expect(&["one", "two"]);
    assert_eq!(
        (follower.kinds().last(), follower.gaps),
        (Some(&NoticeKind::Truncated), 0)
    );
    append(&log, &"x\n".repeat(2 * BATCH_LINES_MAX));
    follower.read_once();
    fs::write(&log, "three\n").unwrap();
    follower.second();
    assert_eq!(
        (follower.kinds().last(), follower.gaps),
        (Some(&NoticeKind::Gap), 1)
    );
    assert_eq!(follower.texts().last(), Some(&"three"));
}

#[test]
fn a_hole_left_by_a_writer_that_does_not_append_is_skipped() {
    let (_directory, log) = directory();
    let mut writer = File::create(&log).unwrap();
    let mut follower = Follower::new(&[&log], Start::End);
    writer
        .write_all("a line before\n".repeat(100_000).as_bytes())
        .unwrap();
    follower.second();
    follower.lines.clear();
    File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(0)
        .unwrap();
    writer.write_all(b"one\ntwo\n").unwrap();
    follower.second();
    follower.expect(&["one", "two"]);
    assert_eq!(follower.cut, 0);
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_its_successor_from_the_beginning() {
    let (_directory, log) = directory();
    append(&log, "zero\n");
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\n");
    fs::remove_file(&log).unwrap();
    follower.second();
    follower.expect(&["one"]);
    assert_eq!(follower.kinds(), [NoticeKind::Missing]);
    append(&log, "two\n");
    follower.second();
    follower.expect(&["one", "two"]);
    // Gone for good: the file is let go, so that its blocks are free.
    fs::remove_file(&log).unwrap();
    (0..path::QUIET_TICKS + 2).for_each(|_| follower.second());
    assert_eq!(follower.positions.files[log.to_str().unwrap()].files, []);
}

#[test]
fn a_link_that_points_elsewhere_is_a_rotation() {
    let (directory, link) = directory();
    let (first, second) = (
        directory.path().join("app-a"),
        directory.path().join("app-b"),
    );
    append(&first, "old\n");
    append(&second, "two\n");
    symlink(&first, &link).unwrap();
    let mut follower = Follower::new(&[&link], Start::End);
    append(&first, "one\n");
    fs::remove_file(&link).unwrap();
    symlink(&second, &link).unwrap();
    follower.second();
    follower.expect(&["one", "two"]);
    // And back again.
    fs::remove_file(&link).unwrap();
    symlink(&first, &link).unwrap();
    append(&first, "three\n");
    follower.second();
    follower.expect(&["one", "two", "three"]);
    (0..path::QUIET_TICKS + 2).for_each(|_| follower.second());
    fs::remove_file(&link).unwrap();
    symlink(&second, &link).unwrap();
    append(&second, "four\n");
    follower.second();
    follower.expect(&["one", "two", "three", "four"]);
}

#[test]
fn a_file_under_two_names_is_read_once() {
    let (directory, log) = directory();
    let link = directory.path().join("a-link.log");
    append(&log, "");
    symlink(&log, &link).unwrap();
    let mut follower = Follower::new(
        &[&directory.path().join("*.log"), &log, &beside(&log, ".1")],
        Start::End,
    );
    append(&log, "one\n");
    follower.second();
    follower.expect(&["one"]);
    assert!(follower.kinds().contains(&NoticeKind::LeftOut));
    // Even where the rotated one is followed as well.
    fs::rename(&log, beside(&log, ".1")).unwrap();
    append(&log, "two\n");
    (0..path::QUIET_TICKS + 2).for_each(|_| follower.second());
    follower.expect(&["one", "two"]);
}

#[test]
fn restarts_go_on_where_they_were() {
    let (_directory, log) = directory();
    append(&log, "old\n");
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\ntwo\n");
    follower.second();
    follower.save();
    append(&log, "three\n");
    follower.second();
    let before = follower.lines.clone();
    follower.kill();
    follower.second();
    assert_eq!(follower.lines, before, "the same lines with the same ids");
    append(&log, "four\n");
    follower.second();
    follower.expect(&["one", "two", "three", "four"]);
    assert_eq!(follower.gaps, 0);
}

#[test]
fn ids_survive_rotation_restart_and_a_restored_backup() {
    let (directory, log) = directory();
    append(&log, "zero\n");
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\ntwo\n");
    follower.second();
    let ids = follower.lines.clone();
    for way in 0..4 {
        match way {
            0 => fs::rename(&log, beside(&log, ".1")).unwrap(),
            1 => fs::rename(beside(&log, ".1"), beside(&log, "-20260301")).unwrap(),
            2 => {
                fs::rename(beside(&log, "-20260301"), directory.path().join("saved")).unwrap();
                fs::copy(directory.path().join("saved"), beside(&log, ".2")).unwrap();
                fs::remove_file(directory.path().join("saved")).unwrap();
            }
            _ => fs::rename(beside(&log, ".2"), &log).unwrap(),
        }
        follower.kill();
        follower.second();
        assert_eq!(follower.lines, ids, "{way}");
    }
    // The same text at the same offset of the next generation is another line.
    let (_other, log) = self::directory();
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "first\nsame\n");
    follower.second();
    fs::write(&log, "fresh\nsame\n").unwrap();
    follower.second();
    let ids: BTreeMap<_, _> = follower.lines.iter().map(|(text, id)| (id, text)).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn lines_of_the_time_between_are_read_over_several_rotations() {
    let (_directory, log) = directory();
    append(&beside(&log, ".1"), "very old\n");
    append(&log, "zero\n");
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\n");
    follower.second();
    follower.save();
    append(&log, "two\n");
    fs::rename(beside(&log, ".1"), beside(&log, ".4")).unwrap();
    fs::rename(&log, beside(&log, ".3")).unwrap();
    append(&beside(&log, ".2"), "three\n");
    std::thread::sleep(Duration::from_millis(20));
    append(&beside(&log, ".1"), "four\n");
    append(&log, "five\n");
    follower.kill();
    follower.second();
    follower.expect(&["one", "two", "three", "four", "five"]);
    assert_eq!(follower.gaps, 0);
}

#[test]
fn copytruncate_while_down_is_read_from_the_copies() {
    let (_directory, log) = directory();
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\n");
    follower.second();
    follower.save();
    append(&log, "two\n");
    fs::copy(&log, beside(&log, ".2")).unwrap();
    fs::write(&log, "three, longer than before\n").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    fs::copy(&log, beside(&log, ".1")).unwrap();
    fs::write(&log, "four\n").unwrap();
    follower.kill();
    follower.second();
    follower.expect(&["one", "two", "three, longer than before", "four"]);
    assert_eq!(follower.gaps, 0);
}

#[test]
fn what_only_a_compressed_file_holds_is_a_gap() {
    let (_directory, log) = directory();
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\n");
    follower.second();
    follower.save();
    fs::rename(&log, beside(&log, ".2.gz")).unwrap();
    append(&beside(&log, ".1"), "between\n");
    append(&log, "now\n");
    // The content of the old one is no longer there.
    fs::write(beside(&log, ".2.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    follower.kill();
    follower.second();
    follower.expect(&["one", "between", "now"]);
    let gap = follower
        .notices
        .iter()
        .find(|notice| notice.kind == NoticeKind::Gap)
        .unwrap();
    assert!(gap.message.contains("lymph replay"), "{}", gap.message);
    assert_eq!(follower.gaps, 1);
}

#[test]
fn nothing_is_lost_while_the_directory_is_away() {
    let (directory, _) = directory();
    let (logs, away) = (directory.path().join("log"), directory.path().join("away"));
    fs::create_dir(&logs).unwrap();
    let log = logs.join("auth.log");
    append(&log, "");
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, "one\n");
    follower.second();
    follower.save();
    append(&log, "two\n");
    fs::rename(&logs, &away).unwrap();
    follower.kill();
    (0..3).for_each(|_| follower.second());
    follower.save();
    follower.kill();
    follower.second();
    follower.expect(&["one"]);
    fs::rename(&away, &logs).unwrap();
    follower.second();
    follower.expect(&["one", "two"]);
    assert_eq!(follower.gaps, 0);
}

/// What a wildcard matched is followed from its position, whenever the folder comes.
#[test]
fn a_folder_that_is_mounted_late_is_read_on() {
    for mount_point_is_there in [false, true] {
        let (directory, _) = directory();
        let (mounted, away) = (directory.path().join("logs"), directory.path().join("away"));
        fs::create_dir(&mounted).unwrap();
        let log = mounted.join("auth.log");
        append(&log, "old\n");
        let mut follower = Follower::new(&[&mounted.join("*.log")], Start::End);
        append(&log, "one\n");
        follower.second();
        follower.save();
        fs::rename(&mounted, &away).unwrap();
        if mount_point_is_there {
            fs::create_dir(&mounted).unwrap();
        }
        // Two starts without it.
        for _ in 0..2 {
            follower.kill();
            follower.second();
            follower.save();
        }
        assert!(follower.kinds().contains(&NoticeKind::Missing));
        if mount_point_is_there {
            fs::remove_dir(&mounted).unwrap();
        }
        fs::rename(&away, &mounted).unwrap();
        append(&log, "two\n");
        follower.second();
        follower.expect(&["one", "two"]);
        assert_eq!(follower.gaps, 0, "{mount_point_is_there}");
    }
}

/// A folder that a wildcard matched and that is gone, while others are there, was deleted and not unmounted.
#[test]
fn what_was_deleted_while_down_is_forgotten() {
    let (directory, _) = directory();
    let folders = ["one", "two"].map(|name| directory.path().join(name));
    for folder in &folders {
        fs::create_dir(folder).unwrap();
        append(&folder.join("auth.log"), "");
    }
    let mut follower = Follower::new(&[&directory.path().join("*/auth.log")], Start::End);
    follower.second();
    follower.save();
    assert_eq!(follower.positions.files.len(), 2);
    fs::remove_dir_all(&folders[0]).unwrap();
    follower.kill();
    follower.second();
    assert_eq!(follower.positions.files.len(), 1);
}

/// The last word about each source, as the daemon keeps it for `status`.
fn last_words(notices: &[Notice]) -> BTreeMap<String, NoticeKind> {
    let mut words = BTreeMap::new();
    for notice in notices {
        match notice.kind {
            NoticeKind::Forgotten => words.remove(&notice.source),
            kind => words.insert(notice.source.clone(), kind),
        };
    }
    words
}

#[test]
fn trouble_that_is_over_is_said_to_be_over() {
    let (directory, log) = directory();
    let pattern = directory.path().join("*.log");
    let words_for = |follower: &Follower, path: &Path| {
        last_words(&follower.notices)
            .get(path.to_str().unwrap())
            .copied()
    };
    let mut follower = Follower::new(&[&pattern], Start::End);
    assert_eq!(words_for(&follower, &pattern), Some(NoticeKind::Missing));
    append(&log, "one\n");
    follower.second();
    assert_eq!(words_for(&follower, &pattern), Some(NoticeKind::Following));

    fs::remove_file(&log).unwrap();
    follower.second();
    assert_eq!(words_for(&follower, &log), Some(NoticeKind::Missing));
    (0..=path::QUIET_TICKS).for_each(|_| follower.tail.tick());
    follower.second();
    follower.second();
    assert!(follower.positions.files.is_empty());
    assert_eq!(words_for(&follower, &log), None, "it is forgotten");
    assert_eq!(words_for(&follower, &pattern), Some(NoticeKind::Missing));
}

#[test]
fn a_folder_that_may_be_listed_at_last_is_said() {
    let mut state = SpecState::default();
    let spec = FileSpec {
        pattern: "/logs/*.log".to_owned(),
        container: None,
        framing: Framing::Plain,
        start: Start::End,
        source: Source::default(),
    };
    let mut out = Batch::default();
    let denied = pattern::Matches {
        denied: vec![("/logs".into(), io::ErrorKind::PermissionDenied)],
        ..Default::default()
    };
    state.say(&spec, &denied, &mut out);
    state.say(&spec, &pattern::Matches::default(), &mut out);
    let words = last_words(&out.notices);
    assert_eq!(words["/logs"], NoticeKind::Following);
    assert_eq!(words["/logs/*.log"], NoticeKind::Missing);
}

#[test]
fn a_line_of_ten_megabytes_is_cut_in_bounded_memory() {
    let (_directory, log) = directory();
    let mut follower = Follower::new(&[&log], Start::End);
    append(&log, &"x".repeat(10_000_000));
    follower.second();
    append(&log, "\nshort\n");
    follower.second();
    assert_eq!(follower.lines.len(), 2);
    assert_eq!(
        (follower.lines[0].0.len(), follower.lines[1].0.as_str()),
        (LINE_BYTES_MAX, "short")
    );
    assert_eq!(
        (follower.kinds().last(), follower.cut),
        (Some(&NoticeKind::Cut), 1)
    );
    append(&log, &format!("{}\n", "x".repeat(LINE_BYTES_MAX + 1)));
    follower.second();
    assert_eq!(
        (
            follower
                .kinds()
                .iter()
                .filter(|kind| **kind == NoticeKind::Cut)
                .count(),
            follower.cut
        ),
        (1, 2)
    );
}

#[test]
fn no_more_paths_than_allowed_are_followed_and_the_oldest_are_left_out() {
    let (directory, _) = directory();
    for number in 0..PATHS_MAX + 3 {
        append(&directory.path().join(format!("{number:05}.log")), "");
    }
    let old = std::time::SystemTime::UNIX_EPOCH;
    for number in [7, 8, 9] {
        File::options()
            .write(true)
            .open(directory.path().join(format!("{number:05}.log")))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let mut follower = Follower::new(&[&directory.path().join("*.log")], Start::End);
    follower.look();
    assert_eq!(follower.tail.paths.len(), PATHS_MAX);
    assert!(
        follower
            .tail
            .paths
            .iter()
            .all(|path| !path.name.ends_with("00008.log"))
    );
    let left_out: Vec<_> = follower
        .notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::LeftOut)
        .collect();
    assert_eq!(left_out.len(), 1);
    assert!(
        left_out[0].message.starts_with("3 of"),
        "{}",
        left_out[0].message
    );
    let pattern = left_out[0].source.clone();
    for path in fs::read_dir(directory.path()).unwrap().take(10) {
        fs::remove_file(path.unwrap().path()).unwrap();
    }
    (0..=path::QUIET_TICKS).for_each(|_| follower.tail.tick());
    (0..5).for_each(|_| follower.second());
    assert_eq!(
        last_words(&follower.notices)[&pattern],
        NoticeKind::Following
    );
}

#[test]
fn files_of_one_path_and_the_memory_of_done_ones_are_bounded() {
    let (_directory, log) = directory();
    let mut follower = Follower::new(&[&log], Start::End);
    for number in 0..3 * path::FILES_MAX {
        append(&log, "x\n");
        follower.look();
        fs::rename(&log, beside(&log, &format!(".{number}"))).unwrap();
    }
    append(&log, "x\n");
    follower.second();
    let position = &follower.positions.files[log.to_str().unwrap()];
    assert_eq!(
        (position.files.len(), position.done.len()),
        (path::FILES_MAX, path::DONE_MAX)
    );
    assert!(follower.gaps > 0, "those that were never read are counted");
}

#[test]
fn so_many_rotations_while_down_are_too_many() {
    let (_directory, log) = directory();
    append(&log, "zero\n");
    let mut follower = Follower::new(&[&log], Start::End);
    fs::rename(&log, beside(&log, ".99")).unwrap();
    for number in (0..40).rev() {
        append(
            &beside(&log, &format!(".{number}")),
            &format!("line {number}\n"),
        );
    }
    append(&log, "now\n");
    follower.kill();
    assert!(follower.tail.paths[0].open_ids().count() <= path::FILES_MAX);
    follower.second();
    assert_eq!(follower.texts().last(), Some(&"now"));
    assert!(follower.gaps > 0 && follower.kinds().contains(&NoticeKind::Gap));
}

#[test]
fn a_pipe_or_directory_is_left_out_and_said_once() {
    let (directory, log) = directory();
    fs::create_dir(&log).unwrap();
    let pipe = directory.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut follower = Follower::new(&[&log, &pipe], Start::End);
    (0..3).for_each(|_| follower.second());
    assert_eq!(follower.kinds(), [NoticeKind::LeftOut, NoticeKind::LeftOut]);
}

#[test]
fn docker_logs_are_unwrapped_over_restarts() {
    let (_directory, log) = directory();
    let mut follower = Follower::new(&[], Start::End);
    follower.specs = vec![FileSpec {
        pattern: log.to_str().unwrap().to_owned(),
        container: None,
        framing: Framing::Docker,
        start: Start::End,
        source: Source::file("", "nginx"),
    }];
    append(&log, "");
    follower.saved = Default::default();
    follower.kill();
    append(
        &log,
        "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"time\":\"\"}\n{\"log\":\"tw\",\"stream\":\"stdout\",\"time\":\"\"}\n",
    );
    follower.second();
    follower.expect(&["one"]);
    follower.save();
    follower.kill();
    append(
        &log,
        "{\"log\":\"o\\n\",\"stream\":\"stdout\",\"time\":\"\"}\n",
    );
    follower.second();
    follower.expect(&["one", "two"]);
}

/// Makes a container as Docker does, under any name first.
fn container(folder: &Path, id: &str, name: &str) -> PathBuf {
    let folder = folder.join(id);
    fs::create_dir_all(&folder).unwrap();
    let config = folder.join("config.v2.json");
    fs::write(
        &config,
        format!("{{\"ID\":\"{id}\",\"Name\":\"/{id}_tmp\"}}"),
    )
    .unwrap();
    let renamed = folder.join("config.v2.json.new");
    fs::write(
        &renamed,
        format!("{{\"ID\":\"{id}\",\"Name\":\"/{name}\"}}"),
    )
    .unwrap();
    fs::rename(&renamed, &config).unwrap();
    folder.join(format!("{id}-json.log"))
}

fn record(text: &str) -> String {
    format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"\"}}\n")
}

#[test]
fn a_container_is_followed_by_its_name_whatever_becomes_of_it() {
    let (directory, _) = directory();
    let folder = directory.path().join("containers");
    let mut follower = Follower::new(&[], Start::End);
    follower.specs = vec![FileSpec {
        pattern: "docker:web".to_owned(),
        container: Some(Container::new("web", &folder)),
        framing: Framing::Docker,
        start: Start::End,
        source: Source::file("", "nginx"),
    }];
    // No Docker yet, then no such container yet.
    follower.kill();
    follower.second();
    append(&container(&folder, "aaaa", "db"), &record("of another"));
    follower.second();
    assert_eq!(follower.kinds(), [NoticeKind::Missing], "said once");
    assert_eq!(follower.notices[0].source, "docker:web");

    let first = container(&folder, "bbbb", "web");
    append(&first, &record("one"));
    follower.second();
    follower.expect(&["one"]);
    follower.save();

    // It is made anew, while we run and while we do not.
    fs::remove_dir_all(folder.join("bbbb")).unwrap();
    let second = container(&folder, "cccc", "web");
    append(&second, &record("two"));
    follower.second();
    follower.expect(&["one", "two"]);
    (0..=path::QUIET_TICKS).for_each(|_| follower.tail.tick());
    follower.second();
    follower.second();
    let followed: Vec<_> = follower.positions.files.keys().collect();
    assert_eq!(
        followed,
        [second.to_str().unwrap()],
        "the old one is forgotten"
    );
    follower.save();
    fs::remove_dir_all(folder.join("cccc")).unwrap();
    append(&container(&folder, "dddd", "web"), &record("three"));
    follower.kill();
    follower.second();
    follower.expect(&["one", "two", "three"]);
    assert_eq!(follower.positions.files.len(), 1);
    follower.save();

    // Docker's disk is mounted late.
    let away = directory.path().join("away");
    fs::rename(&folder, &away).unwrap();
    follower.kill();
    follower.second();
    fs::rename(&away, &folder).unwrap();
    append(&folder.join("dddd/dddd-json.log"), &record("four"));
    follower.second();
    follower.expect(&["one", "two", "three", "four"]);
}

/// A log that is written to and rotated at random, and what its reader must have seen.
struct World {
    log: PathBuf,
    chance: u64,
    written: u64,
    /// The writer, and whether it has begun a line.
    writer: File,
    is_within_line: bool,
}

impl World {
    fn new(log: PathBuf, seed: u64) -> Self {
        let writer = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        World {
            log,
            chance: seed.wrapping_mul(2).wrapping_add(1),
            written: 0,
            writer,
            is_within_line: false,
        }
    }

    fn choose(&mut self, below: u64) -> u64 {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % below
    }

    fn write_lines(&mut self, count: u64) {
        let mut text = String::new();
        if std::mem::take(&mut self.is_within_line) {
            text.push_str(" end\n");
        }
        for _ in 0..count {
            text.push_str(&format!("line {}\n", self.written));
            self.written += 1;
        }
        self.writer.write_all(text.as_bytes()).unwrap();
    }

    fn begin_line(&mut self) {
        if !std::mem::replace(&mut self.is_within_line, true) {
            self.writer
                .write_all(format!("line {}", self.written).as_bytes())
                .unwrap();
            self.written += 1;
        }
    }

    /// Makes room for a new `.1`; the oldest is compressed away.
    fn shift(&self) {
        let _ = fs::remove_file(beside(&self.log, ".12"));
        for number in (1..12).rev() {
            let _ = fs::rename(
                beside(&self.log, &format!(".{number}")),
                beside(&self.log, &format!(".{}", number + 1)),
            );
        }
    }

    fn rename(&mut self, reopens: bool) {
        self.shift();
        fs::rename(&self.log, beside(&self.log, ".1")).unwrap();
        let new = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)
            .unwrap();
        if reopens {
            self.write_lines(0);
            self.writer = new;
        }
    }

    fn reopen(&mut self) {
        self.write_lines(0);
        self.writer = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)
            .unwrap();
    }

    fn copytruncate(&mut self) {
        self.reopen();
        self.shift();
        fs::copy(&self.log, beside(&self.log, ".1")).unwrap();
        self.writer.set_len(0).unwrap();
    }
}

/// Times of files are counted in ticks of the kernel; no real rotation is done twice within one.
fn next_tick_of_the_kernel() {
    std::thread::sleep(Duration::from_millis(5));
}

fn random_world(seed: u64, operations: u32) {
    let (_directory, log) = directory();
    let mut world = World::new(log.clone(), seed);
    let mut follower = Follower::new(&[&log], Start::End);
    // A file that is deleted before it was read is lost; so many rotations since the last whole read may be.
    let mut rotations = 0;
    let mut history = Vec::new();
    for _ in 0..operations {
        let operation = world.choose(14);
        history.push(operation);
        match operation {
            0..3 => {
                let count = world.choose(5) + 1;
                world.write_lines(count);
            }
            3 => world.write_lines(3000),
            4 => world.begin_line(),
            5 | 6 if rotations < 3 => {
                let reopens = world.choose(3) > 0;
                world.rename(reopens);
                rotations += 1;
                next_tick_of_the_kernel();
            }
            7 if rotations < 3 => {
                world.copytruncate();
                rotations += 1;
                next_tick_of_the_kernel();
            }
            5..8 => world.reopen(),
            8 => {
                follower.read_once();
            }
            9 => {
                // A minute passes; more rotations than three in one are none of this world.
                follower.second();
                (0..=path::QUIET_TICKS).for_each(|_| follower.tail.tick());
                follower.second();
                follower.save();
                rotations = 0;
            }
            10 => follower.second(),
            11 => follower.save(),
            12 => follower.kill(),
            _ => follower.look(),
        }
    }
    world.write_lines(1);
    (0..3).for_each(|_| follower.second());
    let mut numbers: Vec<u64> = follower
        .texts()
        .iter()
        .map(|text| {
            text.split(' ')
                .nth(1)
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("{text:?}"))
        })
        .collect();
    numbers.sort_unstable();
    let all: Vec<u64> = (0..world.written).collect();
    if numbers != all {
        let missing: Vec<_> = all
            .iter()
            .filter(|number| !numbers.contains(number))
            .take(10)
            .collect();
        let twice: Vec<_> = numbers
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .take(10)
            .collect();
        panic!(
            "seed {seed}: missing {missing:?}, twice {twice:?} of {}\n{history:?}\n{:#?}",
            world.written, follower.notices
        );
    }
    let ids: std::collections::BTreeSet<_> = follower.lines.iter().map(|(_, id)| id).collect();
    assert_eq!(
        ids.len(),
        follower.lines.len(),
        "seed {seed}: two lines with one id"
    );
    assert_eq!(
        follower.gaps, 0,
        "seed {seed} {history:?} {:#?}",
        follower.notices
    );
}

#[test]
fn random_operations_lose_and_double_nothing() {
    for seed in seeds() {
        random_world(seed, 120);
    }
}

/// `LYMPH_SEEDS=0..5000 cargo test` tries more of them.
fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("LYMPH_SEEDS").ok();
    let range = given.as_deref().and_then(|text| text.split_once(".."));
    range.map_or(0..16, |(from, to)| {
        from.parse().unwrap()..to.parse().unwrap()
    })
}
