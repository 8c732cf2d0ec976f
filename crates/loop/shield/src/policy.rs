//! What a shielded device may still reach, and who may still reach it.
//!
//! In: addresses, ports and classes as an operator writes them. Out: checked types that can stand in a ruleset as they
//! are. Refuses: prefixes that are too long, class marks outside their range, more entries than a class may have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;
use warden_model::ProductId;
use warden_model::shield::ShieldReason;

/// Most entries of one class. Profiles of real devices have 9 to 201 (UNSW's 28 MUD profiles); ten times that is either
/// a mistake or no isolation any more, and the set stays far below what the kernel was measured with.
pub const ALLOWED_PER_CLASS_MAX: usize = 2_048;

/// Marks above this one are taken: the top bit tells traffic to the device from traffic of the device.
pub const CLASS_MARK_MAX: u32 = 0x7fff_ffff;

/// A set of addresses with the same first bits; the bits behind them are always zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// A text or a pair of numbers that is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no address and no prefix such as 10.1.0.0/16 or 2001:db8::/32")]
pub struct PrefixError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl Prefix {
    /// Makes the prefix of the first `length` bits of an address: 0 to 32, or 0 to 128.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        let masked = match address {
            IpAddr::V4(v4) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return Err(PrefixError { text: format!("{address}/{length}") }),
        };
        Ok(Self { address: masked, length })
    }

    /// Makes the prefix that holds this one address.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Returns the first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Returns how many bits are fixed.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Says whether all addresses of `other` are in this prefix.
    pub fn covers(self, other: Self) -> bool {
        let same_family = self.address.is_ipv4() == other.address.is_ipv4();
        same_family
            && self.length <= other.length
            && Self::new(other.address, self.length).is_ok_and(|wider| wider == self)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.length == whole {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let error = || PrefixError { text: text.chars().take(64).collect() };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse().map_err(|_| error())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        match length {
            Some(length) => Self::new(address, length).map_err(|_| error()),
            None => Ok(Self::host(address)),
        }
    }
}

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Returns the word that nftables and Suricata both use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Who opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The device calls the peer; the port is the peer's.
    FromDevice,
    /// The peer calls the device; the port is the device's.
    ToDevice,
}

/// One thing that a shielded device may still do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    /// Who opens the connection.
    pub direction: Direction,
    /// The other side.
    pub peer: Prefix,
    /// The protocol.
    pub protocol: Protocol,
    /// The port of the side that is called.
    pub port: u16,
    /// Why, in a few words for people.
    pub why: String,
}

/// All devices with the same rights: a packet mark in the ruleset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class(u32);

impl Class {
    /// Devices whose product gets no updates any more.
    pub const SUPPORT_ENDED: Self = Self(0x1000);
    /// Devices that refused their fix.
    pub const PATCH_FAILED: Self = Self(0x1001);
    /// Devices whose fix is not there yet.
    pub const PATCH_PENDING: Self = Self(0x1002);

    /// Makes a class from its mark: 1 to [`CLASS_MARK_MAX`].
    pub fn new(mark: u32) -> Result<Self, PolicyError> {
        match mark {
            1..=CLASS_MARK_MAX => Ok(Self(mark)),
            0 | 0x8000_0000.. => Err(PolicyError::Mark { mark }),
        }
    }

    /// Returns the class of devices that are shielded for this reason, where their product has none of its own.
    pub const fn of(reason: ShieldReason) -> Self {
        match reason {
            ShieldReason::SupportEnded => Self::SUPPORT_ENDED,
            ShieldReason::PatchFailed => Self::PATCH_FAILED,
            ShieldReason::PatchPending => Self::PATCH_PENDING,
        }
    }

    /// Returns the packet mark.
    pub const fn mark(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

/// A policy that cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// The mark is zero or uses the top bit.
    #[error("class mark {mark:#x} is not between 0x1 and {CLASS_MARK_MAX:#x}")]
    Mark {
        /// The mark.
        mark: u32,
    },
    /// The class is full.
    #[error("class {class} already has the {ALLOWED_PER_CLASS_MAX} entries that are allowed")]
    ClassFull {
        /// The class.
        class: Class,
    },
}

/// The server that devices get their updates from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateServer {
    /// Its address.
    pub address: IpAddr,
    /// Its TCP ports.
    pub ports: BTreeSet<u16>,
}

/// What to do with a device whose address is a loopback address: it never crosses a gateway, so no rule can shield it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loopback {
    /// Skip the device and say why.
    #[default]
    Refuse,
    /// Write the rules all the same: for drills on one machine, where rules are checked but never meet a packet.
    WriteForDrill,
}

/// What shielded devices may still do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShieldPolicy {
    /// Every shielded device may reach it: a shield must never keep the fix away.
    pub server: UpdateServer,
    /// Every shielded device may ask these for names: UDP and TCP port 53 (RFC 7766 section 5 demands both).
    pub resolvers: Vec<IpAddr>,
    /// Every shielded device may ask these for the time: UDP port 123. Certificates need a clock.
    pub time_servers: Vec<IpAddr>,
    /// Products with a class of their own.
    pub products: BTreeMap<ProductId, Class>,
    /// What to do with loopback addresses.
    pub loopback: Loopback,
    classes: BTreeMap<Class, BTreeSet<Allowed>>,
}

impl ShieldPolicy {
    /// Makes the tightest policy: the update server and nothing else.
    pub fn new(server: UpdateServer) -> Self {
        Self {
            server,
            resolvers: Vec::new(),
            time_servers: Vec::new(),
            products: BTreeMap::new(),
            loopback: Loopback::default(),
            classes: BTreeMap::new(),
        }
    }

    /// Allows one thing more to a class.
    pub fn allow(&mut self, class: Class, allowed: Allowed) -> Result<(), PolicyError> {
        let entries = self.classes.entry(class).or_default();
        if entries.len() >= ALLOWED_PER_CLASS_MAX && !entries.contains(&allowed) {
            return Err(PolicyError::ClassFull { class });
        }
        entries.insert(allowed);
        Ok(())
    }

    /// Returns the class of a device of this product that is shielded for this reason.
    pub fn class_of(&self, product: &ProductId, reason: ShieldReason) -> Class {
        self.products.get(product).copied().unwrap_or(Class::of(reason))
    }

    /// Returns all that a class may do, sorted; never empty unless the server has no port.
    pub fn allowed(&self, class: Class) -> Vec<Allowed> {
        let from_device = |address: IpAddr, protocol, port, why: &str| Allowed {
            direction: Direction::FromDevice,
            peer: Prefix::host(address),
            protocol,
            port,
            why: why.to_owned(),
        };
        let mut all: BTreeSet<Allowed> = self.classes.get(&class).cloned().unwrap_or_default();
        for port in &self.server.ports {
            all.insert(from_device(self.server.address, Protocol::Tcp, *port, "update server"));
        }
        for resolver in &self.resolvers {
            all.insert(from_device(*resolver, Protocol::Udp, 53, "resolver"));
            all.insert(from_device(*resolver, Protocol::Tcp, 53, "resolver"));
        }
        for time_server in &self.time_servers {
            all.insert(from_device(*time_server, Protocol::Udp, 123, "time server"));
        }
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, PolicyError, Prefix};

    #[test]
    fn a_prefix_has_one_spelling() {
        let check = |text: &str, shown: &str| assert_eq!(text.parse::<Prefix>().unwrap().to_string(), shown);
        check("10.1.2.3/16", "10.1.0.0/16");
        check("10.1.2.3", "10.1.2.3");
        check("10.1.2.3/32", "10.1.2.3");
        check("0.0.0.0/0", "0.0.0.0/0");
        check("2001:DB8::1/32", "2001:db8::/32");
        check("::/0", "::/0");
        check("::ffff:10.0.0.1", "10.0.0.1");
        for text in
            ["", "10.0.0.1/33", "::/129", "10.0.0.1/-1", "10.0.0.1/8/8", "example.org", "10.0.0.1; drop"]
        {
            assert!(text.parse::<Prefix>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_wider_prefix_covers_a_narrower_one_of_its_family() {
        let check = |wide: &str, narrow: &str, covers: bool| {
            let (wide, narrow): (Prefix, Prefix) = (wide.parse().unwrap(), narrow.parse().unwrap());
            assert_eq!(wide.covers(narrow), covers, "{wide} {narrow}");
        };
        check("10.0.0.0/8", "10.1.0.0/16", true);
        check("10.0.0.0/8", "10.0.0.0/8", true);
        check("10.1.0.0/16", "10.0.0.0/8", false);
        check("0.0.0.0/0", "2001:db8::/32", false);
        check("::/0", "2001:db8::1", true);
    }

    #[test]
    fn the_top_bit_of_a_mark_is_taken() {
        assert_eq!(Class::new(0), Err(PolicyError::Mark { mark: 0 }));
        assert_eq!(Class::new(0x8000_0000), Err(PolicyError::Mark { mark: 0x8000_0000 }));
        assert_eq!(Class::new(0x1000), Ok(Class::SUPPORT_ENDED));
    }
}
