//! Nessus, XML of version 2: `NessusClientData_v2 > Report > ReportHost > HostProperties, ReportItem`.
//!
//! In: the XML. Out: an item for each `ReportItem`; hosts; the plugins and ports that the policy names, where the report has
//! its policy. Refuses: items without a plugin or with a severity other than 0 to 4.

use std::collections::BTreeMap;

use warden_model::scan::{Exploit, Mac, Port, PortProtocol, ScanItem, ScanSeverity, ScannedHost, Score};

use super::Source;
use super::bytes::Text;
use super::collect::Collector;
use super::error::ScanError;
use super::text::{address, cves_in, host_name, identities_in, loose_moment, protocol};
use super::xml::{Element, Step, Walk};

/// The ports that Nessus' range `default` is sure to hold: its list of common services has all well-known ones.
const DEFAULT_PORTS: (PortProtocol, u16, u16) = (PortProtocol::Tcp, 1, 1023);

/// Reads a report.
pub(super) fn read(source: &mut dyn Source, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let (text, meter) = Text::new(source, &collector.limits);
    let mut walk = Walk::new(text, meter, &collector.limits);
    let mut policy = Policy::default();
    let mut host = String::new();
    loop {
        let element = match walk.step()? {
            Step::Open(element) => element,
            Step::Close(_) => continue,
            Step::End => return Ok(()),
        };
        match element.name.as_str() {
            "preference" | "policyName" | "config_id" if walk_is_in_policy(&walk) => {
                policy.take(&walk.whole(element)?, collector)?;
            }
            "Report" => {
                collector.report.label = collector.name(element.attribute("name").unwrap_or_default());
                policy.end(collector);
            }
            "ReportHost" => {
                host = collector.name(element.attribute("name").unwrap_or_default());
                if host.is_empty() {
                    let item = collector.next_item();
                    return Err(ScanError::Missing { item, what: "name of its host" });
                }
                let scope = collector.scope_of(&host)?;
                scope.ports.ranges.clone_from(&policy.ranges);
            }
            "HostProperties" => properties(&host, &walk.whole(element)?, collector)?,
            "ReportItem" => {
                let element = walk.whole(element)?;
                let item = item(&host, &element, collector)?;
                collector.item(item)?;
                certificates(&host, &element, collector)?;
            }
            _ => {}
        }
    }
}

fn walk_is_in_policy(walk: &Walk<'_>) -> bool {
    (1..6).any(|steps| walk.above(steps) == "Policy")
}

/// What the scan was set to do.
#[derive(Default)]
struct Policy {
    name: String,
    config: String,
    ranges: std::collections::BTreeSet<(PortProtocol, u16, u16)>,
    lists_plugins: bool,
}

impl Policy {
    fn take(&mut self, element: &Element, collector: &mut Collector<'_>) -> Result<(), ScanError> {
        match element.name.as_str() {
            "policyName" => self.name = collector.name(element.text()),
            "config_id" => self.config = collector.name(element.text()),
            _ => {
                let value = element.text_of("value").unwrap_or_default();
                match element.text_of("name").unwrap_or_default() {
                    "plugin_set" => {
                        for plugin in value.split(';').map(str::trim).filter(|plugin| !plugin.is_empty()) {
                            collector.plugin(plugin)?;
                            self.lists_plugins = true;
                        }
                    }
                    "port_range" => self.ports(value),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Reads `default`, `all` and `1-1024,T:8080,U:53`.
    fn ports(&mut self, value: &str) {
        for part in value.split(',').map(str::trim) {
            let (protocol, part) = match part.split_once(':') {
                Some(("U" | "u", rest)) => (PortProtocol::Udp, rest),
                Some((_, rest)) => (PortProtocol::Tcp, rest),
                None => (PortProtocol::Tcp, part),
            };
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            match (part, from.parse(), to.parse()) {
                ("default", _, _) => self.ranges.extend([DEFAULT_PORTS]),
                ("all", _, _) => self.ranges.extend([(PortProtocol::Tcp, 1, u16::MAX)]),
                (_, Ok(from), Ok(to)) => self.ranges.extend([(protocol, from, to)]),
                (_, _, _) => {}
            }
        }
    }

    /// The policy stands before the report. A scan of a web application has no list of plugins, but a configuration with a name
    /// of its own.
    fn end(&self, collector: &mut Collector<'_>) {
        if !self.lists_plugins && !self.config.is_empty() {
            collector.report.profile = Some(format!("{}/{}", self.name, self.config));
        }
    }
}

fn properties(name: &str, element: &Element, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let tags: BTreeMap<&str, &str> =
        element.children("tag").filter_map(|tag| Some((tag.attribute("name")?, tag.text()))).collect();
    let tag = |name: &str| tags.get(name).copied().unwrap_or_default();
    let mut host = ScannedHost { name: name.to_owned(), ..ScannedHost::default() };
    host.addresses.extend([name, tag("host-ip")].into_iter().filter_map(address));
    let names = [name, tag("host-fqdn"), tag("host-rdns"), tag("hostname")];
    host.names.extend(names.into_iter().filter_map(host_name));
    let macs = tag("mac-address").split_whitespace().filter_map(|mac| mac.parse::<Mac>().ok());
    host.macs.extend(macs.take(collector.limits.attributes));
    let serials = [tag("host-uuid"), tag("bios-uuid"), tag("system-serial-number")];
    host.serials.extend(serials.into_iter().filter(|text| !text.is_empty()).map(str::to_ascii_lowercase));
    let os = [tag("operating-system"), tag("os")].into_iter().find(|os| !os.is_empty());
    host.os = os.map(|os| collector.name(os));
    let moment = |exact: &str, loose: &str| loose_moment(tag(exact)).or_else(|| loose_moment(tag(loose)));
    let start = moment("HOST_START_TIMESTAMP", "HOST_START");
    let end = moment("HOST_END_TIMESTAMP", "HOST_END");
    host.seen = match (start, end) {
        (Some((from, _)), Some((_, to))) => Some((from, to)),
        (Some(span), None) | (None, Some(span)) => Some(span),
        (None, None) => None,
    };
    collector.widen(host.seen.into_iter().flat_map(|(from, to)| [from, to]));
    collector.host(host)?;
    let scope = collector.scope_of(name)?;
    // Nessus writes the end of a host when it has done with it; a scan that was stopped has none.
    scope.complete = end.is_some();
    scope.credentialed = tag("Credentialed_Scan") == "true";
    Ok(())
}

fn item(host: &str, element: &Element, collector: &Collector<'_>) -> Result<ScanItem, ScanError> {
    let number = collector.next_item();
    let attribute = |name: &'static str| {
        let value = element.attribute(name).filter(|value| !value.is_empty());
        value.ok_or(ScanError::Missing { item: number, what: name })
    };
    let severity = match attribute("severity")? {
        "0" => ScanSeverity::Info,
        "1" => ScanSeverity::Low,
        "2" => ScanSeverity::Medium,
        "3" => ScanSeverity::High,
        "4" => ScanSeverity::Critical,
        other => return Err(ScanError::value(number, "severity", other, "0 to 4")),
    };
    let port = attribute("port")?;
    let port = port.parse().map_err(|_| ScanError::value(number, "port", port, "0 to 65535"))?;
    let text = |names: &[&str]| names.iter().find_map(|name| element.text_of(name));
    let is_true = |name: &str| element.text_of(name) == Some("true");
    Ok(ScanItem {
        host: host.to_owned(),
        plugin: collector.name(attribute("pluginID")?),
        title: collector.name(element.attribute("pluginName").unwrap_or_default()),
        port: Port { protocol: protocol(element.attribute("protocol").unwrap_or_default()), number: port },
        severity,
        score: text(&["cvss4_base_score", "cvss3_base_score", "cvss_base_score"])
            .and_then(|score| score.parse::<Score>().ok()),
        vector: text(&["cvss4_vector", "cvss3_vector", "cvss_vector"]).map(|vector| collector.name(vector)),
        cves: element.children("cve").flat_map(|cve| cves_in(cve.text())).collect(),
        qod: None,
        exploit: if is_true("exploit_available") || is_true("exploited_by_malware") {
            Exploit::Known
        } else {
            Exploit::Unknown
        },
        dismissed: false,
        text: collector.text(text(&["plugin_output", "synopsis", "description"]).unwrap_or_default()),
        solution: collector.text(text(&["solution"]).unwrap_or_default()),
        at: None,
    })
}

/// The certificates that the host showed may name it.
fn certificates(host: &str, element: &Element, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let identities = identities_in(element.text_of("plugin_output").unwrap_or_default());
    if identities.is_empty() {
        return Ok(());
    }
    let found = ScannedHost { name: host.to_owned(), certificates: identities, ..ScannedHost::default() };
    collector.host(found)
}
