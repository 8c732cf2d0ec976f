//! Starting and stopping: open everything, listen, turn the loop, end cleanly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, oneshot, watch};
use tracing::{error, info};
use warden_keys::tls::{DeviceCertificates, server_config};
use warden_keys::{CertificateAuthority, FileSigner};
use warden_model::{Seconds, Timestamp};
use warden_store::{Artifacts, HeartbeatPolicy, Heartbeats, Store};
use warden_trust::TrustDomain;

use crate::clock::now;
use crate::config::Config;
use crate::context::{Context, Shared};
use crate::patches::Patches;
use crate::repository::Repository;
use crate::setup::Layout;
use crate::{api, device, listen, lock, patches, problem, turn};

/// How long the server's own TLS certificate is valid: it is made anew, from the device CA, at each start and at half of
/// this time, so that a server which runs for years never shows an expired one.
const SERVER_CERTIFICATE_LIFETIME: Seconds = Seconds::days(90);
/// How often the online metadata is signed anew: four times in the life of a timestamp.
const REFRESH_EVERY: Duration = Duration::from_hours(6);

/// Where a started server listens.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// The device listener.
    pub device: SocketAddr,
    /// The listener for people and programs.
    pub console: SocketAddr,
}

/// Serves until `stop` turns true. `console` makes the pages from the shared context; `listening` is told the addresses
/// once both listeners are bound.
pub async fn serve(
    config: Config,
    console: impl FnOnce(&Shared) -> Router,
    listening: oneshot::Sender<Listening>,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    let started = now();
    // A server whose matching is broken would report a safe fleet: it must not start.
    warden_assess::canary::check().context("check that advisories are still matched")?;
    let held = lock::hold(&config.data_dir)?;
    let device_listener = bind(config.device_address).await?;
    let console_listener = bind(config.console_address).await?;
    let addresses =
        Listening { device: device_listener.local_addr()?, console: console_listener.local_addr()? };
    let mut config = config;
    // Port 0 asks the system for a free one; links need the real one.
    config.device_address = addresses.device;
    config.console_address = addresses.console;
    let context = Arc::new(open(config, started).await?);
    context.repository.refresh(started).await.context("sign the online metadata")?;

    let (device_tls, devices) = watch::channel(tls(&context, started, &Listener::Devices)?);
    let (people_tls, people) = watch::channel(tls(&context, started, &Listener::People)?);
    let pages = api::router(&context).merge(console(&context));
    // Nobody may wait for the addresses any more; the server serves all the same.
    listening.send(addresses).ok();
    info!(devices = %addresses.device, console = %addresses.console, "serving");
    tokio::join!(
        listen::run(device_listener, devices, device::router(&context), stop.clone()),
        listen::run(console_listener, people, pages, stop.clone()),
        // Boxed: with these in place the future of a server would take 16 KiB wherever it is moved.
        Box::pin(turn_the_loop(&context, stop.clone())),
        Box::pin(prepare_releases(&context, stop.clone())),
        Box::pin(patches::work(&context, stop.clone())),
        refresh_metadata(&context, stop.clone()),
        renew_certificates(
            &context,
            [(device_tls, Listener::Devices), (people_tls, Listener::People)],
            stop.clone()
        ),
        end_streams(&context, stop.clone()),
    );
    close(&context).await;
    drop(held);
    info!("stopped");
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address} (is another server running there?)"))
}

async fn open(config: Config, started: Timestamp) -> Result<Context> {
    let layout = Layout::new(&config.data_dir);
    let setup_hint = || format!("open {} (has `fleetwarden setup` been run?)", config.data_dir.display());
    let authority = CertificateAuthority::open(&layout.authority()).with_context(setup_hint)?;
    let signer = FileSigner::open(&layout.online_key()).with_context(setup_hint)?;
    let store = Store::open(&config.data_dir).await.context("open the database")?;
    let artifacts = Artifacts::open(&layout.artifacts()).context("open the artifacts")?;
    let trust_domain = TrustDomain::new(config.trust_domain.clone()).context("read the trust domain")?;
    let heartbeats = Arc::new(Heartbeats::start_with(store.clone(), heartbeats(&config)));
    info!(since = %started, data = %config.data_dir.display(), "opened the state");
    Ok(Context {
        repository: Repository::open(layout.metadata(), signer),
        config,
        store,
        artifacts,
        heartbeats,
        authority,
        trust_domain,
        deciding: Mutex::new(()),
        wake: Notify::new(),
        wake_preparation: Notify::new(),
        patches: Patches::default(),
    })
}

/// Signs of life are written as often as devices give them, up to the store's own pause.
fn heartbeats(config: &Config) -> HeartbeatPolicy {
    let policy = HeartbeatPolicy::default();
    HeartbeatPolicy { every: policy.every.min(Duration::from_secs(config.poll.0.max(1))), ..policy }
}

/// Which listener a TLS configuration is for.
enum Listener {
    Devices,
    People,
}

fn tls(context: &Context, now: Timestamp, listener: &Listener) -> Result<Arc<rustls::ServerConfig>> {
    let mut names = vec![context.config.public_host.clone(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    names.sort();
    names.dedup();
    let identity = context.authority.issue_server(&names, now, SERVER_CERTIFICATE_LIFETIME)?;
    let devices = match listener {
        // Asked for, not demanded: EST enrolment comes without one. Every other route demands it.
        Listener::Devices => DeviceCertificates::Optional { ca: context.authority.certificate_der().clone() },
        Listener::People => DeviceCertificates::NotAsked,
    };
    Ok(Arc::new(server_config(identity, devices)?))
}

/// How long until the loop turns again when nothing wakes it.
pub(crate) fn pause(context: &Shared) -> Duration {
    Duration::from_secs(context.config.turn_every.0.max(1))
}

async fn turn_the_loop(context: &Shared, mut stop: watch::Receiver<bool>) {
    let mut memory = turn::Memory::default();
    while !*stop.borrow() {
        turn::turn(context, &mut memory).await;
        tokio::select! {
            () = tokio::time::sleep(pause(context)) => {}
            () = context.wake.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

async fn prepare_releases(context: &Shared, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        // It may take minutes, and may be dropped anywhere: what is not committed is done again after the next start.
        tokio::select! {
            () = turn::prepare(context) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(pause(context)) => {}
            () = context.wake_preparation.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

async fn refresh_metadata(context: &Shared, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(REFRESH_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Err(failure) = context.repository.refresh(now()).await {
            error!(error = %problem::chain(&failure), "the online metadata could not be signed; devices will refuse it");
        }
    }
}

/// Makes the server's own certificates anew when half of their time is over.
async fn renew_certificates(
    context: &Shared,
    listeners: [(watch::Sender<Arc<rustls::ServerConfig>>, Listener); 2],
    mut stop: watch::Receiver<bool>,
) {
    let half = Duration::from_secs(SERVER_CERTIFICATE_LIFETIME.0 / 2);
    loop {
        tokio::select! {
            () = tokio::time::sleep(half) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        for (sender, listener) in &listeners {
            match tls(context, now(), listener) {
                Ok(config) => drop(sender.send_replace(config)),
                Err(failure) => {
                    error!(error = %format!("{failure:#}"), "the server's certificate could not be renewed; restart it soon");
                }
            }
        }
    }
}

/// Streams of events never end by themselves: a clean stop ends them at once instead of waiting for their readers.
async fn end_streams(context: &Shared, mut stop: watch::Receiver<bool>) {
    // An error means that nobody can order a stop any more, which is one.
    stop.wait_for(|stop| *stop).await.ok();
    context.store.end_events();
}

async fn close(context: &Shared) {
    if let Err(failure) = context.heartbeats.close().await {
        error!(error = %problem::chain(&failure), "the last signs of life could not be kept");
    }
    context.store.clone().close().await;
}

#[cfg(test)]
mod tests;
