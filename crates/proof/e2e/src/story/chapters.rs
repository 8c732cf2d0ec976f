//! The chapters of the story, each a step that a person would take, or that the loop takes by itself.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use warden_model::{ByteCount, Seconds, Timestamp};
use warden_wire::rest::{ReleaseBody, RolloutBody};

use super::{PRODUCTS, Story, Whose, profiles};
use crate::binaries::Binaries;
use crate::fleet::{Device, Fate, wait_for_first_reports};
use crate::process::{run, wait_for};
use crate::proxy::device_address;
use crate::server::Server;
use crate::talk::Talk;
use crate::traffic::{suricata_flow, zeek_connection};

/// Where the products of the demo usually call: documentation addresses (RFC 5737).
const CLOUD: &str = "192.0.2.10";
/// Where a camera has no business to call.
const STRANGER: &str = "198.51.100.66";

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
}

impl Story {
    pub(super) fn publish_old(&mut self) -> Result<()> {
        self.talk.chapter("Version 1.0 of three products");
        for (id, name, board, supported) in PRODUCTS {
            let mut body = json!({ "id": id, "name": name, "boards": [board], "exposure": "open" });
            if !supported && let Some(body) = body.as_object_mut() {
                body.insert("support_ends".to_owned(), json!("2025-12-31T00:00:00Z"));
            }
            self.server.api.put(&format!("/api/v1/products/{id}"), &body)?;
        }
        let old = self.images.old.clone();
        for (product, image) in &old {
            self.upload(product, "1.0", image)?;
        }
        for (product, _) in &old {
            let release = self.wait_for_release(&format!("{product}-1.0"), "proven")?;
            let components = release.components.unwrap_or(0);
            self.talk.say(&format!("{product} 1.0: {components} components found; {}", release.reason));
        }
        self.sign()
    }

    fn upload(&self, product: &str, version: &str, image: &Path) -> Result<()> {
        let bytes = fs::read(image).with_context(|| format!("read {}", image.display()))?;
        let receipt = self.server.api.upload(&bytes)?;
        let wish = json!({ "product": product, "version": version, "image": receipt.image });
        self.server.api.post("/api/v1/releases", &wish)?;
        Ok(())
    }

    fn wait_for_release(&self, id: &str, state: &str) -> Result<ReleaseBody> {
        // Patches are built behind everything else that the machine does.
        wait_for(&format!("{id} to be {state}"), Duration::from_mins(4), || {
            let release = self.server.api.release(id)?;
            if release.state == "rejected" {
                bail!("{id} was rejected: {}", release.reason);
            }
            Ok((release.state == state).then_some(release))
        })
    }

    fn sign(&self) -> Result<()> {
        let keys = self.server.keys.display().to_string();
        run(&mut self.server.cli(&["release", "sign", "--keys", &keys, "--yes"]))
            .context("sign the releases")?;
        self.talk.say("signed with the offline targets key (fleetwarden release sign)");
        Ok(())
    }

    pub(super) fn start_fleet(&mut self, binaries: &Binaries, dir: &Path) -> Result<()> {
        self.talk.chapter("Twelve devices: factory image, one-time token, certificate, first report");
        for (number, profile) in (1_u8..).zip(profiles()) {
            let image = self.images.old.iter().find(|(product, _)| *product == profile.product);
            let image = image.map(|(_, image)| image.clone()).context("a product without an image")?;
            self.devices.push(Device::start(binaries, &self.server, dir, number, profile, &image)?);
        }
        wait_for_first_reports(&self.server, &mut self.devices)?;
        self.talk.say(&format!("{} devices run 1.0, by their own signed reports", self.devices.len()));
        Ok(())
    }

    pub(super) fn learn_traffic(&mut self) -> Result<()> {
        for number in (1_u8..).take(self.devices.len()) {
            suricata_flow(&self.server.eve(), now(), device_address(number), CLOUD, 443)?;
            zeek_connection(&self.server.zeek(), now(), device_address(number), CLOUD, 443)?;
        }
        self.talk.say("the sensors' logs show what these products usually do; the watch learns");
        Ok(())
    }

    pub(super) fn advisory_arrives(&mut self) -> Result<()> {
        self.talk.chapter("An advisory becomes known");
        self.server.api.post("/api/v1/advisories", &self.images.advisory)?;
        let advisory = self.server.api.advisory(&self.advisory)?;
        self.talk.say(&format!("{}: {}", advisory.id, advisory.summary));
        let surely: Vec<&str> = self.surely_affected();
        let cases = wait_for("the affected devices", Duration::from_secs(30), || {
            let cases = self.server.api.cases()?;
            let all = surely.iter().all(|device| cases.iter().any(|case| case.device == *device));
            Ok(all.then_some(cases))
        })?;
        let count = |priority: &str| cases.iter().filter(|case| case.priority == priority).count();
        self.talk.say(&format!(
            "{} devices are affected: {} immediate, {} out of cycle, {} scheduled, {} may wait",
            cases.len(),
            count("immediate"),
            count("out-of-cycle"),
            count("scheduled"),
            count("defer"),
        ));
        if let Some(case) = cases.first() {
            self.talk.say(&format!("why {} is {}: {}", case.device, case.priority, case.reason));
            for factor in &case.factors {
                self.talk.say(&format!("  {}: {} – {}", factor.name, factor.value, factor.because));
            }
        }
        self.shielded_at_once()
    }

    /// The devices whose image has, as we know, what the advisory names.
    fn surely_affected(&self) -> Vec<&'static str> {
        let ours = self.devices.iter().filter(|device| match self.images.gateways {
            Whose::Ours => true,
            Whose::Theirs => device.profile.product != "gateway",
        });
        ours.map(|device| device.profile.id).collect()
    }

    /// No fix exists yet: every affected device is shielded at once; those whose product gets no updates stay so.
    fn shielded_at_once(&self) -> Result<()> {
        let surely = self.surely_affected();
        let shields = wait_for("the shields", Duration::from_secs(30), || {
            let mut shields = self.server.api.shields()?;
            shields.retain(|shield| shield.state != "lifted");
            let all = surely.iter().all(|device| shields.iter().any(|shield| shield.device == *device));
            Ok(all.then_some(shields))
        })?;
        for shield in &shields {
            let (device, state) = (&shield.device, &shield.state);
            ensure!(state == "verified", "the shield of {device} is {state}: is nftables installed?");
            if shield.reason == "support-ended" {
                self.talk.say(&format!("{device} gets no updates any more: shielded until it is retired"));
            }
        }
        let waiting = shields.iter().filter(|shield| shield.reason == "patch-pending").count();
        self.talk.say(&format!(
            "{waiting} devices are shielded until they run a fix; all rules passed the real nft"
        ));
        Ok(())
    }

    pub(super) fn publish_new(&mut self) -> Result<()> {
        self.talk.chapter("Version 1.1 without the weakness: analysed, patched, proven, signed");
        let new = self.images.new.clone();
        for (product, image) in &new {
            self.upload(product, "1.1", image)?;
        }
        for (product, _) in &new {
            let release = self.wait_for_release(&format!("{product}-1.1"), "proven")?;
            for patch in &release.patches {
                let (patch, full) = (ByteCount(patch.bytes), ByteCount(release.image_bytes));
                self.talk.say(&format!("{product}: patch of {patch} instead of {full}"));
            }
            for run in &release.lab {
                self.talk.say(&format!("{product}: lab scenario {} {}", run.scenario, run.outcome));
            }
        }
        self.sign()
    }

    pub(super) fn roll_out(&mut self) -> Result<()> {
        self.talk.chapter("Rollouts in phases; every step with its reason");
        // A broken camera is one of four in its phase: 25 % failed, below the 34 % that would halt.
        let policies = [
            ("gateway", "canary=1, early=25%, rest; success=100%; error=34%; soak=2s"),
            ("camera", "canary=1, rest; success=100%; error=34%; soak=2s"),
        ];
        let mut ids = Vec::new();
        for (product, phases) in policies {
            let wish = json!({ "release": format!("{product}-1.1"), "phases": phases });
            let rollout: RolloutBody =
                serde_json::from_value(self.server.api.post("/api/v1/rollouts", &wish)?)?;
            self.talk.say(&format!("{product} 1.1: {phases}"));
            self.server.api.post(&format!("/api/v1/rollouts/{}/start", rollout.id), &json!({}))?;
            ids.push(rollout.id);
        }
        let (server, talk) = (&self.server, self.talk);
        let victim = self.devices.iter_mut().find(|device| device.profile.fate == Fate::KilledWhileWriting);
        let victim = victim.context("nobody to cut the power of")?;
        std::thread::scope(|scope| {
            let cut = scope.spawn(move || cut_power(victim, talk));
            let followed = follow(server, talk, &ids);
            cut.join().map_err(|_| anyhow::anyhow!("cutting the power panicked"))??;
            followed
        })
    }

    pub(super) fn strange_traffic(&mut self) -> Result<()> {
        self.talk.chapter("The watch");
        suricata_flow(&self.server.eve(), now(), device_address(7), STRANGER, 6667)?;
        zeek_connection(&self.server.zeek(), now(), device_address(7), STRANGER, 6667)?;
        let alerts = wait_for("the alert", Duration::from_secs(30), || {
            let alerts = self.server.api.alerts()?;
            Ok((!alerts.is_empty()).then_some(alerts))
        })?;
        if let Some(alert) = alerts.first() {
            self.talk.say(&format!("alert: {}", alert.reason));
        }
        Ok(())
    }

    pub(super) fn everybody_protected(&mut self) -> Result<()> {
        let surely = u64::try_from(self.surely_affected().len()).unwrap_or(0);
        let advisory = wait_for("everybody to be protected", Duration::from_mins(1), || {
            let advisory = self.server.api.advisory(&self.advisory)?;
            let done = advisory.protected.as_ref().is_some_and(|protected| {
                protected.affected >= surely && protected.protected == protected.affected
            });
            Ok(done.then_some(advisory))
        })?;
        self.tell_savings()?;
        if let Some(protected) = advisory.protected {
            self.talk.chapter(&format!(
                "Time to protected: {} ({} patched, {} shielded)",
                super::span_text(Seconds(protected.elapsed_seconds)),
                protected.patched,
                protected.shielded
            ));
        }
        Ok(())
    }

    /// Tells what patches saved, by the devices' own reports.
    fn tell_savings(&self) -> Result<()> {
        for product in ["gateway", "camera"] {
            let release = self.server.api.release(&format!("{product}-1.1"))?;
            if let Some(savings) = release.savings {
                self.talk.say(&format!("{product} 1.1: {}", savings.summary));
            }
        }
        Ok(())
    }
}

/// Kills a device in the middle of writing its slot, and gives it its power back.
fn cut_power(victim: &mut Device, talk: Talk) -> Result<()> {
    let written = victim.power_cut_while_writing(Duration::from_mins(1))?;
    let id = victim.profile.id;
    talk.say(&format!("{id}: power cut (kill -9) with {} of its slot written", ByteCount(written)));
    std::thread::sleep(Duration::from_millis(300));
    victim.power_on()?;
    talk.say(&format!("{id}: power is back; it still runs 1.0 and goes on where it was"));
    Ok(())
}

/// Tells the rollouts' events as they come, until all have ended.
fn follow(server: &Server, talk: Talk, ids: &[String]) -> Result<()> {
    let mut told: Vec<usize> = vec![0; ids.len()];
    wait_for("the rollouts to end", Duration::from_mins(3), || {
        let mut running = 0;
        for (id, told) in ids.iter().zip(&mut told) {
            *told = tell_events(server, talk, id, *told)?;
            let rollout = server.api.rollout(id)?;
            match rollout.state.as_str() {
                "finished" => {}
                "halted" => bail!("the rollout {id} halted: {}", rollout.reason),
                _ => running += 1,
            }
        }
        Ok((running == 0).then_some(()))
    })
}

/// Tells the events of a rollout behind the first `told`; returns how many there are.
fn tell_events(server: &Server, talk: Talk, id: &str, told: usize) -> Result<usize> {
    let page = server.api.get(&format!("/api/v1/rollouts/{id}/events?limit=500"))?;
    let events = page.get("items").and_then(|items| items.as_array()).cloned().unwrap_or_default();
    // The newest come first: tell what is new in the order in which it happened.
    for event in events.iter().take(events.len().saturating_sub(told)).rev() {
        let text = |key: &str| event.get(key).and_then(|value| value.as_str()).unwrap_or_default();
        let device = text("device");
        let who = if device.is_empty() { id } else { device };
        talk.say(&format!("{who}: {} – {}", text("what"), text("reason")));
    }
    Ok(events.len())
}
