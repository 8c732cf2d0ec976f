//! What a line of a log says, in the words of the domain.
//!
//! In: nothing but values. Out: flows, names and rule hits. Refuses: nothing; the readers check.

use std::fmt;
use std::net::IpAddr;

use warden_model::Timestamp;
use warden_model::alert::Sensor;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP of either IP version; its port is always 0.
    Icmp,
    /// Another one; its port is always 0.
    Other,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Other];

    /// Returns the word that stands in destinations.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Other => "other",
        }
    }

    pub(crate) fn read(text: &str) -> Self {
        match text {
            "tcp" | "TCP" => Self::Tcp,
            "udp" | "UDP" => Self::Udp,
            "icmp" | "ICMP" | "IPv6-ICMP" | "ICMPv6" => Self::Icmp,
            _ => Self::Other,
        }
    }

    pub(crate) fn port(self, port: Option<u16>) -> u16 {
        match self {
            Self::Tcp | Self::Udp => port.unwrap_or(0),
            Self::Icmp | Self::Other => 0,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Where a name comes from, and so how far it may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameSource {
    /// A resolver's answer tied the address to the name.
    Resolved,
    /// The device itself claimed it, in a TLS server name or an HTTP host: malware may claim what it likes.
    Claimed,
}

/// The name of a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The name in lower case, without the final dot.
    pub text: String,
    /// Where it comes from.
    pub source: NameSource,
}

/// A connection that somebody opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// When the connection was opened, or first told of.
    pub at: Timestamp,
    /// The log.
    pub sensor: Sensor,
    /// Who opened it.
    pub source: IpAddr,
    /// Who was called.
    pub destination: IpAddr,
    /// The port that was called; 0 where the protocol has none.
    pub port: u16,
    /// The protocol.
    pub protocol: Transport,
    /// The destination's name, where the line itself has one.
    pub name: Option<Name>,
    /// The application protocol that the sensor recognised, for instance `tls`.
    pub app: Option<String>,
    /// The sensor's own name of the connection: the same in each of its logs.
    pub uid: String,
}

/// A resolver's answer: these addresses have this name, for this client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub client: IpAddr,
    /// The name that was asked for.
    pub name: String,
    /// The addresses of the answer.
    pub addresses: Vec<IpAddr>,
}

/// A rule of an intrusion-detection system that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHit {
    /// When.
    pub at: Timestamp,
    /// The log.
    pub sensor: Sensor,
    /// The rule's number; 0 for a Zeek notice.
    pub sid: u32,
    /// What the rule says of itself, at most 200 printable characters.
    pub signature: String,
    /// How severe: 1 is the worst, 255 the least (Suricata's scale).
    pub severity: u8,
    /// Whether the packet was dropped.
    pub outcome: Outcome,
    /// The sender of the packet.
    pub source: IpAddr,
    /// The receiver of the packet.
    pub destination: IpAddr,
    /// The receiver's port; 0 where there is none.
    pub port: u16,
    /// The protocol.
    pub protocol: Transport,
    /// The advisories that the rule names in its metadata (`fw_cve`, `cve`).
    pub cves: Vec<String>,
    /// The virtual patches that the rule belongs to (`fw_vp`).
    pub virtual_patches: Vec<String>,
    /// The sensor's own name of the connection.
    pub uid: String,
}

/// What became of the packet that a rule met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It went through.
    Allowed,
    /// It was dropped.
    Blocked,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// A connection.
    Flow(Flow),
    /// Names of addresses.
    Names(Names),
    /// A rule that matched.
    Rule(RuleHit),
    /// Something that we do not use: its kind, to be counted.
    Other(String),
}

impl Observed {
    /// Returns the kind of record, for counting.
    pub fn kind(&self) -> &str {
        match self {
            Self::Flow(_) => "flow",
            Self::Names(_) => "names",
            Self::Rule(_) => "rule",
            Self::Other(kind) => kind,
        }
    }
}
