//! What can be checked on this machine alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use warden_keys::FileSigner;
use warden_model::{Seconds, Timestamp};
use warden_server::setup::Layout;
use warden_trust::Signer as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Check;
use crate::client::authorities;
use crate::inspect::weakness::check_matching;
use crate::serve::agent_beside;
use crate::settings::Settings;

/// How long before an authority ends a person should know: every device must get the next one in time.
const AUTHORITY_ENDS_SOON: Seconds = Seconds::days(365);

/// Checks this machine.
pub(super) fn checks(settings: &Settings, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    match settings.path("data-dir") {
        Some(folder) => checks.extend(data_dir(&folder)),
        None => checks.push(Check::not_looked_at("data directory", "--data-dir was not given")),
    }
    checks.push(authority(settings, now));
    checks.push(agent(settings));
    checks.push(nft());
    checks.push(match check_matching() {
        Ok(()) => Check::good("matching", "a made-up weak component meets its made-up advisory"),
        Err(why) => {
            Check::attention("matching", why, "this program is broken: install it again, and report it")
        }
    });
    checks
}

fn data_dir(folder: &Path) -> Vec<Check> {
    const SETUP: &str = "`fleetwarden setup --data-dir DIR --keys DIR` makes one";
    let layout = Layout::new(folder);
    let mode = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata.permissions().mode() & 0o777,
        Ok(_) => {
            return vec![Check::attention(
                "data directory",
                format!("{} is no folder", folder.display()),
                SETUP,
            )];
        }
        Err(error) => {
            return vec![Check::attention("data directory", format!("{}: {error}", folder.display()), SETUP)];
        }
    };
    let shown = folder.display();
    let for_others = mode & 0o077;
    let directory = if for_others == 0 {
        Check::good("data directory", format!("{shown}, for its owner only"))
    } else {
        let hint = format!("chmod 700 {shown}");
        Check::attention("data directory", format!("others may look into {shown} (mode {mode:o})"), hint)
    };
    let key = match FileSigner::open(&layout.online_key()) {
        Ok(signer) => Check::good("online key", signer.public_key().key_id()),
        Err(error) => Check::attention("online key", crate::failure::chain(&error), SETUP),
    };
    vec![directory, key, offline_keys(folder)]
}

/// The promise that a stolen server signs nothing holds only while the offline keys are elsewhere.
fn offline_keys(folder: &Path) -> Check {
    let places = ["", "keys"].map(|inner| folder.join(inner));
    let found = places.iter().flat_map(|place| ["root.pem", "targets.pem"].map(|name| place.join(name)));
    let found: Vec<String> =
        found.filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    if found.is_empty() {
        Check::good("offline keys", "none of them lies in the data directory")
    } else {
        Check::attention(
            "offline keys",
            found.join(", "),
            "move them to a machine that is not on the network",
        )
    }
}

fn authority(settings: &Settings, now: Timestamp) -> Check {
    const NAME: &str = "device CA";
    let certificates = match authorities(settings) {
        Ok(certificates) => certificates,
        Err(failure) => return Check::of_failure(NAME, failure),
    };
    let ends = certificates.iter().filter_map(|der| not_after(der.as_ref())).min();
    let hint = "make a new authority, and let devices trust both until all have new certificates";
    match ends {
        Some(end) => ends_check(NAME, end, AUTHORITY_ENDS_SOON, now, hint),
        None => Check::attention(NAME, "the certificate cannot be read", "name the right file with --ca"),
    }
}

/// Returns when a certificate ends.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)))
}

/// Says whether something ends soon.
pub(super) fn ends_check(
    name: &'static str,
    end: Timestamp,
    soon: Seconds,
    now: Timestamp,
    hint: &str,
) -> Check {
    let left = end.since(now);
    if end <= now {
        Check::attention(name, format!("ended at {end}"), hint)
    } else if left < soon {
        Check::attention(name, format!("good until {end}, only {left} more"), hint)
    } else {
        Check::good(name, format!("good until {end}, {left} more"))
    }
}

fn agent(settings: &Settings) -> Check {
    const HINT: &str = "give --agent-binary to `fleetwarden serve`: without it no release can be proven";
    match settings.path("serve.agent-binary").or_else(agent_beside) {
        None => Check::attention("agent for the lab", "there is none beside this program", HINT),
        Some(path) => match fs::metadata(&path) {
            Ok(metadata) if metadata.permissions().mode() & 0o111 != 0 => {
                Check::good("agent for the lab", path.display().to_string())
            }
            Ok(_) => Check::attention("agent for the lab", format!("{} cannot be run", path.display()), HINT),
            Err(error) => Check::attention("agent for the lab", format!("{}: {error}", path.display()), HINT),
        },
    }
}

fn nft() -> Check {
    const HINT: &str = "install nftables: without it, shields are written but never verified";
    // Daemons and plain users often have no sbin in their path.
    let programs = ["nft", "/usr/sbin/nft", "/sbin/nft"];
    let version = programs.iter().find_map(|program| {
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    });
    version.map_or_else(|| Check::attention("nft", "not found", HINT), |version| Check::good("nft", version))
}

#[cfg(test)]
mod tests {
    use super::{data_dir, ends_check, offline_keys};
    use crate::doctor::State;
    use warden_model::{Seconds, Timestamp};

    #[test]
    fn an_end_that_is_near_needs_attention() {
        let now = Timestamp(0);
        let check = |end: i64, state: State| {
            let found = ends_check("x", Timestamp(end * 1000), Seconds(100), now, "renew it");
            assert_eq!(found.state, state, "{found:?}");
        };
        check(-1, State::Attention);
        check(0, State::Attention);
        check(99, State::Attention);
        check(100, State::Good);
    }

    #[test]
    fn a_folder_that_is_none_and_keys_that_lie_wrong_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(data_dir(&folder.path().join("none"))[0].state, State::Attention);
        assert_eq!(offline_keys(folder.path()).state, State::Good);
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        std::fs::write(folder.path().join("keys/targets.pem"), "").unwrap();
        assert_eq!(offline_keys(folder.path()).state, State::Attention);
    }
}
