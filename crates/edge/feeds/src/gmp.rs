//! Greenbone's management protocol (GMP): gets reports from a running OpenVAS.
//!
//! In: a Unix socket or an address with TLS, a user's name and password. Out: the list of reports, and each report as it is, to
//! be read by [`crate::scan::read_scan`]. Refuses: servers whose certificate does not come from the given authority, TLS below 1.3,
//! answers above their limits, answers that say that something failed.
//!
//! The protocol is XML both ways, a request and its answer at a time, without any framing: an answer has ended when its outermost
//! element has.

mod connect;
mod frame;

use std::io::{Read, Write};
use std::path::PathBuf;

use thiserror::Error;
use warden_model::{ByteCount, Timestamp};

use crate::scan::{Element, ScanError, ScanLimits, read_element};
use frame::Frame;

/// Largest answer that is no report: the list of 10,000 reports has some 20 MiB.
const ANSWER_BYTES_MAX: ByteCount = ByteCount::mib(64);
/// Most XML elements of such an answer: 50 for each of 10,000 reports, and some more.
const ANSWER_NODES_MAX: usize = 1_000_000;
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why something could not be had over the protocol.
#[derive(Debug, Error)]
pub enum GmpError {
    /// The server cannot be reached.
    #[error("cannot reach the scanner at {place}")]
    Connect {
        /// Where.
        place: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate of the authority cannot be used.
    #[error("{} holds no certificate of an authority", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
    },
    /// The connection cannot be made safe.
    #[error("cannot speak TLS 1.3 with {place}")]
    Tls {
        /// Where.
        place: String,
        /// Why not.
        source: rustls::Error,
    },
    /// The connection broke.
    #[error("the connection broke while {doing}")]
    Broken {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The scanner ended the connection in the middle of an answer.
    #[error("the scanner ended the connection while {doing}")]
    Ended {
        /// What was being done.
        doing: &'static str,
    },
    /// An answer is too large.
    #[error("the answer has more than {max}, while {doing}")]
    TooLarge {
        /// What was being done.
        doing: &'static str,
        /// How large it may be.
        max: ByteCount,
    },
    /// The scanner refused.
    #[error("the scanner refused {doing}: {said}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What it said: its status and text.
        said: String,
    },
    /// An answer is not understood.
    #[error("the scanner's answer is not understood, while {doing}")]
    Answer {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: ScanError,
    },
    /// The report cannot be kept.
    #[error("cannot keep the report")]
    Keep {
        /// Why not.
        source: std::io::Error,
    },
}

impl GmpError {
    /// Says what to do about it, in one line.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Connect { .. } => {
                "gvmd listens on /run/gvmd/gvmd.sock (its group may open it) or, with TLS, on port 9390"
            }
            Self::Authority { .. } => {
                "name the certificate of GVM's authority in PEM form, often /var/lib/gvm/CA/cacert.pem"
            }
            Self::Tls { .. } => "the scanner needs GnuTLS 3.6.5 or newer for TLS 1.3; the socket needs none",
            Self::Broken { .. } | Self::Ended { .. } => "try again; the log of gvmd says more",
            Self::TooLarge { .. } => "split the scan: fewer hosts a task",
            Self::Refused { .. } => "check the user's name, password and rights in the scanner",
            Self::Answer { .. } => {
                "is it Greenbone's management protocol (GMP 20 or newer) that answers there?"
            }
            Self::Keep { .. } => "free space on the disk for temporary files",
        }
    }
}

/// A report that the scanner has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportEntry {
    /// The scanner's id of it.
    pub id: String,
    /// The scanner's id of the task.
    pub task: String,
    /// What people call the task.
    pub task_name: String,
    /// How the scan stands: `Done`, `Running`, `Stopped`, …
    pub status: String,
    /// When the scan ended.
    pub ended: Option<Timestamp>,
}

/// Anything that bytes go through, both ways.
trait Line: Read + Write + Send {}

impl<T: Read + Write + Send> Line for T {}

/// A connection to a scanner.
pub struct Gmp {
    line: Box<dyn Line>,
}

impl std::fmt::Debug for Gmp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gmp")
    }
}

impl Gmp {
    /// Asks for the version of the protocol, for instance `22.7`.
    pub fn version(&mut self) -> Result<String, GmpError> {
        const DOING: &str = "asking for the version";
        let answer = self.ask("<get_version/>", DOING)?;
        Ok(answer.text_of("version").unwrap_or_default().to_owned())
    }

    /// Logs in.
    pub fn authenticate(&mut self, user: &str, password: &str) -> Result<(), GmpError> {
        const DOING: &str = "the login";
        let request = format!(
            "<authenticate><credentials><username>{}</username><password>{}</password></credentials></authenticate>",
            escape(user),
            escape(password)
        );
        self.ask(&request, DOING).map(|_| ())
    }

    /// Lists the reports of scans, in the order of the scanner.
    pub fn reports(&mut self) -> Result<Vec<ReportEntry>, GmpError> {
        const DOING: &str = "the list of reports";
        let answer = self.ask(
            "<get_reports details=\"0\" ignore_pagination=\"1\" usage_type=\"scan\" report_filter=\"rows=1\" filter=\"rows=-1\"/>",
            DOING,
        )?;
        Ok(answer.children("report").map(entry).filter(|report| !report.id.is_empty()).collect())
    }

    /// Gets a report with all its results, also those that the scanner only suspects, and returns its size.
    pub fn report(&mut self, id: &str, to: &mut dyn Write) -> Result<ByteCount, GmpError> {
        const DOING: &str = "getting a report";
        let request = format!(
            "<get_reports report_id=\"{}\" details=\"1\" ignore_pagination=\"1\" \
             filter=\"apply_overrides=1 min_qod=0 levels=chml rows=-1\"/>",
            escape(id)
        );
        self.send(&request, DOING)?;
        self.receive(to, ScanLimits::default().report, DOING)
    }

    fn ask(&mut self, request: &str, doing: &'static str) -> Result<Element, GmpError> {
        self.send(request, doing)?;
        let mut bytes = Vec::new();
        self.receive(&mut bytes, ANSWER_BYTES_MAX, doing)?;
        // A list has more elements than an item of a report.
        let limits = ScanLimits { item: ANSWER_BYTES_MAX, nodes: ANSWER_NODES_MAX, ..ScanLimits::default() };
        let whole = read_element(&bytes, &limits).map_err(|source| GmpError::Answer { doing, source })?;
        // The status of HTTP: 2xx is done, 4xx refused, 5xx failed.
        let status = whole.attribute("status").unwrap_or_default();
        if status.starts_with('2') {
            return Ok(whole);
        }
        let said = format!("{status} {}", whole.attribute("status_text").unwrap_or_default());
        Err(GmpError::Refused { doing, said: said.trim().chars().take(200).collect() })
    }

    fn send(&mut self, request: &str, doing: &'static str) -> Result<(), GmpError> {
        let sent = self.line.write_all(request.as_bytes()).and_then(|()| self.line.flush());
        sent.map_err(|source| GmpError::Broken { doing, source })
    }

    fn receive(
        &mut self,
        to: &mut dyn Write,
        max: ByteCount,
        doing: &'static str,
    ) -> Result<ByteCount, GmpError> {
        let mut frame = Frame::default();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut size = 0_u64;
        loop {
            let length = self.line.read(&mut buffer).map_err(|source| GmpError::Broken { doing, source })?;
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                return Err(GmpError::Ended { doing });
            }
            size = size.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            if size > max.0 {
                return Err(GmpError::TooLarge { doing, max });
            }
            to.write_all(bytes).map_err(|source| GmpError::Keep { source })?;
            if bytes.iter().any(|byte| frame.feed(*byte)) {
                return Ok(ByteCount(size));
            }
        }
    }
}

fn entry(element: &Element) -> ReportEntry {
    let task = element.child("task");
    let inner = element.child("report");
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    ReportEntry {
        id: owned(element.attribute("id")),
        task: owned(task.and_then(|task| task.attribute("id"))),
        task_name: owned(task.and_then(|task| task.text_of("name"))),
        status: owned(inner.and_then(|inner| inner.text_of("scan_run_status"))),
        ended: inner.and_then(|inner| inner.text_of("scan_end")).and_then(|ended| ended.parse().ok()),
    }
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
