//! A real browser: headless Chromium, driven through chromedriver by the WebDriver protocol (W3C).
//!
//! In: addresses, CSS selectors. Out: what a person would see: titles, texts, screenshots. Refuses nothing.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use ureq::Agent;

use crate::process::{Process, wait_for};

/// The key under which WebDriver hands out elements (W3C WebDriver §12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser window.
pub struct Browser {
    agent: Agent,
    session: String,
    _driver: Process,
}

/// Says whether Chromium and its driver are installed.
pub fn is_installed() -> bool {
    ["chromium", "chromedriver"].iter().all(|program| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    })
}

impl Browser {
    /// Opens a window of this size; everything that the browser keeps goes to `dir`.
    pub fn open(dir: &Path, width: u32, height: u32) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let driver = Process::start(&mut command, &dir.join("chromedriver.log"))?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build()
            .new_agent();
        let base = format!("http://127.0.0.1:{port}");
        wait_for("chromedriver", Duration::from_secs(20), || {
            Ok(agent.get(format!("{base}/status")).call().ok().map(|_| ()))
        })?;
        let profile = format!("--user-data-dir={}", dir.join("browser").display());
        let size = format!("--window-size={width},{height}");
        let options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            &profile,
            &size,
        ];
        let wish = json!({ "capabilities": { "alwaysMatch": {
            // The certificate is of the server's own authority; that it is right is checked by other tests.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": options },
        } } });
        let answer = call(&agent, "POST", &format!("{base}/session"), &wish)?;
        let id =
            answer.pointer("/sessionId").and_then(Value::as_str).context("chromedriver gives no session")?;
        Ok(Self { agent, session: format!("{base}/session/{id}"), _driver: driver })
    }

    /// Goes to an address.
    pub fn go(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url }))?;
        Ok(())
    }

    /// Returns the address that the window shows.
    pub fn address(&self) -> Result<String> {
        self.text_of(&self.get("/url")?)
    }

    /// Returns the title of the page.
    pub fn title(&self) -> Result<String> {
        self.text_of(&self.get("/title")?)
    }

    /// Returns the text that a person sees inside the first element of a selector; waits until it is there.
    pub fn text(&self, selector: &str) -> Result<String> {
        let element = self.find(selector)?;
        self.text_of(&self.get(&format!("/element/{element}/text"))?)
    }

    /// Clicks on the first element of a selector.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("/element/{element}/click"), &json!({}))?;
        Ok(())
    }

    /// Types into the first element of a selector.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }))?;
        Ok(())
    }

    /// Runs a script in the page and returns its value.
    pub fn script(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Makes the window as wide and high as this.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        self.post("/window/rect", &json!({ "width": width, "height": height }))?;
        Ok(())
    }

    /// Keeps a picture of the window.
    pub fn screenshot(&self, path: &Path) -> Result<()> {
        let picture = self.text_of(&self.get("/screenshot")?)?;
        let bytes = STANDARD.decode(picture).context("read a screenshot")?;
        std::fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
    }

    fn find(&self, selector: &str) -> Result<String> {
        let wish = json!({ "using": "css selector", "value": selector });
        wait_for(selector, Duration::from_secs(10), || {
            let found = self.post("/element", &wish).ok();
            Ok(found.and_then(|found| found.get(ELEMENT).and_then(Value::as_str).map(str::to_owned)))
        })
    }

    fn text_of(&self, value: &Value) -> Result<String> {
        value.as_str().map(str::to_owned).with_context(|| format!("{}: no text", self.session))
    }

    fn get(&self, path: &str) -> Result<Value> {
        call(&self.agent, "GET", &format!("{}{path}", self.session), &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        call(&self.agent, "POST", &format!("{}{path}", self.session), body)
    }
}

fn call(agent: &Agent, method: &str, url: &str, body: &Value) -> Result<Value> {
    let response = match method {
        "GET" => agent.get(url).call(),
        _ => agent.post(url).send_json(body),
    };
    let mut response = response.with_context(|| format!("{method} {url}"))?;
    let status = response.status();
    let answer: Value =
        response.body_mut().read_json().with_context(|| format!("read the answer of {url}"))?;
    let value = answer.get("value").cloned().unwrap_or_default();
    if !status.is_success() {
        bail!("{method} {url}: {value}");
    }
    Ok(value)
}
