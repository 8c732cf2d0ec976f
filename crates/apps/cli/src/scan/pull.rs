//! `scan pull`: reports from a running OpenVAS, over Greenbone's management protocol.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use warden_feeds::gmp::{Gmp, GmpError, ReportEntry};

use super::{send, tell};
use crate::failure::{Exit, Failure, Outcome, chain};
use crate::session::Session;

/// Longest password file, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Where the scanner is, and which reports.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// The socket of a scanner on this machine
    #[arg(long, value_name = "FILE", required_unless_present = "tls", conflicts_with = "tls")]
    socket: Option<PathBuf>,
    /// The address of a scanner, with TLS
    #[arg(long, value_name = "HOST:PORT", requires = "tls_ca")]
    tls: Option<String>,
    /// The certificate (PEM) that the scanner's must come from
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_ca: Option<PathBuf>,
    /// The user's name in the scanner
    #[arg(long, value_name = "NAME")]
    user: String,
    /// A file with the user's password
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// Only reports of the task with this name
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
}

/// Gets and imports the newest finished report of each task.
pub(super) fn pull(args: &PullArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let password = password(&args.password_file)?;
    let mut gmp = match (&args.socket, &args.tls, &args.tls_ca) {
        (Some(path), _, _) => Gmp::connect_socket(path),
        (None, Some(address), Some(ca)) => Gmp::connect_tls(address, ca),
        (None, _, _) => return Err(Failure::new(Exit::Usage, "name the scanner with --socket or --tls")),
    }
    .map_err(|error| failed(&error))?;
    let version = gmp.version().map_err(|error| failed(&error))?;
    gmp.authenticate(&args.user, &password).map_err(|error| failed(&error))?;
    let reports = newest(gmp.reports().map_err(|error| failed(&error))?, args.task.as_deref());
    session.output.say(&format!("the scanner speaks GMP {version}; {} reports are wanted", reports.len()))?;
    let mut receipts = Vec::new();
    for report in reports {
        let mut file =
            tempfile::tempfile().map_err(|error| Failure::failed("make a temporary file", &error))?;
        let mut writer = BufWriter::new(&file);
        gmp.report(&report.id, &mut writer).map_err(|error| failed(&error))?;
        let kept = writer.flush();
        drop(writer);
        kept.and_then(|()| file.rewind()).map_err(|error| Failure::failed("keep the report", &error))?;
        receipts.push(send(file, &client)?);
    }
    tell(&receipts, session)?;
    Ok(Exit::Done)
}

/// Returns the newest report of each task whose scan came to its end.
fn newest(reports: Vec<ReportEntry>, task: Option<&str>) -> Vec<ReportEntry> {
    let mut newest: BTreeMap<String, ReportEntry> = BTreeMap::new();
    let is_wanted =
        |report: &ReportEntry| report.status == "Done" && task.is_none_or(|task| task == report.task_name);
    for report in reports.into_iter().filter(is_wanted) {
        let is_newer = newest.get(&report.task).is_none_or(|known| known.ended < report.ended);
        if is_newer {
            newest.insert(report.task.clone(), report);
        }
    }
    newest.into_values().collect()
}

fn failed(error: &GmpError) -> Failure {
    let exit = match error {
        GmpError::Refused { .. } => Exit::Denied,
        GmpError::Connect { .. }
        | GmpError::Tls { .. }
        | GmpError::Broken { .. }
        | GmpError::Ended { .. } => Exit::Network,
        GmpError::Authority { .. } | GmpError::TooLarge { .. } | GmpError::Answer { .. } => Exit::Invalid,
        GmpError::Keep { .. } => Exit::Failed,
    };
    Failure::new(exit, chain(error)).hint(error.hint())
}

fn password(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| Failure::file("read the password file", path, &error))?;
    let read = file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::file("read the password file", path, &error))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::{ReportEntry, newest};

    #[test]
    fn the_newest_finished_report_of_each_task_is_wanted() {
        let report = |id: &str, task: &str, status: &str, day: u8| ReportEntry {
            id: id.to_owned(),
            task: task.to_owned(),
            task_name: format!("task {task}"),
            status: status.to_owned(),
            ended: format!("2026-11-{day:02}T00:00:00Z").parse().ok(),
        };
        let reports = vec![
            report("1", "a", "Done", 1),
            report("2", "a", "Done", 3),
            report("3", "a", "Running", 4),
            report("4", "a", "Done", 2),
            report("5", "b", "Done", 1),
        ];
        let check = |task: Option<&str>, expected: &[&str]| {
            let ids: Vec<String> =
                newest(reports.clone(), task).into_iter().map(|report| report.id).collect();
            assert_eq!(ids, expected);
        };
        check(None, &["2", "5"]);
        check(Some("task b"), &["5"]);
        check(Some("nobody"), &[]);
    }
}
