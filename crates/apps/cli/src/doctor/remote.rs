//! What can be checked by asking the server.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde_json::Value;
use warden_model::{Seconds, Timestamp};
use warden_trust::Role;
use warden_wire::rest::{AdvisoryBody, Items, StatusBody};

use super::Check;
use super::here::{ends_check, not_after};
use crate::client::{Client, connect_config};
use crate::failure::{Exit, Failure};
use crate::list::Paging;
use crate::session::Session;
use crate::settings::Settings;

/// Largest difference of the clocks that does not matter: certificates are backdated by five minutes.
const CLOCK_SKEW_MAX: Seconds = Seconds(120);
/// How old the newest advisory may be: feeds bring something every week.
const ADVISORY_AGE_MAX: Seconds = Seconds::days(14);
/// How long before the server's certificate ends a person should know; it is renewed at each start.
const CERTIFICATE_ENDS_SOON: Seconds = Seconds::days(14);
/// How long a connection to look at the certificate may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Most root versions that are walked through: a root is renewed once a year.
const ROOTS_MAX: u64 = 256;

/// Checks the server.
pub(super) fn checks(session: &Session, now: Timestamp) -> Vec<Check> {
    let client = match session.client() {
        Ok(client) => client,
        Err(failure) => return vec![Check::of_failure("server", failure)],
    };
    let (status, clock) = match client.get_with_clock::<StatusBody>("/status") {
        Ok(answer) => answer,
        Err(failure) => return vec![Check::of_failure("server", failure)],
    };
    let mut checks = vec![
        Check::good("server", format!("{} answers, version {}", client.base(), status.version)),
        clocks(clock, now),
        certificate(&session.settings, client.base(), now),
    ];
    checks.extend(Role::ALL.map(|role| metadata(&client, role, now)));
    checks.push(advisories(&client, status.advisories, now));
    checks.push(match status.attention.as_slice() {
        [] => Check::good("the server's own list", "nothing needs a person"),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Check::attention(
                "the server's own list",
                format!("{first}{more}"),
                "`fleetwarden status` shows all",
            )
        }
    });
    checks
}

fn clocks(server: Option<Timestamp>, now: Timestamp) -> Check {
    let Some(server) = server else {
        return Check::not_looked_at("clocks", "the server does not tell its time");
    };
    let skew = if server > now { server.since(now) } else { now.since(server) };
    if skew > CLOCK_SKEW_MAX {
        Check::attention("clocks", format!("the server's clock is {skew} off"), "set both clocks by NTP")
    } else {
        Check::good("clocks", format!("the server's clock is within {CLOCK_SKEW_MAX}"))
    }
}

fn certificate(settings: &Settings, base: &str, now: Timestamp) -> Check {
    const NAME: &str = "server certificate";
    match server_certificate(settings, base) {
        Ok(der) => match not_after(&der) {
            Some(end) => ends_check(
                NAME,
                end,
                CERTIFICATE_ENDS_SOON,
                now,
                "start the server again: it makes a new one",
            ),
            None => Check::attention(NAME, "it cannot be read", "start the server again: it makes a new one"),
        },
        Err(failure) => Check::of_failure(NAME, failure),
    }
}

/// Shakes hands with the server and returns the certificate that it showed; the handshake has verified it.
fn server_certificate(settings: &Settings, base: &str) -> Result<Vec<u8>, Failure> {
    let network =
        |error: &dyn std::error::Error| Failure::new(Exit::Network, format!("look at {base}: {error}"));
    let authority =
        base.strip_prefix("https://").unwrap_or(base).split('/').next().unwrap_or_default().to_owned();
    let authority = if has_port(&authority) { authority } else { format!("{authority}:443") };
    let host =
        authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| network(&error))?;
    let address = authority.to_socket_addrs().map_err(|error| network(&error))?.next();
    let address =
        address.ok_or_else(|| Failure::new(Exit::Network, format!("{authority} has no address")))?;
    let mut socket = TcpStream::connect_timeout(&address, CONNECT_TIME).map_err(|error| network(&error))?;
    socket.set_read_timeout(Some(CONNECT_TIME)).map_err(|error| network(&error))?;
    let config = Arc::new(connect_config(settings)?);
    let mut connection = ClientConnection::new(config, name).map_err(|error| network(&error))?;
    connection.complete_io(&mut socket).map_err(|error| network(&error))?;
    let shown = connection.peer_certificates().and_then(|chain| chain.first());
    shown
        .map(|certificate| certificate.as_ref().to_vec())
        .ok_or_else(|| Failure::new(Exit::Network, "the server showed no certificate"))
}

fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// When a role's file ends too soon: a quarter of its life before, which is when somebody should have signed it anew.
const fn soon(role: Role) -> (Seconds, &'static str) {
    match role {
        Role::Root => (Seconds::days(90), "sign a new root with the offline root keys"),
        Role::Targets => (Seconds::days(14), "`fleetwarden release sign --keys DIR` renews it"),
        Role::Snapshot => (Seconds::days(2), "the server renews it by itself: its log says why it does not"),
        Role::Timestamp => {
            (Seconds::hours(6), "the server renews it by itself: its log says why it does not")
        }
    }
}

const fn name(role: Role) -> &'static str {
    match role {
        Role::Root => "root metadata",
        Role::Targets => "targets metadata",
        Role::Snapshot => "snapshot metadata",
        Role::Timestamp => "timestamp metadata",
    }
}

fn metadata(client: &Client, role: Role, now: Timestamp) -> Check {
    let (margin, hint) = soon(role);
    match expiry(client, role) {
        Ok(end) => ends_check(name(role), end, margin, now, hint),
        Err(failure) => Check::of_failure(name(role), failure),
    }
}

/// Finds the newest file of a role, the way a device does, and returns when it expires.
fn expiry(client: &Client, role: Role) -> Result<Timestamp, Failure> {
    let fetch = |role: Role, version: u64| -> Result<Value, Failure> {
        let bytes = client.bytes(&format!("/metadata/{}", role.file_name(version)), role.bytes_max())?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::invalid(&format!("read the {role} metadata"), &error))
    };
    let pinned = |file: &Value, name: &str| {
        file.pointer(&format!("/signed/meta/{name}/version")).and_then(Value::as_u64)
    };
    let lost =
        || Failure::new(Exit::Invalid, format!("the server's metadata does not lead to its {role} file"));
    let file = match role {
        Role::Timestamp => fetch(Role::Timestamp, 0)?,
        Role::Snapshot | Role::Targets => {
            let timestamp = fetch(Role::Timestamp, 0)?;
            let snapshot = fetch(Role::Snapshot, pinned(&timestamp, "snapshot.json").ok_or_else(lost)?)?;
            match role {
                Role::Targets => fetch(Role::Targets, pinned(&snapshot, "targets.json").ok_or_else(lost)?)?,
                Role::Root | Role::Snapshot | Role::Timestamp => snapshot,
            }
        }
        Role::Root => newest_root(fetch)?,
    };
    let text = file.pointer("/signed/expires").and_then(Value::as_str).ok_or_else(lost)?;
    text.parse().map_err(|_| lost())
}

fn newest_root(fetch: impl Fn(Role, u64) -> Result<Value, Failure>) -> Result<Value, Failure> {
    let mut newest = fetch(Role::Root, 1)?;
    for version in 2..ROOTS_MAX {
        match fetch(Role::Root, version) {
            Ok(root) => newest = root,
            Err(failure) if failure.exit == Exit::NotFound => break,
            Err(failure) => return Err(failure),
        }
    }
    Ok(newest)
}

fn advisories(client: &Client, count: u64, now: Timestamp) -> Check {
    const NAME: &str = "advisories";
    const HINT: &str =
        "`fleetwarden advisory import PATH` brings new ones; without them every fleet looks healthy";
    if count == 0 {
        return Check::attention(NAME, "none is known", HINT);
    }
    // The one that became known last comes first.
    let first: Result<Items<AdvisoryBody>, Failure> =
        client.list("/advisories", &Vec::new(), &Paging { limit: 1, after: None });
    let newest = match first {
        Ok(page) => page.items.first().and_then(|advisory| advisory.known_at.parse::<Timestamp>().ok()),
        Err(failure) => return Check::of_failure(NAME, failure),
    };
    let Some(newest) = newest else { return Check::not_looked_at(NAME, "the server lists none") };
    let age = now.since(newest);
    let told = format!("{count} are known, the newest for {age}");
    if age > ADVISORY_AGE_MAX { Check::attention(NAME, told, HINT) } else { Check::good(NAME, told) }
}

#[cfg(test)]
mod tests {
    use super::{clocks, has_port};
    use crate::doctor::State;
    use warden_model::Timestamp;

    #[test]
    fn a_clock_may_be_off_by_two_minutes() {
        let check = |server: Option<i64>, state: State| {
            let found = clocks(server.map(|seconds| Timestamp(seconds * 1000)), Timestamp(1_000_000));
            assert_eq!(found.state, state, "{server:?}");
        };
        check(Some(1000), State::Good);
        check(Some(881), State::Good);
        check(Some(1119), State::Good);
        check(Some(1121), State::Attention);
        check(Some(800), State::Attention);
        check(None, State::NotLookedAt);
    }

    #[test]
    fn a_port_is_told_from_an_address() {
        assert!(has_port("host:1") && has_port("[::1]:8444"));
        assert!(!has_port("host") && !has_port("[::1]"));
    }
}
