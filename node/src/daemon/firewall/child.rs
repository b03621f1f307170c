//! Programs that the writer runs: each gets its input, and none may take for ever.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a program may take. Half a million entries take some seconds on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a program that has said everything is asked whether it has ended.
const NEARLY_DONE: Duration = Duration::from_millis(1);
/// How much of a program's complaint is passed on, in bytes.
const COMPLAINT_BYTES_MAX: usize = 400;

/// Run a program to its end with this input.
pub(super) fn run(mut command: Command, input: &str) -> Result<Output, String> {
    run_for(&mut command, input, PATIENCE)
}

/// Its pipes are served by a thread each, so that neither side waits for the other, and one more thread ends it when
/// its time is over.
fn run_for(command: &mut Command, input: &str, patience: Duration) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let child = &Mutex::new(child);
    let (done, is_done) = sync_channel::<()>(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A program that ends early says itself why.
                let _ = stdin.write_all(input.as_bytes());
            }
        });
        let complaints = scope.spawn(move || read(stderr));
        let watch = scope.spawn(move || {
            let is_late = is_done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
            if is_late {
                // It may have ended this very moment.
                let _ = locked(child).kill();
            }
            is_late
        });
        let stdout = read(stdout);
        let stderr = complaints.join().unwrap_or_default();
        let status = loop {
            match locked(child).try_wait() {
                Ok(None) => {}
                ended => break ended,
            }
            thread::sleep(NEARLY_DONE);
        };
        drop(done);
        match (watch.join(), status) {
            (Ok(false), Ok(Some(status))) => Ok(Output {
                status,
                stdout,
                stderr,
            }),
            (_, Err(error)) => Err(format!("{name}: {error}")),
            _ => Err(format!(
                "{name} did not end within {} s",
                patience.as_secs()
            )),
        }
    })
}

fn locked(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that comes; a pipe that breaks has an end like any other.
fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// What a program complained about: one line, cut, without what could steer a terminal.
pub(super) fn complaint(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let plain: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut line = words.join(" ");
    if line.len() > COMPLAINT_BYTES_MAX {
        line.truncate(line.floor_char_boundary(COMPLAINT_BYTES_MAX));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_its_input_and_is_heard() {
        let output = run(Command::new("cat"), "hello").unwrap();
        assert_eq!(output.stdout, b"hello");
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo no >&2; exit 3"]);
        // More input than a pipe holds, and nobody reads it.
        let output = run(failing, &"x".repeat(1 << 20)).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(complaint(&output.stderr), "no");
        let error = run(Command::new("/no/such/program"), "").unwrap_err();
        assert!(
            error.starts_with("/no/such/program cannot be started"),
            "{error}"
        );
    }

    #[test]
    fn a_program_has_only_so_much_time() {
        let mut sleeping = Command::new("sleep");
        sleeping.arg("60");
        let error = run_for(&mut sleeping, "", Duration::from_millis(50)).unwrap_err();
        assert!(error.starts_with("sleep did not end"), "{error}");
    }

    #[test]
    fn a_complaint_is_one_plain_line() {
        assert_eq!(complaint(b"a\n  b\x1b[31m\t c\xff"), "a b [31m c\u{fffd}");
        assert!(complaint(&[b'x'; 5000]).len() < 500);
    }
}
