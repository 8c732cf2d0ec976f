//! The story that the demo tells and the end-to-end test checks: one turn of the loop with twelve devices.

mod chapters;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::binaries::Binaries;
use crate::firmware::{Parts, gather};
use crate::fleet::{Device, Fate, Profile};
use crate::server::Server;
use crate::talk::Talk;

pub use table::{Row, rows, span_text, verdict};

/// What to tell.
#[derive(Debug, Clone)]
pub struct Script {
    /// Where everything is kept; made anew.
    pub dir: PathBuf,
    /// Where downloaded packages are kept for the next time.
    pub packages: PathBuf,
    /// Images of the user's own: versions 1.0 and 1.1.
    pub firmware: Option<(PathBuf, PathBuf)>,
}

/// The story as it stands.
pub struct Story {
    /// The server.
    pub server: Server,
    /// The devices.
    pub devices: Vec<Device>,
    /// The id of the advisory.
    pub advisory: String,
    talk: Talk,
    images: Images,
}

/// Whose images the gateways run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The demo's: the shipped advisory names what is in them.
    Ours,
    /// The user's: nobody knows what is in them.
    Theirs,
}

/// The images of the products that get 1.1.
struct Images {
    gateways: Whose,
    old: Vec<(&'static str, PathBuf)>,
    new: Vec<(&'static str, PathBuf)>,
    advisory: serde_json::Value,
}

/// The products: id, name, board, and whether updates still come.
const PRODUCTS: [(&str, &str, &str, bool); 3] = [
    ("gateway", "Site gateway", "gw-1", true),
    ("camera", "Yard camera", "cam-1", true),
    ("thermostat", "Room thermostat", "th-1", false),
];

/// The twelve devices.
pub fn profiles() -> Vec<Profile> {
    let profile = |id, product, board, criticality, sensitivity, fate| Profile {
        id,
        product,
        board,
        criticality,
        sensitivity,
        fate,
    };
    vec![
        profile("gateway-1", "gateway", "gw-1", "low", "internal", Fate::Healthy),
        profile("gateway-2", "gateway", "gw-1", "standard", "internal", Fate::Healthy),
        profile("gateway-3", "gateway", "gw-1", "mission-critical", "confidential", Fate::BadNetwork),
        profile("gateway-4", "gateway", "gw-1", "safety-critical", "restricted", Fate::KilledWhileWriting),
        profile("gateway-5", "gateway", "gw-1", "safety-critical", "internal", Fate::Healthy),
        profile("camera-1", "camera", "cam-1", "low", "internal", Fate::Healthy),
        profile("camera-2", "camera", "cam-1", "standard", "confidential", Fate::Healthy),
        profile("camera-3", "camera", "cam-1", "standard", "confidential", Fate::BrokenSensor),
        profile("camera-4", "camera", "cam-1", "mission-critical", "confidential", Fate::Healthy),
        profile("camera-5", "camera", "cam-1", "safety-critical", "restricted", Fate::Healthy),
        profile("thermostat-1", "thermostat", "th-1", "standard", "public", Fate::OutOfSupport),
        profile("thermostat-2", "thermostat", "th-1", "low", "public", Fate::OutOfSupport),
    ]
}

impl Story {
    /// Tells the whole story; afterwards [`rows`] and [`verdict`] say how it ended.
    pub fn tell(binaries: &Binaries, script: &Script, talk: Talk) -> Result<Self> {
        if script.dir.exists() {
            fs::remove_dir_all(&script.dir).with_context(|| format!("clear {}", script.dir.display()))?;
        }
        fs::create_dir_all(&script.dir).with_context(|| format!("make {}", script.dir.display()))?;
        talk.chapter("Firmware, from real binaries of this machine");
        let images = images(binaries, script, talk)?;
        talk.chapter("A server with a database, a device CA, and offline keys beside it");
        let server = Server::start(binaries, &script.dir)?;
        talk.say(&format!("devices connect to {}, people to {}", server.devices, server.console));
        talk.say("one file key a role, for this demo; real fleets keep root and targets keys offline, 3 of 5 and 2 of 3");
        let advisory = images.advisory.get("id").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
        let mut story = Self { server, devices: Vec::new(), advisory, talk, images };
        match story.chapters(binaries, script) {
            Ok(()) => Ok(story),
            Err(error) => {
                Err(error.context(format!("the server's last words:\n{}", story.server.last_words())))
            }
        }
    }

    fn chapters(&mut self, binaries: &Binaries, script: &Script) -> Result<()> {
        self.publish_old()?;
        self.start_fleet(binaries, &script.dir)?;
        self.learn_traffic()?;
        self.advisory_arrives()?;
        self.publish_new()?;
        self.roll_out()?;
        self.strange_traffic()?;
        self.everybody_protected()
    }
}

fn images(binaries: &Binaries, script: &Script, talk: Talk) -> Result<Images> {
    let parts = gather(&binaries.agent, &script.packages)?;
    talk.say(&parts.story);
    let folder = script.dir.join("firmware");
    fs::create_dir_all(&folder)?;
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let build = |product, version| image(script, &parts, &folder, product, version, talk);
    std::thread::scope(|scope| {
        // Compressing takes most of the time: an image a thread.
        let tasks: Vec<_> = PRODUCTS
            .iter()
            .flat_map(|(product, _, _, supported)| {
                let versions: &[&str] = if *supported { &["1.0", "1.1"] } else { &["1.0"] };
                versions.iter().map(|version| (*product, *version))
            })
            .map(|(product, version)| (product, version, scope.spawn(move || build(product, version))))
            .collect();
        for (product, version, task) in tasks {
            let path = task.join().map_err(|_| anyhow::anyhow!("building an image panicked"))??;
            if version == "1.0" { old.push((product, path)) } else { new.push((product, path)) }
        }
        anyhow::Ok(())
    })?;
    let advisory = serde_json::from_str(parts.advisory).context("read the shipped advisory")?;
    let gateways = if script.firmware.is_some() { Whose::Theirs } else { Whose::Ours };
    Ok(Images { gateways, old, new, advisory })
}

fn image(
    script: &Script,
    parts: &Parts,
    folder: &Path,
    product: &str,
    version: &str,
    talk: Talk,
) -> Result<PathBuf> {
    if let (Some((old, new)), "gateway") = (&script.firmware, product) {
        let own = if version == "1.0" { old } else { new };
        talk.say(&format!("{product} {version}: {} (yours)", own.display()));
        return Ok(own.clone());
    }
    let path = folder.join(format!("{product}-{version}.squashfs"));
    let bytes = if version == "1.0" { parts.old_image(product)? } else { parts.new_image(product)? };
    fs::write(&path, &bytes).with_context(|| format!("write {}", path.display()))?;
    let size = warden_model::ByteCount(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    talk.say(&format!("{product} {version}: SquashFS, {size}"));
    Ok(path)
}
