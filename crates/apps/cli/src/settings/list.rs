//! The list of all settings: one entry drives the environment, the files, `config show` and the reference.

use std::net::SocketAddr;

use crate::span;

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A URL that starts with `https://`.
    Url,
    /// A path.
    Path,
    /// Several paths; in the environment they are separated by `:`.
    Paths,
    /// An address and a port.
    Address,
    /// A span of time.
    Span,
    /// A size.
    Size,
    /// A share.
    Share,
    /// A number.
    Count,
    /// `yes` or `no`.
    YesNo,
}

impl Takes {
    /// Returns the word for the reference.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "text",
            Self::Url => "https URL",
            Self::Path => "path",
            Self::Paths => "paths",
            Self::Address => "address:port",
            Self::Span => "span of time",
            Self::Size => "size",
            Self::Share => "share",
            Self::Count => "number",
            Self::YesNo => "yes or no",
        }
    }

    /// Checks a text.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text | Self::Secret | Self::Path | Self::Paths => {
                if text.is_empty() {
                    Err("the value is empty".to_owned())
                } else {
                    Ok(())
                }
            }
            Self::Url => match text.strip_prefix("https://") {
                Some(rest) if !rest.is_empty() => Ok(()),
                Some(_) | None => Err(format!("{text:?} is no URL such as https://fleet.example.org:8444")),
            },
            Self::Address => match text.parse::<SocketAddr>() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("{text:?} is no address such as 127.0.0.1:8443 or [::]:8443")),
            },
            Self::Span => span::seconds(text).map(drop),
            Self::Size => span::bytes(text).map(drop),
            Self::Share => span::share(text).map(drop),
            Self::Count => span::count(text).map(drop),
            Self::YesNo => match text {
                "yes" | "no" => Ok(()),
                _ => Err(format!("{text:?} is neither yes nor no")),
            },
        }
    }

    /// Checks a text and gives it back: what the parser of the command line wants.
    pub(crate) fn checked(self, text: &str) -> Result<String, String> {
        self.check(text).map(|()| text.to_owned())
    }
}

/// A setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its key in files; a dot stands for a table.
    pub(crate) key: &'static str,
    /// What it takes.
    pub(crate) takes: Takes,
    /// Its default, where it has one.
    pub(crate) default: Option<&'static str>,
    /// What it means.
    pub(crate) about: &'static str,
}

impl Setting {
    const fn new(
        key: &'static str,
        takes: Takes,
        default: Option<&'static str>,
        about: &'static str,
    ) -> Self {
        Self { key, takes, default, about }
    }

    /// Returns the flag.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.key.rsplit('.').next().unwrap_or(self.key))
    }

    /// Returns the environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("FLEETWARDEN_{}", self.key.replace(['.', '-'], "_").to_uppercase())
    }
}

/// All settings, in the order in which they are shown.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::new(
        "server",
        Takes::Url,
        Some("https://localhost:8444"),
        "Where the server's console and REST API are.",
    ),
    Setting::new(
        "token",
        Takes::Secret,
        None,
        "The API token; a file is safer, because other users can see flags.",
    ),
    Setting::new(
        "token-file",
        Takes::Path,
        None,
        "A file with the API token; without it, `admin.token` of the data directory.",
    ),
    Setting::new(
        "ca",
        Takes::Path,
        None,
        "The certificate (PEM) that the server's certificate must come from; without it, `ca/ca.crt` of the data \
         directory.",
    ),
    Setting::new(
        "data-dir",
        Takes::Path,
        None,
        "The server's data directory: database, artifacts, keys, metadata.",
    ),
    Setting::new("answer-time", Takes::Span, Some("60s"), "How long one answer of the server may take."),
    Setting::new(
        "serve.device-listen",
        Takes::Address,
        Some("127.0.0.1:8443"),
        "Where devices connect (mutual TLS).",
    ),
    Setting::new(
        "serve.console-listen",
        Takes::Address,
        Some("127.0.0.1:8444"),
        "Where people and programs connect (TLS): console and REST API.",
    ),
    Setting::new(
        "serve.host",
        Takes::Text,
        Some("localhost"),
        "The host name under which devices reach the server; it stands in every link that they get.",
    ),
    Setting::new(
        "serve.trust-domain",
        Takes::Text,
        Some("fleet.local"),
        "The part of each device's identity that names the fleet: spiffe://<trust domain>/device/<id>.",
    ),
    Setting::new("serve.poll", Takes::Span, Some("5min"), "How often devices poll."),
    Setting::new("serve.turn", Takes::Span, Some("10s"), "How often the loop turns when nothing wakes it."),
    Setting::new(
        "serve.certificate-lifetime",
        Takes::Span,
        Some("7d"),
        "How long a device certificate is valid; the agent renews at half of it.",
    ),
    Setting::new(
        "serve.agent-binary",
        Takes::Path,
        None,
        "The agent that the lab runs as virtual device; without it, `fleetwarden-agent` beside this program.",
    ),
    Setting::new("serve.suricata", Takes::Paths, None, "Logs of Suricata (eve.json) to follow."),
    Setting::new("serve.zeek", Takes::Paths, None, "Logs of Zeek (conn.log) to follow."),
    Setting::new("serve.image-max", Takes::Size, Some("4GiB"), "The largest image that may be uploaded."),
    Setting::new(
        "serve.learn-for",
        Takes::Span,
        Some("7d"),
        "How long the watch learns what a product usually does before it raises alerts.",
    ),
    Setting::new(
        "serve.drill-loopback",
        Takes::YesNo,
        Some("no"),
        "Whether devices on loopback addresses get shields too: for drills on one machine, where rules are checked but \
         never meet a packet.",
    ),
    Setting::new(
        "serve.order-timeout",
        Takes::Span,
        Some("1d"),
        "For how long after an order a silent device counts as unreachable.",
    ),
    Setting::new(
        "serve.patch-builds",
        Takes::Count,
        Some("1"),
        "How many patches are built at the same time; with 0 none is, and all devices load full images.",
    ),
    Setting::new(
        "serve.patch-memory",
        Takes::Size,
        Some("2GiB"),
        "How much memory building patches may take, all builds together. A build takes up to nine times the larger image.",
    ),
    Setting::new(
        "serve.patch-cover",
        Takes::Share,
        Some("90%"),
        "A release goes on as soon as its patches are ready for this share of the devices; the others follow.",
    ),
    Setting::new(
        "serve.patch-wait",
        Takes::Span,
        Some("30min"),
        "A release goes on after this time, however many of its patches are ready; devices without one load the full \
         image.",
    ),
    Setting::new(
        "serve.patch-keep",
        Takes::Span,
        Some("30d"),
        "How long a patch is kept after the last device has left the version that it starts from.",
    ),
];
