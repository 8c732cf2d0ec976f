//! The nftables ruleset of a plan.
//!
//! In: a plan. Out: one text for `nft -f` that replaces the whole table in one transaction. Refuses: to let any text from
//! outside into the ruleset other than as a quoted comment of plain characters.
//!
//! The shape is a class map (address → mark) and a policy set (mark . peer . protocol . port), a pair for each address
//! family. A packet costs two look-ups, however many devices and entries there are; changing one device is one element.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::plan::{Planned, ShieldPlan};
use crate::policy::{Allowed, Class, Direction, Prefix, Protocol};

/// The table that we own; nothing outside it is ever touched.
pub const TABLE: &str = "fleetwarden";

/// Set in the mark of a packet that goes to a shielded device, so that both directions share one policy set.
const TO_DEVICE: u32 = 0x8000_0000;

/// Longest comment of an element, in bytes; nftables refuses more than 128.
const COMMENT_BYTES_MAX: usize = 100;

/// What happens to packets. The order is the point: quarantine stands before any look at the connection's state, else
/// the open sessions of a device would live on behind its shield. `return` goes back to look at the other side: a shielded
/// device that calls another one needs the leave of both.
const CHAINS: &str = r#"
	counter dropped_from_devices {
	}

	counter dropped_to_devices {
	}

	chain from_device {
		meta mark . ip daddr . meta l4proto . th dport @policy4 return
		meta mark . ip6 daddr . meta l4proto . th dport @policy6 return
		meta mark set meta mark | 0x80000000
		ct state established meta mark . ip daddr . meta l4proto . th sport @policy4 return
		ct state established meta mark . ip6 daddr . meta l4proto . th sport @policy6 return
		limit rate 10/second burst 50 packets log prefix "fleetwarden shield, from device: "
		counter name dropped_from_devices drop
	}

	chain to_device {
		ct state established meta mark . ip saddr . meta l4proto . th sport @policy4 return
		ct state established meta mark . ip6 saddr . meta l4proto . th sport @policy6 return
		meta l4proto { icmp, ipv6-icmp } ct state related return
		meta mark set meta mark | 0x80000000
		meta mark . ip saddr . meta l4proto . th dport @policy4 return
		meta mark . ip6 saddr . meta l4proto . th dport @policy6 return
		limit rate 10/second burst 50 packets log prefix "fleetwarden shield, to device: "
		counter name dropped_to_devices drop
	}

	chain forward {
		type filter hook forward priority filter - 10; policy accept;
		meta mark set ip saddr map @class4 jump from_device
		meta mark set ip6 saddr map @class6 jump from_device
		meta mark set ip daddr map @class4 jump to_device
		meta mark set ip6 daddr map @class6 jump to_device
	}
}
"#;

/// Writes the ruleset of a plan. The same plan always makes the same text.
pub fn ruleset(plan: &ShieldPlan) -> String {
    let mut text = Text(String::new());
    let devices = plan.shields.len();
    text.line(format_args!("# Shields of {devices} devices in {} classes.", plan.allowed.len()));
    text.line(format_args!(
        "# One transaction: `flush table` would keep the elements of maps and sets, so that a"
    ));
    text.line(format_args!(
        "# device would stay shielded for ever; adding, deleting and making anew does not."
    ));
    text.line(format_args!("add table inet {TABLE}"));
    text.line(format_args!("delete table inet {TABLE}"));
    text.line(format_args!("table inet {TABLE} {{"));
    let classes = class_elements(&plan.shields);
    let policies = policy_elements(&plan.allowed);
    for family in [Family::V4, Family::V6] {
        let name = family.digit();
        text.block(
            &format!("map class{name}"),
            &format!("type {} : mark", family.address_type()),
            &classes,
            family,
        );
    }
    for family in [Family::V4, Family::V6] {
        let header = format!(
            "type mark . {} . inet_proto . inet_service\n\t\tflags interval\n\t\tcounter",
            family.address_type()
        );
        text.block(&format!("set policy{}", family.digit()), &header, &policies, family);
    }
    let mut text = text.0;
    text.push_str(CHAINS.trim_start_matches('\n'));
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }

    fn address_type(self) -> &'static str {
        match self {
            Self::V4 => "ipv4_addr",
            Self::V6 => "ipv6_addr",
        }
    }
}

/// One element of a map or set: typed values and a comment.
struct Element {
    family: Family,
    text: String,
}

fn class_elements(shields: &[Planned]) -> Vec<Element> {
    let mut by_address: BTreeMap<IpAddr, (Class, Vec<&str>)> = BTreeMap::new();
    for Planned { shield, .. } in shields {
        let entry = by_address.entry(shield.address).or_insert((shield.class, Vec::new()));
        entry.1.push(shield.device.as_str());
    }
    let element = |(address, (class, devices)): (IpAddr, (Class, Vec<&str>))| {
        let comment = Comment(&devices.join(" "));
        Element { family: Family::of(address), text: format!("{address} comment {comment} : {class}") }
    };
    by_address.into_iter().map(element).collect()
}

/// Interval sets refuse elements that overlap, so an entry inside a wider one of the same class, protocol and port goes.
fn policy_elements(allowed: &BTreeMap<Class, Vec<Allowed>>) -> Vec<Element> {
    let mut by_service: BTreeMap<(u32, Protocol, u16), BTreeMap<Prefix, &str>> = BTreeMap::new();
    for (class, entries) in allowed {
        for entry in entries {
            let mark = match entry.direction {
                Direction::FromDevice => class.mark(),
                Direction::ToDevice => class.mark() | TO_DEVICE,
            };
            let peers = by_service.entry((mark, entry.protocol, entry.port)).or_default();
            peers.entry(entry.peer).or_insert(&entry.why);
        }
    }
    let mut elements = Vec::new();
    for ((mark, protocol, port), peers) in by_service {
        for (peer, why) in &peers {
            if peers.keys().any(|other| other != peer && other.covers(*peer)) {
                continue;
            }
            let text = format!("0x{mark:08x} . {peer} . {protocol} . {port} comment {}", Comment(why));
            elements.push(Element { family: Family::of(peer.address()), text });
        }
    }
    elements
}

/// A quoted text that cannot end its own quotes: what is not plain becomes `_`.
struct Comment<'a>(&'a str);

impl fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars().take(COMMENT_BYTES_MAX) {
            let plain =
                c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | ',' | ':' | '_' | '-' | '/' | '(' | ')');
            f.write_char(if plain { c } else { '_' })?;
        }
        f.write_char('"')
    }
}

struct Text(String);

impl Text {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        self.0.push_str(&line.to_string());
        self.0.push('\n');
    }

    fn block(&mut self, name: &str, header: &str, elements: &[Element], family: Family) {
        self.line(format_args!("\t{name} {{\n\t\t{header}"));
        let texts: Vec<&str> =
            elements.iter().filter(|element| element.family == family).map(|e| e.text.as_str()).collect();
        // nftables takes no empty braces.
        if !texts.is_empty() {
            self.line(format_args!("\t\telements = {{\n\t\t\t{}\n\t\t}}", texts.join(",\n\t\t\t")));
        }
        self.line(format_args!("\t}}\n"));
    }
}

#[cfg(test)]
mod tests;
