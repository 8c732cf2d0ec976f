//! A real server on a data directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::api::Api;
use crate::binaries::Binaries;
use crate::process::{Process, run, wait_for};

/// A running server.
pub struct Server {
    /// Its data directory.
    pub data_dir: PathBuf,
    /// The folder with the offline keys.
    pub keys: PathBuf,
    /// Where devices connect.
    pub devices: SocketAddr,
    /// Where people connect.
    pub console: SocketAddr,
    /// Its API.
    pub api: Api,
    binaries: Binaries,
    dir: PathBuf,
    process: Process,
}

impl Server {
    /// Sets up a data directory below `dir` and starts the server on it.
    pub fn start(binaries: &Binaries, dir: &Path) -> Result<Self> {
        let (data_dir, keys) = (dir.join("server"), dir.join("offline-keys"));
        let mut setup = Command::new(&binaries.fleetwarden);
        setup.args(["setup", "--data-dir"]).arg(&data_dir).arg("--keys").arg(&keys);
        run(&mut setup).context("set the server up")?;
        let (process, devices, console) = serve(binaries, dir, None)?;
        let api = Api::new(&data_dir, format!("https://localhost:{}", console.port()))?;
        Ok(Self {
            data_dir,
            keys,
            devices,
            console,
            api,
            binaries: binaries.clone(),
            dir: dir.to_path_buf(),
            process,
        })
    }

    /// Kills the server as a power cut would, and starts it again on the same addresses.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.process.kill()?;
        let (process, _, _) = serve(&self.binaries, &self.dir, Some((self.devices, self.console)))?;
        self.process = process;
        Ok(())
    }

    /// Stops the server cleanly.
    pub fn stop(&mut self) -> Result<()> {
        self.process.stop(Duration::from_secs(15))
    }

    /// Returns a command of the command line, pointed at this server.
    pub fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binaries.fleetwarden);
        command.args(arguments);
        command.env("FLEETWARDEN_SERVER", format!("https://localhost:{}", self.console.port()));
        command.env("FLEETWARDEN_DATA_DIR", &self.data_dir);
        command
    }

    /// Returns the end of the server's log.
    pub fn last_words(&self) -> String {
        self.process.last_words()
    }

    /// The Suricata log that the server follows.
    pub fn eve(&self) -> PathBuf {
        self.dir.join("sensor/eve.json")
    }

    /// The Zeek log that the server follows.
    pub fn zeek(&self) -> PathBuf {
        self.dir.join("sensor/conn.log")
    }
}

fn serve(
    binaries: &Binaries,
    dir: &Path,
    addresses: Option<(SocketAddr, SocketAddr)>,
) -> Result<(Process, SocketAddr, SocketAddr)> {
    let log = dir.join("logs/server.log");
    let sensor = dir.join("sensor");
    std::fs::create_dir_all(&sensor)?;
    let listen =
        |address: Option<SocketAddr>| address.map_or("127.0.0.1:0".to_owned(), |address| address.to_string());
    let before = std::fs::read_to_string(&log).map_or(0, |text| text.len());
    let mut command = Command::new(&binaries.fleetwarden);
    command.args([
        "serve",
        "--host",
        "localhost",
        "--poll",
        "1s",
        "--turn",
        "1s",
        "--learn-for",
        "2s",
        "--drill-loopback",
    ]);
    command.arg("--data-dir").arg(dir.join("server"));
    command.args(["--device-listen", &listen(addresses.map(|(devices, _)| devices))]);
    command.args(["--console-listen", &listen(addresses.map(|(_, console)| console))]);
    command.arg("--agent-binary").arg(&binaries.agent);
    command.arg("--suricata").arg(sensor.join("eve.json"));
    command.arg("--zeek").arg(sensor.join("conn.log"));
    let mut process = Process::start(&mut command, &log)?;
    let found = wait_for("the server to listen", Duration::from_secs(20), || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let fresh = text.get(before..).unwrap_or_default();
        if !process.is_running() {
            anyhow::bail!("the server ended: {fresh}");
        }
        Ok(fresh.lines().find_map(listening))
    });
    let (devices, console) = found?;
    Ok((process, devices, console))
}

/// Reads the line that says where the server listens.
fn listening(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let address = |key: &str| value.pointer(&format!("/listening/{key}"))?.as_str()?.parse().ok();
    Some((address("device")?, address("console")?))
}
