//! Health checks: the commands in the image's own directory `etc/fleetwarden/health.d`, run in the order of their
//! names.
//!
//! In: an unpacked image. Out: passed, failed or timed out, with the output's end as detail. Refuses: checks that run
//! longer than they may (the whole process group is killed), and more output than is worth keeping.
//!
//! A check may say how long it takes: a line `# timeout: 20 s` near its top.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::machine::Health;

/// Where checks lie in an image.
pub const CHECKS_DIR: &str = "etc/fleetwarden/health.d";
/// How long a check may run when it does not say otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How long a check may run at most: a device that needs longer than five minutes to know that it works is down.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(5);
/// Most checks that are run; more are a sign of a broken image.
const CHECKS_MAX: usize = 64;
/// How much of a check is read for its time-out line, in bytes: the line stands near the top.
const HEAD_BYTES_MAX: u64 = 4096;
/// How much of a check's output is kept, in bytes: what fits the detail of a report, several times over.
const OUTPUT_BYTES_MAX: usize = 2048;
/// How long to wait for the last output of a check that has ended: a stray grandchild may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// What the checks said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How they ended.
    pub health: Health,
    /// Why, for people.
    pub detail: String,
}

/// Runs the checks of the image that is unpacked at `root`, up to the first that does not pass.
pub fn run(root: &Path) -> Verdict {
    let checks = match checks(root) {
        Ok(checks) => checks,
        Err(error) => {
            return verdict(Health::Failed, &format!("the health checks cannot be listed: {error}"));
        }
    };
    if checks.is_empty() {
        return verdict(Health::Passed, "it booted; the image has no health checks of its own");
    }
    if checks.len() > CHECKS_MAX {
        let detail =
            format!("the image has {} health checks, more than the {CHECKS_MAX} allowed", checks.len());
        return verdict(Health::Failed, &detail);
    }
    for check in &checks {
        let name = check.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let limit = timeout_of(check);
        match run_one(check, root, limit) {
            Ok(Ended::Exited(status, _)) if status.success() => {
                tracing::info!(check = name, "health check passed");
            }
            Ok(Ended::Exited(status, output)) => {
                return verdict(Health::Failed, &format!("health check {name} failed ({status}): {output}"));
            }
            Ok(Ended::TimedOut(output)) => {
                let seconds = limit.as_secs();
                let detail = format!("health check {name} did not end within {seconds} s: {output}");
                return verdict(Health::TimedOut, &detail);
            }
            Err(error) => {
                return verdict(Health::Failed, &format!("health check {name} cannot be run: {error}"));
            }
        }
    }
    let detail = match checks.len() {
        1 => "its health check passed".to_owned(),
        count => format!("all {count} health checks passed"),
    };
    verdict(Health::Passed, &detail)
}

fn verdict(health: Health, detail: &str) -> Verdict {
    Verdict { health, detail: detail.trim_end().trim_end_matches(':').to_owned() }
}

fn checks(root: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(root.join(CHECKS_DIR)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut checks = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let about = fs::metadata(&path)?;
        if about.is_file() && about.permissions().mode() & 0o111 != 0 {
            checks.push(path);
        }
    }
    checks.sort();
    Ok(checks)
}

/// Reads `# timeout: N s` from the top of a check.
fn timeout_of(check: &Path) -> Duration {
    let mut head = Vec::new();
    let read = fs::File::open(check).and_then(|file| file.take(HEAD_BYTES_MAX).read_to_end(&mut head));
    if read.is_err() {
        return TIMEOUT_DEFAULT;
    }
    String::from_utf8_lossy(&head)
        .lines()
        .find_map(|line| {
            let rest = line.trim().strip_prefix('#')?.trim_start().strip_prefix("timeout:")?;
            rest.trim().strip_suffix('s')?.trim_end().parse::<u64>().ok()
        })
        .map_or(TIMEOUT_DEFAULT, |seconds| Duration::from_secs(seconds.max(1)).min(TIMEOUT_MAX))
}

enum Ended {
    Exited(ExitStatus, String),
    TimedOut(String),
}

fn run_one(check: &Path, root: &Path, limit: Duration) -> io::Result<Ended> {
    let mut child = Command::new(check)
        .current_dir(root)
        .env("FLEETWARDEN_ROOT", root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: whatever the check starts ends with it.
        .process_group(0)
        .spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let tail = Arc::new(Mutex::new(Vec::new()));
    let (open, closed) = mpsc::channel();
    listen(child.stdout.take(), &tail, &open);
    listen(child.stderr.take(), &tail, &open);
    drop(open);
    let ended = wait(child, limit, group);
    if let Some(group) = group {
        // After a pass too: nothing of a check stays. That nobody is left in the group is the usual case.
        kill_process_group(group, Signal::KILL).ok();
    }
    let output = collect(&tail, &closed);
    Ok(match ended? {
        Some(status) => Ended::Exited(status, output),
        None => Ended::TimedOut(output),
    })
}

/// Waits for a child; nothing when its time is over.
fn wait(mut child: Child, limit: Duration, group: Option<Pid>) -> io::Result<Option<ExitStatus>> {
    let (send, ended) = mpsc::channel();
    let waiter = thread::spawn(move || drop(send.send(child.wait())));
    let result = match ended.recv_timeout(limit) {
        Ok(status) => status.map(Some),
        Err(RecvTimeoutError::Timeout) => {
            if let Some(group) = group {
                kill_process_group(group, Signal::KILL)?;
            }
            Ok(None)
        }
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("nobody waits for the check")),
    };
    if waiter.join().is_err() {
        return Err(io::Error::other("waiting for the check failed"));
    }
    result
}

/// Reads a pipe to its end, however much comes, and keeps the tail.
fn listen(pipe: Option<impl Read + Send + 'static>, tail: &Arc<Mutex<Vec<u8>>>, open: &Sender<()>) {
    let Some(mut pipe) = pipe else { return };
    let (tail, open) = (Arc::clone(tail), open.clone());
    thread::spawn(move || {
        // Dropped when the pipe ends: that is the signal.
        let _open = open;
        let mut piece = [0; 1024];
        while let Ok(count @ 1..) = pipe.read(&mut piece) {
            let Ok(mut tail) = tail.lock() else { return };
            tail.extend_from_slice(piece.get(..count).unwrap_or_default());
            let surplus = tail.len().saturating_sub(OUTPUT_BYTES_MAX);
            tail.drain(..surplus);
        }
    });
}

/// Returns the end of what was said, in one line.
fn collect(tail: &Mutex<Vec<u8>>, closed: &Receiver<()>) -> String {
    // Either way out of this wait is fine: both pipes have ended, or somebody holds them who does not matter.
    closed.recv_timeout(DRAIN).ok();
    let kept = tail.lock().map(|tail| tail.clone()).unwrap_or_default();
    let text = String::from_utf8_lossy(&kept);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" / ")
}

#[cfg(test)]
mod tests;
