//! A folder to work in, and the real binary.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A folder to work in.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    server: OnceLock<String>,
}

/// A server that runs.
pub(crate) struct Server(Child);

impl Desk {
    /// Makes a folder with an image in it: a tar archive that holds nothing.
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), server: OnceLock::new() };
        std::fs::create_dir(desk.path("empty")).unwrap();
        let made =
            Command::new("tar").args(["-cf", "image.tar", "empty"]).current_dir(desk.folder.path()).status();
        assert!(made.unwrap().success());
        desk
    }

    /// Returns a path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwarden"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("FLEETWARDEN_DATA_DIR", "data");
        if let Some(server) = self.server.get() {
            command.env("FLEETWARDEN_SERVER", server);
        }
        command
    }

    /// Runs a command line: exit code, stdout, stderr.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Runs a command line and checks how it ended and what it said.
    pub(crate) fn check(&self, arguments: &[&str], code: i32, out: &str, err: &str) {
        let (found, stdout, stderr) = self.run(arguments);
        let all = format!("{arguments:?} ended with {found}\n{stdout}\n{stderr}");
        assert_eq!(found, code, "{all}");
        assert!(stdout.contains(out) && stderr.contains(err), "{all}");
    }

    /// Starts the server on free ports.
    pub(crate) fn serve(&self) -> Server {
        let free = "127.0.0.1:0";
        let mut command =
            self.command(&["serve", "--device-listen", free, "--console-listen", free, "--turn", "1s"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let console = value["listening"]["console"].as_str().unwrap();
        let port = console.rsplit(':').next().unwrap();
        self.server.set(format!("https://localhost:{port}")).unwrap();
        Server(child)
    }
}

impl Server {
    /// Stops it as an operator does, and expects a clean end.
    pub(crate) fn stop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to do when it has stopped already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
