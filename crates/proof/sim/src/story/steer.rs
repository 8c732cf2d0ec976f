//! What people do with releases and rollouts, and time.

use warden_model::Seconds;
use warden_model::rollout::RolloutState;
use warden_rollout::{Command, Policy, parse_phases, parse_window};

use super::args::{Args, ArgsError};
use super::set_up::release_id;
use super::{Refusal, Story};
use crate::log::{Line, Teller, writeln_to};

/// How long `run until settled` waits at most.
const SETTLE_MAX: Seconds = Seconds::days(7);
/// The person of the stories.
const PERSON: &str = "olga";

impl Story {
    /// `sign RELEASE`, `withdraw RELEASE`
    pub(super) fn release_command(&mut self, verb: &str, args: &mut Args) -> Result<String, Refusal> {
        let id = release_id(&args.word("a release")?)?;
        let now = self.world.now;
        if verb == "sign" {
            self.world.server.sign(&id, now)?;
        } else {
            self.world.server.withdraw(&id, now)?;
        }
        self.world.wake();
        Ok(String::new())
    }

    /// `rollout [refused] RELEASE phases "…" [window HH:MM-HH:MM] [order-timeout SPAN]`
    pub(super) fn plan_rollout(&mut self, args: &mut Args) -> Result<String, Refusal> {
        let must_fail = args.takes("refused").is_some();
        let release = release_id(&args.word("a release")?)?;
        let phases = args.after("phases")?.ok_or(ArgsError::Missing("phases"))?;
        let window = args.after("window")?.map(|text| parse_window(&text)).transpose()?;
        let mut policy = Policy::new(parse_phases(&phases)?, window);
        if let Some(span) = args.span_after("order-timeout")? {
            policy = policy.with_order_timeout(span);
            self.world.server.state.order_timeout = span;
        }
        let (id, warnings) =
            match (self.world.server.plan_rollout(&release, &policy, self.world.now), must_fail) {
                (Err(refusal), true) => return Ok(format!("   {refusal}\n")),
                (Ok((id, _)), true) => {
                    return Err(Refusal::NotSo { expected: "a refusal".to_owned(), saw: id.to_string() });
                }
                (planned, false) => planned?,
            };
        let mut said = String::new();
        if let Some(record) = self.world.server.state.rollouts.get(&id) {
            for assigned in &record.assignment.members {
                writeln_to(&mut said, format_args!("   {}: {}", assigned.device, assigned.because));
            }
            for (device, why) in &record.assignment.left_out {
                writeln_to(&mut said, format_args!("   {device} is left out: {why}"));
            }
        }
        for warning in warnings {
            writeln_to(&mut said, format_args!("   warning: {warning}"));
        }
        self.rollout = Some(id);
        Ok(said)
    }

    /// `start`, `pause`, `halt`, `resume`, `roll-back`, each with the name of a rollout, or for the last one; with `refused` the
    /// command must be refused, and the story tells why.
    pub(super) fn steer(&mut self, verb: &str, args: &mut Args) -> Result<String, Refusal> {
        let command = match verb {
            "start" => Command::Start,
            "pause" => Command::Pause,
            "halt" => Command::Halt,
            "resume" => Command::Resume,
            _ => Command::RollBack,
        };
        let must_fail = args.takes("refused").is_some();
        let id = match args.rest().into_iter().next() {
            Some(name) => super::args::parse("rollout", &name)?,
            None => self.last_rollout()?,
        };
        let now = self.world.now;
        let result = self.world.server.command(&id, command, PERSON, now);
        let commanded = match (result, must_fail) {
            (Ok(commanded), false) => commanded,
            (Err(refusal), true) => return Ok(format!("   {refusal}\n")),
            (Err(refusal), false) => return Err(refusal.into()),
            (Ok(commanded), true) => {
                let (expected, saw) = ("a refusal".to_owned(), commanded.to.to_string());
                return Err(Refusal::NotSo { expected, saw });
            }
        };
        let what = format!("{id}: {} → {}", commanded.from, commanded.to);
        self.world.log.add(Line {
            at: now,
            teller: Teller::Person,
            device: None,
            what,
            reason: commanded.reason,
        });
        self.world.wake();
        Ok(String::new())
    }

    /// Returns the rollout that commands mean when they name none.
    pub(super) fn last_rollout(&self) -> Result<warden_model::RolloutId, Refusal> {
        self.rollout.clone().ok_or_else(|| Refusal::Missing("there is no rollout yet".to_owned()))
    }

    /// `run SPAN`, `run until settled`, `run until HH:MM`
    pub(super) fn run(&mut self, args: &mut Args) -> Result<String, Refusal> {
        if args.takes("until").is_none() {
            let span = args.span()?;
            self.world.run(span);
            return Ok(String::new());
        }
        let goal = args.word("settled, or a time of day")?;
        if goal == "settled" {
            let took = self.world.run_until_settled(SETTLE_MAX);
            let took =
                took.ok_or_else(|| Refusal::Missing(format!("it did not settle within {SETTLE_MAX}")))?;
            return Ok(format!("   settled after {took}{}\n", self.standing()));
        }
        // A window that opens at that time says how long it is until then.
        let window = parse_window(&format!("{goal}-{}", if goal == "00:00" { "00:01" } else { "24:00" }))?;
        let until = window.opens_after(self.world.now).unwrap_or(self.world.now);
        self.world.run(until.since(self.world.now));
        Ok(String::new())
    }

    fn standing(&self) -> String {
        let rollouts = self.world.server.state.rollouts.values();
        let held = rollouts.filter(|record| {
            matches!(record.rollout.state, RolloutState::Halted | RolloutState::Paused | RolloutState::Draft)
        });
        let held: Vec<String> = held
            .map(|record| {
                format!("; {} is {} and waits for a person", record.rollout.id, record.rollout.state)
            })
            .collect();
        held.concat()
    }
}
