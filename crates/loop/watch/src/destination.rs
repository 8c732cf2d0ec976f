//! What a device talks to, as a baseline names it.
//!
//! In: a flow. Out: its destination: a name with port and protocol, else a class of addresses with port and protocol.
//! Refuses: bare addresses as keys. Time servers, clouds and multicast change theirs by the hour; a baseline of addresses
//! alerts on all of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::observed::{Flow, Name, NameSource, Transport};
use crate::text::host_name;

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The host itself.
    Loopback,
    /// A group or everybody on the link.
    Group,
    /// The local network: private, shared, link-local and unique-local addresses, and no address at all.
    Lan,
    /// Everything else.
    Internet,
}

impl Class {
    const ALL: [Self; 4] = [Self::Loopback, Self::Group, Self::Lan, Self::Internet];

    /// Returns the class of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Loopback,
            address if address.is_multicast() => Self::Group,
            IpAddr::V4(v4) if v4.is_broadcast() => Self::Group,
            IpAddr::V4(v4) => {
                // RFC 6598: 100.64.0.0/10 is shared behind carriers.
                let shared = v4.to_bits() >> 22 == 0x6440_0000 >> 22;
                let local = v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared;
                if local { Self::Lan } else { Self::Internet }
            }
            IpAddr::V6(v6) => {
                let local = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified();
                if local { Self::Lan } else { Self::Internet }
            }
        }
    }

    /// Returns the word that stands in keys.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Group => "group",
            Self::Lan => "lan",
            Self::Internet => "internet",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    Name(Name),
    Class(Class),
}

/// What a device talks to; shown as `cloud.example:443/tcp`, `claimed/cloud.example:443/tcp` when only the device itself
/// says so, or `class/internet:123/udp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    host: Host,
    port: u16,
    protocol: Transport,
}

/// A text that is no destination.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no destination such as cloud.example:443/tcp or class/internet:123/udp")]
pub struct DestinationError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl Destination {
    /// Returns the destination of a flow.
    pub fn of(flow: &Flow) -> Self {
        let host = flow.name.clone().map_or_else(|| Host::Class(Class::of(flow.destination)), Host::Name);
        Self { host, port: flow.port, protocol: flow.protocol }
    }

    /// Says in a few words what was not found in the baseline.
    pub(crate) fn missing(&self) -> String {
        let Self { host, port, protocol } = self;
        match host {
            Host::Name(Name { text, source: NameSource::Resolved }) => format!("{text} on {port}/{protocol}"),
            Host::Name(Name { text, source: NameSource::Claimed }) => {
                format!("{text} on {port}/{protocol} (a name that only the device itself claims)")
            }
            Host::Class(Class::Loopback) => format!("itself on {port}/{protocol}"),
            Host::Class(Class::Group) => format!("a group address on {port}/{protocol}"),
            Host::Class(Class::Lan) => format!("a local address on {port}/{protocol}"),
            Host::Class(Class::Internet) => {
                format!("an internet address without a name on {port}/{protocol}")
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(Name { text, source: NameSource::Resolved }) => f.write_str(text)?,
            Host::Name(Name { text, source: NameSource::Claimed }) => write!(f, "claimed/{text}")?,
            Host::Class(class) => write!(f, "class/{}", class.word())?,
        }
        write!(f, ":{}/{}", self.port, self.protocol)
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        parse(text).ok_or_else(|| DestinationError { text: text.chars().take(64).collect() })
    }
}

fn parse(text: &str) -> Option<Destination> {
    let (rest, protocol) = text.rsplit_once('/')?;
    let protocol = Transport::ALL.into_iter().find(|transport| transport.word() == protocol)?;
    let (host, port) = rest.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let named = |text: &str, source| host_name(text).map(|text| Host::Name(Name { text, source }));
    let host = match host.split_once('/') {
        Some(("class", word)) => Host::Class(Class::ALL.into_iter().find(|class| class.word() == word)?),
        Some(("claimed", name)) => named(name, NameSource::Claimed)?,
        Some(_) => return None,
        None => named(host, NameSource::Resolved)?,
    };
    Some(Destination { host, port, protocol })
}

#[cfg(test)]
mod tests {
    use super::{Class, Destination};

    #[test]
    fn a_destination_survives_its_text_form() {
        for text in [
            "cloud.example:443/tcp",
            "claimed/cloud.example:443/tcp",
            "class/internet:123/udp",
            "class/group:0/icmp",
            "class:443/tcp",
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "a:b/tcp",
            "a:443",
            "a:443/sctp",
            "class/mars:1/tcp",
            "x/y:1/tcp",
            "10.0.0.1:1/tcp",
            ":1/tcp",
        ] {
            assert!(text.parse::<Destination>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn addresses_have_classes() {
        let check =
            |address: &str, class: Class| assert_eq!(Class::of(address.parse().unwrap()), class, "{address}");
        check("192.168.1.1", Class::Lan);
        check("100.64.0.1", Class::Lan);
        check("100.128.0.1", Class::Internet);
        check("::ffff:10.0.0.1", Class::Lan);
        check("fe80::1", Class::Lan);
        check("fd00::1", Class::Lan);
        check("ff02::fb", Class::Group);
        check("224.0.0.251", Class::Group);
        check("255.255.255.255", Class::Group);
        check("127.0.0.1", Class::Loopback);
        check("185.244.25.235", Class::Internet);
        check("2001:4860::1", Class::Internet);
    }
}
