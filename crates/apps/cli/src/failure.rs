//! How commands end: exit codes, and failures as people and programs read them.
//!
//! In: what went wrong. Out: an exit code, one line that says what failed and why, and a hint. Refuses nothing.

use std::fmt;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use warden_wire::problem::Problem;

/// How a command ends. The numbers are a promise to scripts and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Done,
    /// Something failed while it ran.
    Failed,
    /// The command line is not understood.
    Usage,
    /// There is no such thing.
    NotFound,
    /// Who asks is not known, or may not do this.
    Denied,
    /// The present state does not allow it.
    Conflict,
    /// What was given does not fit.
    Invalid,
    /// The network failed, or the time was up.
    Network,
    /// The answer is "yes, look": findings, refusals of a gate, checks that need a person. Never a failure.
    Attention,
}

impl Exit {
    /// All ends, in the order of their numbers.
    pub(crate) const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Denied,
        Self::Conflict,
        Self::Invalid,
        Self::Network,
        Self::Attention,
    ];

    /// Returns the number, the word, and what it means.
    pub(crate) const fn parts(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::Done => (0, "done", "all is well"),
            Self::Failed => (1, "failed", "something failed while it ran"),
            Self::Usage => (2, "usage", "the command line is not understood"),
            Self::NotFound => (3, "not-found", "there is no such thing"),
            Self::Denied => (4, "denied", "who asks is not known, or may not do this"),
            Self::Conflict => (5, "conflict", "the present state does not allow it"),
            Self::Invalid => (6, "invalid", "what was given does not fit"),
            Self::Network => (7, "network", "the network failed, or the time was up"),
            Self::Attention => (10, "attention", "the answer is yes: findings, or something needs a person"),
        }
    }

    /// Returns the number.
    pub(crate) const fn code(self) -> u8 {
        self.parts().0
    }
}

/// What a command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How the command ends.
    pub(crate) exit: Exit,
    /// A stable word for programs: the word of the exit code, or the server's own.
    pub(crate) code: String,
    /// What failed, and why.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Makes a failure.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: exit.parts().1.to_owned(), message: message.into(), hint: None }
    }

    /// Makes the failure "something failed while it ran", with all causes of the error.
    pub(crate) fn failed(attempt: &str, error: &dyn std::error::Error) -> Self {
        Self::new(Exit::Failed, format!("{attempt}: {}", chain(error)))
    }

    /// Makes the failure "what was given does not fit", with all causes of the error.
    pub(crate) fn invalid(attempt: &str, error: &dyn std::error::Error) -> Self {
        Self::new(Exit::Invalid, format!("{attempt}: {}", chain(error)))
    }

    /// Makes a failure of a file: what was attempted (`read`, `write`) on which path.
    pub(crate) fn file(attempt: &str, path: &Path, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            io::ErrorKind::PermissionDenied => Exit::Denied,
            io::ErrorKind::IsADirectory => Exit::Invalid,
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, format!("{attempt} {}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::NotFound => failure.hint("check the path"),
            io::ErrorKind::IsADirectory => failure.hint("name a file, not a folder"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                failure.hint("make room on the disk and run the command again")
            }
            _ => failure,
        }
    }

    /// Makes a failure of what the server answered.
    pub(crate) fn of_problem(problem: &Problem) -> Self {
        let exit = exit_of(problem.code(), problem.status);
        Self {
            exit,
            code: problem.code().to_owned(),
            message: problem.detail.clone(),
            hint: problem.hint.clone().or_else(|| default_hint(exit)),
        }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the form for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "error": { "code": self.code, "message": self.message, "hint": self.hint } })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}

/// Returns an error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause's text in their own; saying it once is enough.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Returns the exit for what the server answered: by its own code, or by the HTTP status when that is all there is.
pub(crate) fn exit_of(code: &str, status: u16) -> Exit {
    match code {
        "not-found" => Exit::NotFound,
        "not-authenticated" | "not-allowed" => Exit::Denied,
        "conflict" => Exit::Conflict,
        "invalid" | "too-large" => Exit::Invalid,
        _ => match status {
            404 => Exit::NotFound,
            401 | 403 => Exit::Denied,
            409 | 412 => Exit::Conflict,
            400 | 413 | 415 | 422 => Exit::Invalid,
            408 | 502..=504 => Exit::Network,
            _ => Exit::Failed,
        },
    }
}

fn default_hint(exit: Exit) -> Option<String> {
    match exit {
        Exit::Denied => Some(
            "give a token: --token, --token-file, FLEETWARDEN_TOKEN, or --data-dir on the server's machine"
                .to_owned(),
        ),
        Exit::Done
        | Exit::Failed
        | Exit::Usage
        | Exit::NotFound
        | Exit::Conflict
        | Exit::Invalid
        | Exit::Network
        | Exit::Attention => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure, exit_of};
    use warden_wire::problem::{Problem, ProblemCode};

    #[test]
    fn exit_codes_never_change() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 10]);
    }

    #[test]
    fn each_problem_of_the_server_has_its_exit_code() {
        let check = |code: ProblemCode, exit: Exit| {
            let problem = Problem::new(code, "why");
            assert_eq!(Failure::of_problem(&problem).exit, exit, "{code:?}");
        };
        check(ProblemCode::NotFound, Exit::NotFound);
        check(ProblemCode::NotAuthenticated, Exit::Denied);
        check(ProblemCode::NotAllowed, Exit::Denied);
        check(ProblemCode::Conflict, Exit::Conflict);
        check(ProblemCode::Invalid, Exit::Invalid);
        check(ProblemCode::TooLarge, Exit::Invalid);
        check(ProblemCode::Internal, Exit::Failed);
        check(ProblemCode::NoSpace, Exit::Failed);
    }

    #[test]
    fn a_bare_status_is_enough() {
        let check = |status, exit| assert_eq!(exit_of("", status), exit, "{status}");
        check(404, Exit::NotFound);
        check(401, Exit::Denied);
        check(503, Exit::Network);
        check(500, Exit::Failed);
        check(418, Exit::Failed);
    }

    #[test]
    fn a_file_that_fails_has_an_exit_and_a_hint_where_there_is_one() {
        use std::io::ErrorKind;
        let check = |kind: ErrorKind, exit, hint: Option<&str>| {
            let failure = Failure::file("write", std::path::Path::new("x.img"), &kind.into());
            assert_eq!(failure.exit, exit, "{kind}");
            assert!(failure.message.starts_with("write x.img: "), "{failure}");
            assert_eq!(
                failure.hint.as_deref().is_some_and(|is| hint.is_some_and(|hint| is.contains(hint))),
                hint.is_some()
            );
        };
        check(ErrorKind::NotFound, Exit::NotFound, Some("path"));
        check(ErrorKind::PermissionDenied, Exit::Denied, None);
        check(ErrorKind::IsADirectory, Exit::Invalid, Some("not a folder"));
        for full in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge] {
            check(full, Exit::Failed, Some("make room"));
        }
        check(ErrorKind::Other, Exit::Failed, None);
    }

    #[test]
    fn a_failure_has_one_form_for_people_and_one_for_programs() {
        let failure = Failure::new(Exit::NotFound, "there is no device x").hint("list them");
        assert_eq!(failure.to_string(), "there is no device x\nhint: list them");
        let json = r#"{"error":{"code":"not-found","hint":"list them","message":"there is no device x"}}"#;
        assert_eq!(failure.to_json().to_string(), json);
    }
}
