//! Virtual patches: which rules hold off which advisory for which devices, and which advisories no rule can hold off.
//!
//! In: weaknesses of shielded devices, the virtual patches that people have described, a policy. Out: rules, and for each
//! advisory without one the reason. Refuses: to pretend; an advisory that only the firewall holds off is said as data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use warden_model::case::Case;
use warden_model::purl::Purl;
use warden_model::{AdvisoryId, DeviceId};

use crate::ips::{Hosts, IpsRule, Layer, Mode, PatchNumber, Pattern, Rule};
use crate::plan::{Planned, ShieldPlan};
use crate::policy::{Prefix, Protocol};
use crate::template::{DOMAINS_MAX, HttpPath, ParameterName, Template, ValueShape};

/// Most device addresses in one rule. Suricata builds an address tree for each rule; with 1,024 a rule is 16 to 40 KiB,
/// still one line that people can open. Larger groups belong into a variable of the sensor's own configuration.
pub const DEVICES_PER_RULE_MAX: usize = 1_024;

/// One advisory on shielded devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The component that it names.
    pub component: Purl,
    /// The addresses of the devices.
    pub addresses: BTreeSet<IpAddr>,
}

/// Gathers the weaknesses of the devices that a plan shields.
pub fn weaknesses(plan: &ShieldPlan, cases: &[&Case]) -> Vec<Weakness> {
    let addresses: BTreeMap<&DeviceId, IpAddr> =
        plan.shields.iter().map(|Planned { shield, .. }| (&shield.device, shield.address)).collect();
    let mut found: BTreeMap<(&AdvisoryId, &Purl), BTreeSet<IpAddr>> = BTreeMap::new();
    for case in cases {
        let finding = &case.finding;
        if let Some(address) = addresses.get(&case.device) {
            found.entry((&finding.advisory, &finding.component)).or_default().insert(*address);
        }
    }
    let weakness = |((advisory, component), addresses): ((&AdvisoryId, &Purl), BTreeSet<IpAddr>)| Weakness {
        advisory: advisory.clone(),
        component: component.clone(),
        addresses,
    };
    found.into_iter().map(weakness).collect()
}

/// Whether a sensor can read the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// It can.
    Plaintext,
    /// It cannot: the traffic is encrypted and nobody opens it on the way.
    Encrypted,
}

/// A virtual patch that a person has described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPatch {
    /// Its number, which never changes and is never given twice.
    pub number: PatchNumber,
    /// The advisories that it holds off.
    pub advisories: BTreeSet<AdvisoryId>,
    /// How.
    pub template: Template,
    /// Whether a sensor can see the attack.
    pub visibility: Visibility,
}

/// How rules are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsPolicy {
    /// Who may still use a vulnerable service.
    pub peers: Vec<Prefix>,
    /// What the rules do.
    pub mode: Mode,
    /// The generation of the rules: Suricata's `rev`, at least 1.
    pub generation: u32,
}

/// Why no intrusion-prevention rule holds an advisory off; the firewall still does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCoverable {
    /// The traffic is encrypted.
    Encrypted,
    /// No template is known, and the component is no service with a port of its own.
    NoTemplate {
        /// The component.
        component: String,
    },
    /// There are more devices than a rule may name.
    TooManyDevices {
        /// How many.
        devices: usize,
    },
    /// The virtual patch names more domains than it has rule numbers, or none.
    DomainCount {
        /// How many.
        domains: usize,
    },
}

impl fmt::Display for NotCoverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted => {
                f.write_str("the traffic is encrypted: only the firewall limits who reaches the device")
            }
            Self::NoTemplate { component } => write!(
                f,
                "no template is known and {component} is no service with a port of its own: only the firewall limits \
                 who reaches the device"
            ),
            Self::TooManyDevices { devices } => {
                write!(f, "{devices} devices are more than the {DEVICES_PER_RULE_MAX} that a rule may name")
            }
            Self::DomainCount { domains } => {
                write!(f, "{domains} domains; a virtual patch has 1 to {DOMAINS_MAX}")
            }
        }
    }
}

/// An advisory without a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// Why.
    pub why: NotCoverable,
}

/// The rules, and the advisories that have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VirtualPatches {
    /// The rules, by number.
    pub rules: Vec<IpsRule>,
    /// The advisories without a rule, in order.
    pub uncovered: Vec<Uncovered>,
}

/// A service that a component is known to open: its coarse rule's number, names, protocol and port. The numbers are
/// part of rule numbers in the field: add at the end, never renumber.
const SERVICES: [(u8, &[&str], Protocol, u16); 12] = [
    (1, &["dropbear", "openssh", "openssh-server"], Protocol::Tcp, 22),
    (2, &["telnetd", "netkit-telnet", "inetutils-telnetd"], Protocol::Tcp, 23),
    (
        3,
        &["lighttpd", "nginx", "apache2", "uhttpd", "boa", "goahead", "mini-httpd", "thttpd"],
        Protocol::Tcp,
        80,
    ),
    (4, &["mosquitto"], Protocol::Tcp, 1883),
    (5, &["dnsmasq", "bind9", "unbound"], Protocol::Udp, 53),
    (6, &["vsftpd", "proftpd", "pure-ftpd"], Protocol::Tcp, 21),
    (7, &["net-snmp", "snmpd"], Protocol::Udp, 161),
    (8, &["samba"], Protocol::Tcp, 445),
    (9, &["miniupnpd"], Protocol::Udp, 1900),
    (10, &["redis", "redis-server"], Protocol::Tcp, 6379),
    (11, &["rpcbind"], Protocol::Tcp, 111),
    (12, &["tftpd-hpa", "atftpd"], Protocol::Udp, 69),
];

/// Writes the rules for the weaknesses of shielded devices.
pub fn virtual_patches(weaknesses: &[Weakness], known: &[KnownPatch], policy: &IpsPolicy) -> VirtualPatches {
    let mut result = VirtualPatches::default();
    let mut coarse: BTreeMap<usize, (BTreeSet<AdvisoryId>, BTreeSet<IpAddr>)> = BTreeMap::new();
    let mut uncovered: BTreeMap<AdvisoryId, NotCoverable> = BTreeMap::new();
    for patch in known {
        let held: Vec<&Weakness> =
            weaknesses.iter().filter(|w| patch.advisories.contains(&w.advisory)).collect();
        let covers: BTreeSet<AdvisoryId> = held.iter().map(|weakness| weakness.advisory.clone()).collect();
        let hosts: BTreeSet<IpAddr> = held.iter().flat_map(|weakness| weakness.addresses.clone()).collect();
        if hosts.is_empty() {
            continue;
        }
        match known_rules(patch, &covers, &hosts, policy) {
            Ok(rules) => result.rules.extend(rules),
            Err(why) => uncovered.extend(covers.into_iter().map(|advisory| (advisory, why.clone()))),
        }
    }
    let described: BTreeSet<&AdvisoryId> = known.iter().flat_map(|patch| &patch.advisories).collect();
    for weakness in weaknesses.iter().filter(|w| !w.addresses.is_empty() && !described.contains(&w.advisory))
    {
        let component = &weakness.component.name;
        if let Some(service) = service_of(component) {
            let (advisories, hosts) = coarse.entry(service).or_default();
            advisories.insert(weakness.advisory.clone());
            hosts.extend(&weakness.addresses);
        } else {
            let component = component.chars().take(64).collect();
            uncovered.insert(weakness.advisory.clone(), NotCoverable::NoTemplate { component });
        }
    }
    for (service, (advisories, hosts)) in coarse {
        match coarse_rule(service, &advisories, &hosts, policy) {
            Ok(rule) => result.rules.extend(rule),
            Err(why) => uncovered.extend(advisories.into_iter().map(|advisory| (advisory, why.clone()))),
        }
    }
    result.rules.sort_by_key(|rule| rule.sid);
    let held: BTreeSet<&AdvisoryId> = result.rules.iter().flat_map(|rule| &rule.covers).collect();
    uncovered.retain(|advisory, _| !held.contains(advisory));
    result.uncovered = uncovered.into_iter().map(|(advisory, why)| Uncovered { advisory, why }).collect();
    result
}

fn service_of(component: &str) -> Option<usize> {
    SERVICES.iter().position(|(_, names, _, _)| names.contains(&component))
}

fn check_devices(hosts: &BTreeSet<IpAddr>) -> Result<(), NotCoverable> {
    match hosts.len() {
        devices if devices > DEVICES_PER_RULE_MAX => Err(NotCoverable::TooManyDevices { devices }),
        _ => Ok(()),
    }
}

/// The coarse rule of a service: nobody but the allowed peers talks to its port. No content is looked at, so it also
/// works on encrypted traffic.
fn coarse_rule(
    service: usize,
    advisories: &BTreeSet<AdvisoryId>,
    hosts: &BTreeSet<IpAddr>,
    policy: &IpsPolicy,
) -> Result<Option<IpsRule>, NotCoverable> {
    check_devices(hosts)?;
    let Some((number, names, protocol, port)) = SERVICES.get(service) else { return Ok(None) };
    let covers: Vec<AdvisoryId> = advisories.iter().cloned().collect();
    let name = names.first().copied().unwrap_or_default();
    let rule = closed_port(*protocol, *port, hosts, policy)
        .message(&format!("virtual patch, {name} service closed to strangers"))
        .option("flow:to_server")
        .option("classtype:attempted-admin")
        .finish(PatchNumber::coarse(*number), 0, policy.generation.max(1), &covers);
    Ok(Some(rule))
}

fn closed_port(protocol: Protocol, port: u16, hosts: &BTreeSet<IpAddr>, policy: &IpsPolicy) -> Rule {
    let strangers = Hosts::AllBut(&policy.peers);
    Rule::new(policy.mode, Layer::Transport(protocol), &strangers, &Hosts::These(hosts), Some(port))
}

fn known_rules(
    patch: &KnownPatch,
    covers: &BTreeSet<AdvisoryId>,
    hosts: &BTreeSet<IpAddr>,
    policy: &IpsPolicy,
) -> Result<Vec<IpsRule>, NotCoverable> {
    check_devices(hosts)?;
    let covers: Vec<AdvisoryId> = covers.iter().cloned().collect();
    let (number, rev) = (patch.number, policy.generation.max(1));
    match &patch.template {
        // A closed port needs no look at the content.
        Template::OpenPort { port } => {
            let rule = closed_port(Protocol::Tcp, *port, hosts, policy)
                .message(&format!("virtual patch, port {port} closed to strangers"))
                .option("flow:to_server")
                .option("classtype:attempted-admin");
            Ok(vec![rule.finish(number, 0, rev, &covers)])
        }
        _ if patch.visibility == Visibility::Encrypted => Err(NotCoverable::Encrypted),
        Template::HttpCommandInjection { path, parameter, shape, value_bytes_max } => {
            let injection = Injection { path, parameter, shape: *shape, value_bytes_max: *value_bytes_max };
            let rules = injection.rules(hosts, policy.mode).into_iter().zip(0..);
            Ok(rules.map(|(rule, variant)| rule.finish(number, variant, rev, &covers)).collect())
        }
        Template::BadDomains { domains } => {
            if !(1..=DOMAINS_MAX).contains(&domains.len()) {
                return Err(NotCoverable::DomainCount { domains: domains.len() });
            }
            let rule = |(domain, variant): (&crate::template::DomainName, u32)| {
                Rule::new(policy.mode, Layer::Dns, &Hosts::These(hosts), &Hosts::Any, None)
                    .message(&format!("virtual patch, name of an attacker: {}", domain.as_str()))
                    // The transform puts a dot before the name: `.evil.example` meets the domain and all below it,
                    // and not `notevil.example`.
                    .option("dns.query")
                    .option("dotprefix")
                    .content(&format!(".{}", domain.as_str()))
                    .option("nocase")
                    .option("endswith")
                    .option("classtype:trojan-activity")
                    .finish(number, variant, rev, &covers)
            };
            Ok(domains.iter().zip(0..).map(rule).collect())
        }
        Template::ModbusWrite => {
            let strangers = Hosts::AllBut(&policy.peers);
            let rule = Rule::new(policy.mode, Layer::Modbus, &strangers, &Hosts::These(hosts), Some(502))
                .message("virtual patch, Modbus write by a stranger")
                .option("flow:established,to_server")
                .option("modbus:access write")
                .option("classtype:attempted-admin");
            Ok(vec![rule.finish(number, 0, rev, &covers)])
        }
    }
}

/// The rules against a command in a parameter. Neither an allow-list nor a deny-list is enough alone: on the decoded
/// URI an encoded `&` looks like the start of another parameter, and on the raw URI an encoded name is not recognised.
struct Injection<'a> {
    path: &'a HttpPath,
    parameter: &'a ParameterName,
    shape: ValueShape,
    value_bytes_max: u16,
}

impl Injection<'_> {
    fn rules(&self, hosts: &BTreeSet<IpAddr>, mode: Mode) -> Vec<Rule> {
        // The path is matched in its decoded form in all of them: an encoded path must not open a way around.
        let rule = |what: &str| {
            Rule::new(mode, Layer::Http, &Hosts::Any, &Hosts::These(hosts), None)
                .message(&format!("virtual patch, command injection, {what}"))
                .option("flow:established,to_server")
                .option("http.uri")
                .content(self.path.as_str())
                // A device may be blind to case; then so must the rule be.
                .option("nocase")
                .option("fast_pattern")
        };
        let class = "classtype:web-application-attack";
        vec![
            rule("value outside the allowed form")
                .option("http.uri.raw")
                .pcre(&self.outside_form("[?&]"))
                .option(class),
            rule("shell characters").pcre(&self.shell_characters()).option(class),
            rule("value outside the allowed form in the body")
                .option("http.request_body")
                .pcre(&self.outside_form("(?:^|&)"))
                .option(class),
            rule("form that hides its fields")
                .option("http.request_body")
                .pcre(
                    &Pattern::new()
                        .syntax("(?i)Content-Disposition[^\\r\\n]{0,200}name=[\\x22\\x27]?")
                        .literal(self.parameter.as_str()),
                )
                .option(class),
        ]
    }

    /// Meets the parameter with a value outside its form, and any parameter whose name is percent-encoded: no client of
    /// a page with plain names encodes them.
    fn outside_form(&self, start: &'static str) -> Pattern {
        let characters = match self.shape {
            ValueShape::HostName => "[A-Za-z0-9.\\x3a_-]",
            ValueShape::Number => "[0-9]",
            ValueShape::Word => "[A-Za-z0-9_-]",
        };
        Pattern::new()
            .syntax("(?i)")
            .syntax(start)
            .syntax("(?:")
            .literal(self.parameter.as_str())
            .syntax("=(?!")
            .syntax(characters)
            .syntax("{0,")
            .number(self.value_bytes_max.clamp(1, 1_024))
            .syntax("}(?:&|#|$))|[^=&#]{0,200}%[^=&#]{0,200}=)")
    }

    /// Meets the parameter followed, in the decoded URI, by what a shell takes for the end of a word: a control
    /// character, space, semicolon, pipe, back quote, dollar, bracket, backslash or quote.
    fn shell_characters(&self) -> Pattern {
        Pattern::new()
            .syntax("(?i)[?&]")
            .literal(self.parameter.as_str())
            .syntax("=[^&]*[\\x00-\\x20\\x3b\\x7c\\x60\\x24\\x28\\x29\\x3c\\x3e\\x7b\\x7d\\x5c\\x22\\x27]")
    }
}

#[cfg(test)]
mod tests;
