//! `enrol`: the device gets its certificate.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use warden_agent::device::dir::read_small;
use warden_agent::server::enrol::{Request, enrol};
use warden_model::Sha256Digest;
use warden_trust::TrustDomain;

use super::{Dir, print};

/// Enrols the device.
#[derive(Debug, clap::Args)]
pub(crate) struct Enrol {
    #[command(flatten)]
    dir: Dir,
    /// The server's address, for instance `https://fleet.example:8443`.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The SHA-256 fingerprint of the server's authority, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    ca_fingerprint: Sha256Digest,
    #[command(flatten)]
    token: Token,
    /// The name of the fleet in its devices' identities.
    #[arg(long, value_name = "NAME", default_value = "fleet.local")]
    trust_domain: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Token {
    /// The one-time token. Other users of this machine can see it: prefer a file or the environment.
    #[arg(long, env = "FLEETWARDEN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the one-time token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Done {
    device: String,
    server: String,
    renew_at: String,
}

impl Enrol {
    pub(crate) fn perform(self) -> Result<ExitCode> {
        let dir = self.dir.open();
        let _lock = dir.lock()?;
        let device = dir.load_identity()?.device;
        let token = match (self.token.token, self.token.token_file) {
            (Some(token), _) => token,
            (None, Some(path)) => String::from_utf8(read_small(&path)?).context("the token is no text")?,
            (None, None) => String::new(),
        };
        let request = Request {
            server: &self.server,
            trust_domain: TrustDomain::new(self.trust_domain)?,
            ca_fingerprint: self.ca_fingerprint,
            token: token.trim(),
        };
        let enrolled = enrol(&dir, &device, &request).context("enrol")?;
        let renew_at = enrolled.renew_at()?.to_string();
        print(&Done { device: device.to_string(), server: enrolled.server, renew_at })?;
        Ok(ExitCode::SUCCESS)
    }
}
