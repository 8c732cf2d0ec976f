//! What a person asks to see.

use warden_assess::{Progress, time_to_protected};
use warden_model::case::{Case, Protection};
use warden_model::rollout::Phase;
use warden_model::shield::ShieldState;
use warden_model::{DeviceId, ReleaseId, Timestamp};
use warden_rollout::{Situation, explain, next_steps, tallies};

use super::args::{Args, ArgsError};
use super::{Refusal, Story};
use crate::log::writeln_to;
use crate::server::{RolloutRecord, shield_plan};

impl Story {
    /// `show rollout | device ID | cases | shields | release ID | costs`
    pub(super) fn show(&mut self, args: &mut Args) -> Result<String, Refusal> {
        match args.word("what to show")?.as_str() {
            "rollout" => self.show_rollout(),
            "device" => self.show_device(&Self::one_device(args)?),
            "cases" => Ok(self.show_cases()),
            "shields" => Ok(self.show_shields()),
            "release" => self.show_release(&args.next("release")?),
            "costs" => Ok(self.show_costs()),
            other => Err(ArgsError::TooMuch(other.to_owned()).into()),
        }
    }

    fn with_situation<T>(
        &self,
        tell: impl FnOnce(&RolloutRecord, &Situation<'_>) -> T,
    ) -> Result<T, Refusal> {
        let id = self.last_rollout()?;
        let state = &self.world.server.state;
        let missing = || Refusal::Missing(format!("there is no rollout {id}"));
        let record = state.rollouts.get(&id).ok_or_else(missing)?;
        let release = state.releases.get(&record.rollout.release).ok_or_else(missing)?;
        let urgent = state.urgent();
        let situation = Situation {
            rollout: &record.rollout,
            members: &record.members,
            urgent: &urgent,
            release_state: release.state,
            now: self.world.now,
            order_timeout: state.order_timeout,
        };
        Ok(tell(record, &situation))
    }

    fn show_rollout(&self) -> Result<String, Refusal> {
        self.with_situation(|record, situation| {
            let mut text = String::new();
            let rollout = &record.rollout;
            writeln_to(&mut text, format_args!("   {} is {}: {}", rollout.id, rollout.state, rollout.reason));
            for (index, (phase, tally)) in rollout.phases.iter().zip(tallies(situation)).enumerate() {
                let mark = if index == rollout.phase { '*' } else { ' ' };
                let Phase { name, .. } = phase;
                let counts = [
                    (tally.healthy, "healthy"),
                    (tally.working, "working"),
                    (tally.waiting, "waiting"),
                    (tally.failed, "failed"),
                    (tally.accepted, "failed and accepted"),
                    (tally.unreachable, "unreachable"),
                    (tally.silent_since_install, "silent since install"),
                    (tally.reverting, "turning back"),
                    (tally.reverted, "turned back"),
                    (tally.cancelled, "cancelled"),
                ];
                let counts = counts.iter().filter(|(count, _)| *count > 0);
                let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
                let number = index + 1;
                let (members, counts) = (tally.members, counts.join(", "));
                writeln_to(&mut text, format_args!("  {mark}phase {number} {name}: {counts} of {members}"));
            }
            for waiting in next_steps(situation).waiting() {
                writeln_to(&mut text, format_args!("   waits: {waiting}"));
            }
            text
        })
    }

    fn show_device(&self, id: &DeviceId) -> Result<String, Refusal> {
        let state = &self.world.server.state;
        let missing = || Refusal::Missing(format!("there is no device {id}"));
        let device = state.devices.get(id).ok_or_else(missing)?;
        let real = self.world.devices.get(id).ok_or_else(missing)?;
        let mut text = String::new();
        let runs = |running: &Option<warden_model::device::Running>| {
            running.as_ref().map_or_else(|| "nothing known".to_owned(), |running| running.version.to_string())
        };
        writeln_to(
            &mut text,
            format_args!(
                "   {id} is {}: confirmed {}, last ran {}, generation {}, {} reports",
                device.state,
                runs(&device.confirmed),
                runs(&device.installed),
                device.generation,
                device.report_counter
            ),
        );
        let slots = warden_model::device::Slot::ALL.iter().map(|slot| {
            let content = real.flash.slot(*slot);
            let version = content.and_then(|content| self.world.images.get(&content.artifact));
            match (content, version) {
                (Some(content), Some(facts)) if content.complete().is_some() => {
                    format!("slot {slot} holds {}", facts.version)
                }
                (Some(content), _) => {
                    let (written, size) = (content.written, content.size);
                    format!("slot {slot} holds {written} of {size} bytes of something")
                }
                (None, _) => format!("slot {slot} is empty"),
            }
        });
        let slots: Vec<String> = slots.collect();
        let (cuts, breaks) = (real.truth.cuts, real.link.breaks);
        writeln_to(
            &mut text,
            format_args!(
                "   really: {}; slot {} is confirmed; power cuts: {cuts}; broken connections: {breaks}",
                slots.join(", "),
                real.flash.confirmed
            ),
        );
        Ok(text)
    }

    fn show_cases(&self) -> String {
        let state = &self.world.server.state;
        let mut text = String::new();
        for case in &state.cases {
            let Case { device, finding, decision, protected, .. } = case;
            let until =
                decision.deadline.map_or_else(|| "no deadline".to_owned(), |d| format!("due {}", short(d)));
            let standing = match protected {
                Some((Protection::Patched, since)) => format!("patched; protected since {}", short(*since)),
                Some((Protection::Shielded, since)) => format!("shielded; protected since {}", short(*since)),
                None => "exposed".to_owned(),
            };
            let (advisory, priority, rule) = (&finding.advisory, decision.priority, &decision.rule);
            writeln_to(
                &mut text,
                format_args!("   {advisory} on {device}: {priority} ({rule}), {until}, {standing}"),
            );
        }
        for advisory in &state.advisories {
            let told = time_to_protected(advisory, &state.cases, self.world.now);
            let word = match told.progress {
                Progress::NobodyAffected => "nobody is affected",
                Progress::Exposed => "and the clock still runs",
                Progress::Done => "and all are protected",
            };
            writeln_to(
                &mut text,
                format_args!(
                    "   {}: {} affected, {} patched, {} shielded; time to protected {}, {word}",
                    advisory.id, told.affected, told.patched, told.shielded, told.elapsed
                ),
            );
        }
        text
    }

    fn show_shields(&self) -> String {
        let mut text = String::new();
        for line in warden_shield::explain(&shield_plan(&self.world.server.state, self.world.now)) {
            writeln_to(&mut text, format_args!("   {line}"));
        }
        text
    }

    fn show_release(&self, id: &ReleaseId) -> Result<String, Refusal> {
        let release = self.world.server.state.releases.get(id);
        let release = release.ok_or_else(|| Refusal::Missing(format!("there is no release {id}")))?;
        Ok(format!("   {id} is {}: {}\n", release.state, release.reason))
    }

    fn show_costs(&self) -> String {
        let mut text = String::new();
        for kept in self.world.server.state.directives.values().filter(|kept| kept.downloaded.0 > 0) {
            let (device, action) = (&kept.directive.device, kept.directive.action);
            let (downloaded, full) = (kept.downloaded, kept.full);
            writeln_to(
                &mut text,
                format_args!("   {device}, order {action}: {downloaded} downloaded instead of {full}"),
            );
        }
        text
    }

    /// `why DEVICE`: why is it not updated, and why is it shielded or not?
    pub(super) fn why(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let id = Self::one_device(args)?;
        let mut text = String::new();
        let told = self.with_situation(|_, situation| explain(&id, situation))?;
        writeln_to(&mut text, format_args!("   {told}"));
        let state = &self.world.server.state;
        let stands = state.shields.get(&id).filter(|shield| shield.state == ShieldState::Verified);
        if stands.is_some() {
            let lines = warden_shield::explain(&shield_plan(state, self.world.now));
            let own = format!("{id} is ");
            for line in lines.iter().filter(|line| line.starts_with(&own)) {
                writeln_to(&mut text, format_args!("   {line}"));
            }
        }
        for case in state.cases.iter().filter(|case| case.device == id) {
            for factor in &case.decision.factors {
                let (name, value, because) = (factor.name, &factor.value, &factor.because);
                writeln_to(
                    &mut text,
                    format_args!("   {}: {name} is {value}. {because}", case.finding.advisory),
                );
            }
        }
        Ok(text)
    }
}

/// Day and minute: what people need of a moment.
fn short(moment: Timestamp) -> String {
    moment.to_string().chars().take(16).collect::<String>().replace('T', " ")
}
