//! What all parts of the server share.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use warden_keys::CertificateAuthority;
use warden_store::{Artifacts, Heartbeats, Store};
use warden_trust::TrustDomain;

use crate::config::Config;
use crate::patches::Patches;
use crate::repository::Repository;

/// What all parts of the server share.
pub struct Context {
    /// The settings.
    pub config: Config,
    /// The state.
    pub store: Store,
    /// Images and patches.
    pub artifacts: Artifacts,
    /// Signs of life on their way into the store.
    pub heartbeats: Arc<Heartbeats>,
    /// The signed metadata.
    pub repository: Repository,
    /// The device CA.
    pub authority: CertificateAuthority,
    /// The part of each device's identity that names the fleet.
    pub trust_domain: TrustDomain,
    /// Held while the state of the fleet is read, decided upon, and written: one decision at a time.
    pub deciding: Mutex<()>,
    /// Wakes the loop: something has come that a turn should see.
    pub wake: Notify,
    /// Wakes the preparation of releases.
    pub wake_preparation: Notify,
    /// What the building of patches shares.
    pub patches: Patches,
}

impl Context {
    /// Wakes both workers: something new has come.
    pub fn wake_all(&self) {
        self.wake.notify_one();
        self.wake_preparation.notify_one();
    }
}

/// A context that is shared.
pub type Shared = Arc<Context>;
