//! Nmap, XML (`-oX`).
//!
//! In: the XML. Out: an item for each open port (what answers there), for each weakness that a script reports, and for each other
//! script that said something; hosts that were up; the ports that have a definite answer. Refuses: files that end early, which is
//! how a scan that was stopped leaves them.
//!
//! A port counts as looked at when it answered: open or closed. A filtered port says nothing of what is behind.

mod script;

use std::collections::BTreeSet;

use warden_model::Timestamp;
use warden_model::scan::{Exploit, Mac, Port, PortProtocol, PortScope, ScanItem, ScanSeverity, ScannedHost};

use super::Source;
use super::bytes::Text;
use super::collect::Collector;
use super::error::ScanError;
use super::text::{address, host_name, identities_in, moment, protocol};
use super::xml::{Element, Step, Walk};

/// The check that finds out what answers at a port.
const SERVICE: &str = "service";

/// The options that name files to write, which say nothing of what is looked at.
const OUTPUT_OPTIONS: [&str; 7] = ["-oX", "-oN", "-oG", "-oA", "-oS", "-oM", "--stylesheet"];

/// Reads a report.
pub(super) fn read(source: &mut dyn Source, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let (text, meter) = Text::new(source, &collector.limits);
    let mut walk = Walk::new(text, meter, &collector.limits);
    let mut run = Run::default();
    loop {
        match walk.step()? {
            Step::Open(element) => run.open(&mut walk, element, collector)?,
            Step::Close(name) if name == "host" && walk.above(0) == "nmaprun" => run.end_host(collector)?,
            Step::Close(_) => {}
            Step::End => break,
        }
    }
    for (_, scope) in collector.report.hosts.values_mut() {
        scope.complete = run.has_finished;
    }
    Ok(())
}

/// A run of Nmap, and the host that is being read.
#[derive(Default)]
struct Run {
    ranges: BTreeSet<(PortProtocol, u16, u16)>,
    has_finished: bool,
    host: ScannedHost,
    is_up: bool,
    ports: PortScope,
    /// Whether all ports that are not listed answered that they are closed.
    rest: Rest,
}

/// What the report says of the ports that it does not list.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Rest {
    /// Nothing: all of them are listed.
    #[default]
    Listed,
    /// They are closed.
    Closed,
    /// Some, or all, gave no answer.
    Silent,
}

impl Run {
    fn open(
        &mut self,
        walk: &mut Walk<'_>,
        element: Element,
        collector: &mut Collector<'_>,
    ) -> Result<(), ScanError> {
        let attribute = |name: &str| element.attribute(name).unwrap_or_default();
        match (walk.above(1), element.name.as_str()) {
            ("", "nmaprun") => begin(&element, collector)?,
            ("nmaprun", "scaninfo") => self.services(attribute("protocol"), attribute("services")),
            ("runstats", "finished") => {
                // Older versions do not say how the run ended: that it says so at all is enough.
                self.has_finished = matches!(attribute("exit"), "success" | "");
                collector.widen(moment(attribute("time")));
            }
            ("nmaprun", "host") => {
                let start = moment(attribute("starttime"));
                let end = moment(attribute("endtime"));
                let seen = start.or(end).zip(end.or(start));
                self.host = ScannedHost { seen, ..ScannedHost::default() };
                (self.is_up, self.ports, self.rest) = (true, PortScope::default(), Rest::Listed);
            }
            ("host", "status") => self.is_up = attribute("state") == "up",
            ("host", "address") if attribute("addrtype") == "mac" => {
                self.host.macs.extend(attribute("addr").parse::<Mac>().ok());
            }
            ("host", "address") => {
                if self.host.name.is_empty() {
                    self.host.name = collector.name(attribute("addr"));
                }
                self.host.addresses.extend(address(attribute("addr")));
            }
            ("hostnames", "hostname") => self.host.names.extend(host_name(attribute("name"))),
            ("os", "osmatch") => {
                self.host.os.get_or_insert_with(|| collector.name(attribute("name")));
            }
            ("ports", "extraports") => self.extra(attribute("state")),
            ("ports", "port") => self.port(&walk.whole(element)?, collector)?,
            ("hostscript", "script") => {
                let script = walk.whole(element)?;
                self.script(&script, Port::HOST, collector)?;
            }
            ("nmaprun", "prescript" | "postscript") => walk.skip()?,
            (_, _) => {}
        }
        Ok(())
    }

    /// Reads `1,3-4,6-7`: the ports that were looked at.
    fn services(&mut self, word: &str, services: &str) {
        let protocol = protocol(word);
        for part in services.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(from), Ok(to)) = (from.trim().parse(), to.trim().parse()) {
                self.ranges.insert((protocol, from, to));
            }
        }
    }

    fn extra(&mut self, state: &str) {
        self.rest = match (self.rest, state) {
            (Rest::Listed | Rest::Closed, "closed") => Rest::Closed,
            (_, _) => Rest::Silent,
        };
    }

    fn host_name(&mut self, collector: &Collector<'_>) -> Result<String, ScanError> {
        if self.host.name.is_empty() {
            self.host.name = self.host.names.first().cloned().unwrap_or_default();
        }
        if self.host.name.is_empty() {
            return Err(ScanError::Missing { item: collector.next_item(), what: "address of its host" });
        }
        Ok(self.host.name.clone())
    }

    fn port(&mut self, element: &Element, collector: &mut Collector<'_>) -> Result<(), ScanError> {
        let number = element.attribute("portid").unwrap_or_default();
        let number = number
            .parse()
            .map_err(|_| ScanError::value(collector.next_item(), "port", number, "0 to 65535"))?;
        let port = Port { protocol: protocol(element.attribute("protocol").unwrap_or_default()), number };
        let state = element.child("state").and_then(|state| state.attribute("state")).unwrap_or_default();
        if matches!(state, "open" | "closed" | "unfiltered") && self.ports.named.len() < usize::from(u16::MAX)
        {
            self.ports.named.insert(port);
        }
        if state == "open" && self.is_up {
            let host = self.host_name(collector)?;
            collector.item(service(host, port, element, collector))?;
        }
        for script in element.children("script") {
            self.script(script, port, collector)?;
        }
        Ok(())
    }

    fn script(
        &mut self,
        element: &Element,
        port: Port,
        collector: &mut Collector<'_>,
    ) -> Result<(), ScanError> {
        if !self.is_up {
            return Ok(());
        }
        let host = self.host_name(collector)?;
        if element.attribute("id") == Some("ssl-cert") {
            self.host.certificates.extend(identities_in(element.attribute("output").unwrap_or_default()));
        }
        for item in script::items(&host, port, element, collector) {
            collector.item(item)?;
        }
        Ok(())
    }

    fn end_host(&mut self, collector: &mut Collector<'_>) -> Result<(), ScanError> {
        if !self.is_up {
            return Ok(());
        }
        let name = self.host_name(collector)?;
        let seen = self.host.seen;
        collector.widen(seen.into_iter().flat_map(|(from, to): (Timestamp, Timestamp)| [from, to]));
        collector.host(std::mem::take(&mut self.host))?;
        let mut ports = std::mem::take(&mut self.ports);
        if self.rest == Rest::Closed {
            ports.ranges.clone_from(&self.ranges);
        }
        // What a script said of a port that gave no answer is no answer either: only these ports count.
        collector.scope_of(&name)?.ports = ports;
        Ok(())
    }
}

/// Takes the command line: the same one looks for the same things, whatever the files it writes are called.
fn begin(element: &Element, collector: &mut Collector<'_>) -> Result<(), ScanError> {
    let args = element.attribute("args").unwrap_or_default();
    let mut words = args.split_whitespace();
    let mut kept: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        if OUTPUT_OPTIONS.contains(&word) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    let profile = collector.text(&kept.join(" "));
    collector.report.label = collector.name(args);
    collector.widen(moment(element.attribute("start").unwrap_or_default()));
    collector.plugin(SERVICE)?;
    let mut is_list = false;
    for word in &kept {
        let list = match word.strip_prefix("--script=") {
            Some(list) => list,
            None if is_list => word,
            None => "",
        };
        is_list = *word == "--script";
        for script in list.split(',').map(str::trim).filter(|script| !script.is_empty()) {
            // A script is named by its file; a name of a category stands for scripts that are not named here.
            // `+` runs it where it would not run by itself.
            let name =
                script.rsplit('/').next().unwrap_or(script).trim_start_matches('+').trim_end_matches(".nse");
            collector.plugin(name)?;
        }
    }
    collector.report.profile = (!profile.is_empty()).then_some(profile);
    Ok(())
}

fn service(host: String, port: Port, element: &Element, collector: &Collector<'_>) -> ScanItem {
    let service = element.child("service");
    let words = ["name", "product", "version", "extrainfo"];
    let words = words.iter().filter_map(|name| service?.attribute(name)).filter(|word| !word.is_empty());
    let title = words.collect::<Vec<_>>().join(" ");
    let cpes = service.into_iter().flat_map(|service| service.children("cpe")).map(Element::text);
    ScanItem {
        host,
        plugin: SERVICE.to_owned(),
        title: collector.name(if title.is_empty() { "open port" } else { &title }),
        port,
        severity: ScanSeverity::Info,
        score: None,
        vector: None,
        cves: BTreeSet::new(),
        qod: None,
        exploit: Exploit::Unknown,
        dismissed: false,
        text: collector.text(&cpes.collect::<Vec<_>>().join(" ")),
        solution: String::new(),
        at: None,
    }
}
