//! Expectations: what must be so; the story ends where it is not.

use warden_model::case::Protection;
use warden_model::shield::ShieldState;
use warden_model::{DeviceId, ReleaseId};

use super::args::{Args, ArgsError, parse};
use super::{Refusal, Story};

impl Story {
    /// `expect rollout STATE`, `expect release ID STATE`, `expect DEVICES runs VERSION | member STATE | shielded | unshielded |
    /// patched | exposed | offered nothing`
    pub(super) fn expect(&mut self, args: &mut Args) -> Result<String, Refusal> {
        if args.takes("rollout").is_some() {
            let expected = args.word("a state")?;
            let id = self.last_rollout()?;
            let record = self.world.server.state.rollouts.get(&id);
            return same(&expected, record.map_or("no rollout", |record| record.rollout.state.word()));
        }
        if args.takes("release").is_some() {
            let id: ReleaseId = args.next("release")?;
            let expected = args.word("a state")?;
            let release = self.world.server.state.releases.get(&id);
            return same(&expected, release.map_or("no release", |release| release.state.word()));
        }
        let ids = args.devices()?;
        let what = args.word("an expectation")?;
        let value = match what.as_str() {
            "runs" | "member" => Some(args.word("a value")?),
            _ => None,
        };
        for id in &ids {
            self.expect_of(id, &what, value.as_deref())?;
        }
        Ok(String::new())
    }

    fn expect_of(&self, id: &DeviceId, what: &str, value: Option<&str>) -> Result<String, Refusal> {
        let state = &self.world.server.state;
        let named = |text: &str| format!("{id} {text}");
        match what {
            "runs" => {
                // What is really in the slot that runs, and what the server believes: both must say it.
                let flash = self.world.devices.get(id).map(|device| &device.flash);
                let image = flash.and_then(|flash| flash.image(flash.running));
                let really = image.and_then(|image| self.world.images.get(&image));
                let really = really.map_or("nothing", |facts| facts.version.as_str());
                let believed = state.devices.get(id).and_then(|device| device.confirmed.as_ref());
                let believed = believed.map_or("nothing", |running| running.version.as_str());
                let expected = value.unwrap_or_default();
                same(&named(&format!("runs {expected}")), &named(&format!("runs {really}")))?;
                same(&named(&format!("reports {expected}")), &named(&format!("reports {believed}")))
            }
            "member" => {
                let rollout = self.last_rollout()?;
                let record = state.rollouts.get(&rollout);
                let member = record.and_then(|record| record.members.iter().find(|m| m.device == *id));
                let saw = member.map_or("no member", |member| member.state.word());
                same(&named(value.unwrap_or_default()), &named(saw))
            }
            "shielded" | "unshielded" => {
                let stands =
                    state.shields.get(id).is_some_and(|shield| shield.state == ShieldState::Verified);
                same(&named(what), &named(if stands { "shielded" } else { "unshielded" }))
            }
            "patched" | "exposed" => {
                let own = state.cases.iter().filter(|case| case.device == *id);
                let worst = own.map(|case| match case.protected {
                    Some((Protection::Patched, _)) => "patched",
                    Some((Protection::Shielded, _)) => "shielded",
                    None => "exposed",
                });
                // `exposed` before `patched` before `shielded`: one exposed case makes an exposed device.
                same(&named(what), &named(worst.min().unwrap_or("without a case")))
            }
            other => Err(ArgsError::TooMuch(other.to_owned()).into()),
        }
    }

    /// Reads a device that a command names.
    pub(super) fn one_device(args: &mut Args) -> Result<DeviceId, Refusal> {
        Ok(parse("device", &args.word("a device")?)?)
    }
}

fn same(expected: &str, saw: &str) -> Result<String, Refusal> {
    if expected == saw {
        return Ok(String::new());
    }
    Err(Refusal::NotSo { expected: expected.to_owned(), saw: saw.to_owned() })
}
