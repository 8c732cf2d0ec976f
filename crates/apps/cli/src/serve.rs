//! `serve`: the server and the console in this process, until a signal ends it.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use warden_console::Console;
use warden_model::alert::Sensor;
use warden_server::context::Shared;
use warden_server::{Config, Listening, PatchConfig};
use warden_shield::Loopback;

use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::settings::{Flags, Settings, Takes};

/// Starts the server: devices, console and REST API. SIGTERM or Ctrl-C stops it cleanly
///
/// Prints one line of JSON on stdout once it listens; the log goes to stderr.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fleetwarden serve --data-dir fleet --host updates.example --device-listen 0.0.0.0:8443"
)]
pub(crate) struct ServeArgs {
    /// Where devices connect [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS", value_parser = |text: &str| Takes::Address.checked(text))]
    device_listen: Option<String>,
    /// Where people and programs connect [default: 127.0.0.1:8444]
    #[arg(long, value_name = "ADDRESS", value_parser = |text: &str| Takes::Address.checked(text))]
    console_listen: Option<String>,
    /// The host name under which devices reach the server [default: localhost]
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Takes::Text.checked(text))]
    host: Option<String>,
    /// The part of each device's identity that names the fleet [default: fleet.local]
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Takes::Text.checked(text))]
    trust_domain: Option<String>,
    /// How often devices poll [default: 5min]
    #[arg(long, value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    poll: Option<String>,
    /// How often the loop turns when nothing wakes it [default: 10s]
    #[arg(long, value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    turn: Option<String>,
    /// How long a device certificate is valid [default: 7d]
    #[arg(long, value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    certificate_lifetime: Option<String>,
    /// The agent that the lab runs as virtual device [default: fleetwarden-agent beside this program]
    #[arg(long, value_name = "PATH", value_parser = |text: &str| Takes::Path.checked(text))]
    agent_binary: Option<String>,
    /// A log of Suricata (eve.json) to follow; may be given several times
    #[arg(long, value_name = "FILE", value_parser = |text: &str| Takes::Path.checked(text))]
    suricata: Vec<String>,
    /// A log of Zeek (conn.log) to follow; may be given several times
    #[arg(long, value_name = "FILE", value_parser = |text: &str| Takes::Path.checked(text))]
    zeek: Vec<String>,
    /// The largest image that may be uploaded [default: 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| Takes::Size.checked(text))]
    image_max: Option<String>,
    /// How long the watch learns before it raises alerts [default: 7d]
    #[arg(long, value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    learn_for: Option<String>,
    /// Shields devices on loopback addresses too: for drills on one machine
    #[arg(long)]
    drill_loopback: bool,
    /// For how long after an order a silent device counts as unreachable [default: 1d]
    #[arg(long, value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    order_timeout: Option<String>,
    #[command(flatten)]
    patches: PatchArgs,
}

/// How patches are built.
#[derive(Debug, Args)]
pub(crate) struct PatchArgs {
    /// How many patches are built at the same time; 0 builds none [default: 1]
    #[arg(long = "patch-builds", value_name = "NUMBER", value_parser = |text: &str| Takes::Count.checked(text))]
    builds: Option<String>,
    /// How much memory building patches may take, all builds together [default: 2GiB]
    #[arg(long = "patch-memory", value_name = "SIZE", value_parser = |text: &str| Takes::Size.checked(text))]
    memory: Option<String>,
    /// A release goes on when patches are ready for this share of the devices [default: 90%]
    #[arg(long = "patch-cover", value_name = "SHARE", value_parser = |text: &str| Takes::Share.checked(text))]
    cover: Option<String>,
    /// A release goes on after this time, however many patches are ready [default: 30min]
    #[arg(long = "patch-wait", value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    wait: Option<String>,
    /// How long a patch is kept after the last device has left its base [default: 30d]
    #[arg(long = "patch-keep", value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    keep: Option<String>,
}

impl ServeArgs {
    /// Returns the flags that were given.
    pub(crate) fn flags(&self) -> Flags {
        let drill = self.drill_loopback.then(|| "yes".to_owned());
        let one = [
            ("serve.device-listen", &self.device_listen),
            ("serve.console-listen", &self.console_listen),
            ("serve.host", &self.host),
            ("serve.trust-domain", &self.trust_domain),
            ("serve.poll", &self.poll),
            ("serve.turn", &self.turn),
            ("serve.certificate-lifetime", &self.certificate_lifetime),
            ("serve.agent-binary", &self.agent_binary),
            ("serve.image-max", &self.image_max),
            ("serve.learn-for", &self.learn_for),
            ("serve.drill-loopback", &drill),
            ("serve.order-timeout", &self.order_timeout),
            ("serve.patch-builds", &self.patches.builds),
            ("serve.patch-memory", &self.patches.memory),
            ("serve.patch-cover", &self.patches.cover),
            ("serve.patch-wait", &self.patches.wait),
            ("serve.patch-keep", &self.patches.keep),
        ];
        let many = [("serve.suricata", &self.suricata), ("serve.zeek", &self.zeek)];
        let one = one.into_iter().filter_map(|(key, text)| Some((key, vec![text.clone()?])));
        one.chain(
            many.into_iter().filter(|(_, texts)| !texts.is_empty()).map(|(key, texts)| (key, texts.clone())),
        )
        .collect()
    }
}

/// Runs the command.
pub(crate) fn run(session: &mut Session) -> Outcome {
    let config = config(&session.settings)?;
    if config.agent_binary.is_none() {
        session
            .output
            .say("no agent was found for the lab: releases cannot be proven (give --agent-binary)")?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed("start the runtime", &error))?;
    runtime.block_on(serve(config))?;
    Ok(Exit::Done)
}

/// Makes the server's configuration from the settings.
pub(crate) fn config(settings: &Settings) -> Result<Config, Failure> {
    let mut config = Config::new(settings.needed_path("data-dir")?);
    config.device_address = settings.address("serve.device-listen")?;
    config.console_address = settings.address("serve.console-listen")?;
    config.public_host = settings.text("serve.host").unwrap_or(config.public_host);
    config.trust_domain = settings.text("serve.trust-domain").unwrap_or(config.trust_domain);
    config.poll = settings.seconds("serve.poll")?;
    config.turn_every = settings.seconds("serve.turn")?;
    config.certificate_lifetime = settings.seconds("serve.certificate-lifetime")?;
    config.agent_binary = settings.path("serve.agent-binary").or_else(agent_beside);
    let logs =
        |key, sensor: Sensor| settings.texts(key).into_iter().map(move |path| (sensor, PathBuf::from(path)));
    config.sensors =
        logs("serve.suricata", Sensor::Suricata).chain(logs("serve.zeek", Sensor::Zeek)).collect();
    config.image_bytes_max = settings.bytes("serve.image-max")?;
    config.learn_for = settings.seconds("serve.learn-for")?;
    if settings.is_yes("serve.drill-loopback") {
        config.loopback_devices = Loopback::WriteForDrill;
    }
    config.order_timeout = settings.seconds("serve.order-timeout")?;
    config.patches = PatchConfig {
        builds: settings.count("serve.patch-builds")?,
        memory: settings.bytes("serve.patch-memory")?,
        cover: settings.share("serve.patch-cover")?,
        wait: settings.seconds("serve.patch-wait")?,
        keep: settings.seconds("serve.patch-keep")?,
    };
    Ok(config)
}

/// Finds the agent beside this program.
pub(crate) fn agent_beside() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join("fleetwarden-agent");
    path.is_file().then_some(path)
}

async fn serve(config: Config) -> Result<(), Failure> {
    let (stop, stopping) = watch::channel(false);
    let (listening, addresses) = oneshot::channel::<Listening>();
    let failed = |error: std::io::Error| Failure::failed("wait for signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping (SIGTERM)"),
            _ = interrupt.recv() => tracing::info!("stopping (Ctrl-C)"),
        }
        // The server may have ended by itself.
        stop.send(true).ok();
        // A second Ctrl-C does not wait for requests that are still open.
        interrupt.recv().await;
        std::process::abort();
    });
    tokio::spawn(async move {
        if let Ok(Listening { device, console }) = addresses.await {
            let line =
                json!({ "listening": { "device": device.to_string(), "console": console.to_string() } });
            // A server whose stdout nobody reads serves all the same.
            writeln!(std::io::stdout().lock(), "{line}").unwrap_or_default();
        }
    });
    Box::pin(warden_server::serve(config, console, listening, stopping)).await.map_err(Failure::from)
}

/// Makes the pages from what the server shares.
fn console(shared: &Shared) -> axum::Router {
    warden_console::router(Console {
        store: shared.store.clone(),
        fleet: shared.config.trust_domain.clone(),
        poll: shared.config.poll,
        order_timeout: shared.config.order_timeout,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::config;
    use crate::failure::Exit;
    use crate::settings::Settings;
    use warden_server::Config;

    fn settings(pairs: &[(&'static str, &str)]) -> Settings {
        let flags = pairs.iter().map(|(key, text)| (*key, vec![(*text).to_owned()])).collect();
        Settings::new(flags, BTreeMap::new(), Vec::new()).unwrap()
    }

    #[test]
    fn the_defaults_are_the_server_s_own() {
        let made = config(&settings(&[("data-dir", "d")])).unwrap();
        let mut expected = Config::new("d".into());
        expected.agent_binary.clone_from(&made.agent_binary);
        assert_eq!(format!("{made:?}"), format!("{expected:?}"));
    }

    #[test]
    fn a_data_directory_is_needed() {
        let failure = config(&settings(&[])).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.unwrap().contains("FLEETWARDEN_DATA_DIR"));
    }
}
