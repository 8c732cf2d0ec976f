//! A client of the REST API, as any program would write one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, http::Response};
use warden_wire::rest::{
    AdvisoryBody, AlertBody, CaseBody, DeviceBody, EnrolmentRequest, EnrolmentToken, EventBody, Items,
    ReleaseBody, RolloutBody, ShieldBody, StatusBody, UploadReceipt,
};

/// The API of one server.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    base: String,
    token: String,
}

impl Api {
    /// Connects to a server; trust and token come from its data directory.
    pub fn new(data_dir: &Path, base: String) -> Result<Self> {
        let pem = std::fs::read(data_dir.join("ca/ca.crt")).context("read the CA certificate")?;
        let certificate = Certificate::from_pem(&pem).context("read the CA certificate")?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[certificate]))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build()
            .new_agent();
        let token = std::fs::read_to_string(data_dir.join("admin.token")).context("read the API token")?;
        Ok(Self { agent, base, token: format!("Bearer {}", token.trim()) })
    }

    /// Gets JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("authorization", &self.token);
        answer("GET", path, request.call())
    }

    /// Gets text.
    pub fn text(&self, path: &str) -> Result<String> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("authorization", &self.token);
        let mut response = request.call().with_context(|| format!("GET {path}"))?;
        response.body_mut().read_to_string().with_context(|| format!("read {path}"))
    }

    /// Sends JSON with POST.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("authorization", &self.token);
        answer("POST", path, request.send_json(body))
    }

    /// Sends JSON with PUT.
    pub fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.put(format!("{}{path}", self.base)).header("authorization", &self.token);
        answer("PUT", path, request.send_json(body))
    }

    /// Uploads an image.
    pub fn upload(&self, image: &[u8]) -> Result<UploadReceipt> {
        let request =
            self.agent.post(format!("{}/api/v1/images", self.base)).header("authorization", &self.token);
        let request = request.header("content-type", "application/octet-stream");
        Ok(serde_json::from_value(answer("POST", "/api/v1/images", request.send(image))?)?)
    }

    /// Returns the numbers of the fleet.
    pub fn status(&self) -> Result<StatusBody> {
        Ok(serde_json::from_value(self.get("/api/v1/status")?)?)
    }

    /// Makes an enrolment token.
    pub fn enrolment(&self, request: &EnrolmentRequest) -> Result<EnrolmentToken> {
        Ok(serde_json::from_value(self.post("/api/v1/enrolment-tokens", &serde_json::to_value(request)?)?)?)
    }

    /// Returns a device.
    pub fn device(&self, id: &str) -> Result<DeviceBody> {
        Ok(serde_json::from_value(self.get(&format!("/api/v1/devices/{id}"))?)?)
    }

    /// Returns all devices.
    pub fn devices(&self) -> Result<Vec<DeviceBody>> {
        self.list("/api/v1/devices")
    }

    /// Returns all cases.
    pub fn cases(&self) -> Result<Vec<CaseBody>> {
        self.list("/api/v1/cases")
    }

    /// Returns all alerts.
    pub fn alerts(&self) -> Result<Vec<AlertBody>> {
        self.list("/api/v1/alerts")
    }

    /// Returns all shields.
    pub fn shields(&self) -> Result<Vec<ShieldBody>> {
        self.list("/api/v1/shields")
    }

    /// Returns the newest events of a device.
    pub fn events_of(&self, device: &str) -> Result<Vec<EventBody>> {
        self.list(&format!("/api/v1/devices/{device}/events"))
    }

    /// Returns an advisory.
    pub fn advisory(&self, id: &str) -> Result<AdvisoryBody> {
        Ok(serde_json::from_value(self.get(&format!("/api/v1/advisories/{id}"))?)?)
    }

    /// Returns a release.
    pub fn release(&self, id: &str) -> Result<ReleaseBody> {
        Ok(serde_json::from_value(self.get(&format!("/api/v1/releases/{id}"))?)?)
    }

    /// Returns a rollout with its members.
    pub fn rollout(&self, id: &str) -> Result<RolloutBody> {
        Ok(serde_json::from_value(self.get(&format!("/api/v1/rollouts/{id}"))?)?)
    }

    fn list<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let items: Items<T> = serde_json::from_value(self.get(&format!("{path}?limit=500"))?)?;
        Ok(items.items)
    }
}

fn answer(method: &str, path: &str, result: Result<Response<Body>, ureq::Error>) -> Result<Value> {
    let mut response = result.with_context(|| format!("{method} {path}"))?;
    let status = response.status();
    let text = response
        .body_mut()
        .read_to_string()
        .with_context(|| format!("read the answer to {method} {path}"))?;
    if !status.is_success() {
        bail!("{method} {path}: {status}: {text}");
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("read the answer to {method} {path}"))
}
