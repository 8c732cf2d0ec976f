//! Runs the real `nft` on a ruleset.
//!
//! In: a ruleset as text, limits. Out: the version that accepted it, and how it was asked. Refuses: rulesets above a
//! size, waiting beyond a time, output beyond a size. It changes nothing on the machine: a check is `nft -c`, and a
//! rehearsal loads the ruleset into a network namespace of its own that vanishes with the process.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

/// How much a run of `nft` may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NftLimits {
    /// Largest ruleset in bytes. One for 100,000 devices has about 4 MiB; 64 MiB is far above any fleet of one gateway.
    pub ruleset_bytes_max: usize,
    /// Longest run. 100,000 devices take 0.7 s of one core; 30 s leave room for a small and busy gateway.
    pub run_time_max: Duration,
    /// Most bytes of error text that are kept: `nft` repeats the faulty line, and the first error is what people need.
    pub error_bytes_max: u64,
}

impl Default for NftLimits {
    fn default() -> Self {
        Self { ruleset_bytes_max: 64 << 20, run_time_max: Duration::from_secs(30), error_bytes_max: 64 << 10 }
    }
}

/// How `nft` was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// As the user that we are.
    Directly,
    /// In a user and network namespace of its own, because the user may not read the kernel's tables.
    InNamespace,
}

/// A ruleset that `nft` has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The version of `nft`, for instance `1.0.6`.
    pub nft_version: String,
    /// How it was asked.
    pub asked: Asked,
}

/// A ruleset that was not accepted.
#[derive(Debug, Error)]
pub enum NftError {
    /// There is no `nft`, or for a rehearsal no `unshare`.
    #[error("cannot find {program}; hint: {hint}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The ruleset is faulty.
    #[error("nft refused the ruleset at line {line}: {message}")]
    Refused {
        /// The line, from 1; 0 when `nft` names none.
        line: usize,
        /// What `nft` says, in one line.
        message: String,
    },
    /// Neither the user nor a namespace may ask the kernel.
    #[error("not permitted to ask the kernel ({message}); hint: {hint}")]
    NotPermitted {
        /// What was said.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// It took too long and was stopped.
    #[error("nft was stopped after {seconds} s")]
    TimedOut {
        /// The limit, in seconds.
        seconds: u64,
    },
    /// The ruleset is too large.
    #[error("the ruleset has {bytes} bytes, more than the {bytes_max} that are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The program could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Checks a ruleset with `nft -c`: its grammar and types, and by a transaction that is given up also what this kernel
/// takes (elements that overlap, expressions that it lacks). Works for root and for plain users.
pub fn check_ruleset(text: &str, limits: NftLimits) -> Result<Checked, NftError> {
    let nft = nft()?;
    let directly = run(Command::new(&nft).args(["-c", "-f", "-"]), text, limits);
    let (outcome, asked) = match directly {
        // A plain user may not even read the tables of the machine, and needs none of them: an empty namespace does.
        Err(NftError::NotPermitted { .. }) => {
            let mut command = in_namespace(&nft)?;
            (run(command.args(["-c", "-f", "-"]), text, limits), Asked::InNamespace)
        }
        other => (other, Asked::Directly),
    };
    outcome?;
    Ok(Checked { nft_version: version(&nft, limits)?, asked })
}

/// Loads a ruleset for real, in a network namespace that vanishes at once: the check, and the commit too, whatever
/// rules the machine itself has.
pub fn rehearse_ruleset(text: &str, limits: NftLimits) -> Result<Checked, NftError> {
    let nft = nft()?;
    let mut command = in_namespace(&nft)?;
    run(command.args(["-f", "-"]), text, limits)?;
    Ok(Checked { nft_version: version(&nft, limits)?, asked: Asked::InNamespace })
}

fn nft() -> Result<PathBuf, NftError> {
    let hint = "install the package nftables, for instance with apt-get install nftables";
    find("nft").ok_or(NftError::Missing { program: "nft", hint })
}

/// Runs a program as root of a user namespace, in a network namespace without interfaces and rules.
fn in_namespace(program: &Path) -> Result<Command, NftError> {
    let hint = "install the package util-linux, or run as root";
    let unshare = find("unshare").ok_or(NftError::Missing { program: "unshare", hint })?;
    let mut command = Command::new(unshare);
    command.arg("--map-root-user").arg("--net").arg("--").arg(program);
    Ok(command)
}

/// Looks through `PATH`, then through the system folders that a plain user's `PATH` often lacks.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    folders.into_iter().chain(system).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn version(nft: &Path, limits: NftLimits) -> Result<String, NftError> {
    let mut command = Command::new(nft);
    let output = finish(command.arg("--version"), "", limits)?;
    // `nftables v1.0.6 (Lester Gooch #5)`
    let word = output.stdout.split_whitespace().nth(1).unwrap_or("unknown");
    Ok(word.trim_start_matches('v').to_owned())
}

struct Output {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command, text: &str, limits: NftLimits) -> Result<(), NftError> {
    if text.len() > limits.ruleset_bytes_max {
        return Err(NftError::TooLarge { bytes: text.len(), bytes_max: limits.ruleset_bytes_max });
    }
    let output = finish(command, text, limits)?;
    if output.status.success() { Ok(()) } else { Err(why(&output.stderr)) }
}

fn finish(command: &mut Command, text: &str, limits: NftLimits) -> Result<Output, NftError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| NftError::Run { program: program.clone(), source };
    // Error texts are read by code: they must not follow the user's language.
    command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let writer = child.stdin.take().map(|mut stdin| {
        let text = text.to_owned();
        // `nft` that stops at an error closes its end: the error text is what counts then.
        std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())))
    });
    let stdout = child.stdout.take().map(|pipe| collect(pipe, limits.error_bytes_max));
    let stderr = child.stderr.take().map(|pipe| collect(pipe, limits.error_bytes_max));
    let status = wait(&mut child, limits.run_time_max).map_err(failed)?;
    if let Some(writer) = writer {
        drop(writer.join());
    }
    let (stdout, stderr) = (joined(stdout), joined(stderr));
    let status = status.ok_or(NftError::TimedOut { seconds: limits.run_time_max.as_secs() })?;
    Ok(Output { status, stdout, stderr })
}

/// Reads a pipe to its end, and keeps no more than the limit: a pipe that nobody empties would stop the child.
fn collect(mut pipe: impl Read + Send + 'static, bytes_max: u64) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        drop(pipe.by_ref().take(bytes_max).read_to_end(&mut kept));
        drop(std::io::copy(&mut pipe, &mut std::io::sink()));
        String::from_utf8_lossy(&kept).into_owned()
    })
}

fn joined(reader: Option<JoinHandle<String>>) -> String {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

/// Waits for a child; stops it when the time is over and returns `None`.
fn wait(child: &mut Child, time_max: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= time_max {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Reads the first error of `nft`: `/dev/stdin:12:3-9: Error: syntax error, unexpected …`.
fn why(stderr: &str) -> NftError {
    let first = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("nft said nothing").trim();
    let message: String = first.chars().take(300).collect();
    let place = first.split_once(": Error: ").or_else(|| first.split_once(": "));
    let line = place.and_then(|(place, _)| place.split(':').nth(1)?.parse().ok());
    if line.is_none() && first.contains("Operation not permitted") {
        let hint = "run as root, or allow unprivileged user namespaces (sysctl user.max_user_namespaces)";
        return NftError::NotPermitted { message, hint };
    }
    match (line, place) {
        (Some(line), Some((_, message))) => {
            NftError::Refused { line, message: message.chars().take(300).collect() }
        }
        (Some(_) | None, _) => NftError::Refused { line: 0, message },
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{NftError, NftLimits, finish, why};

    #[test]
    fn errors_of_nft_are_told_apart() {
        let refused = |stderr: &str, line: usize, message: &str| match why(stderr) {
            NftError::Refused { line: found, message: said } => {
                assert_eq!((found, said.as_str()), (line, message));
            }
            other => panic!("{stderr}: {other}"),
        };
        refused(
            "/dev/stdin:12:37-37: Error: syntax error, unexpected '}'\ntable\n ^\n",
            12,
            "syntax error, unexpected '}'",
        );
        refused(
            "\n/dev/stdin:3:1-2: Error: Could not process rule: File exists\n",
            3,
            "Could not process rule: File exists",
        );
        refused("", 0, "nft said nothing");
        let denied = [
            "netlink: Error: cache initialization failed: Operation not permitted\n",
            "unshare: unshare failed: Operation not permitted",
        ];
        for stderr in denied {
            assert!(matches!(why(stderr), NftError::NotPermitted { .. }), "{stderr}");
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let limits = NftLimits { run_time_max: Duration::from_millis(20), ..NftLimits::default() };
        let outcome = finish(Command::new("sleep").arg("600"), "", limits);
        assert!(matches!(outcome, Err(NftError::TimedOut { seconds: 0 })));
    }

    #[test]
    fn a_flood_of_output_is_cut_and_stops_nobody() {
        let limits = NftLimits { error_bytes_max: 10, ..NftLimits::default() };
        let output =
            finish(Command::new("sh").args(["-c", "yes | head -c 1000000 >&2"]), "unread", limits).unwrap();
        assert_eq!(output.stderr, "y\ny\ny\ny\ny\n");
        assert!(output.status.success());
    }
}
