//! `rollout`: how a release reaches the fleet in phases.

use clap::{Args, Subcommand};
use warden_model::{DeviceId, ReleaseId, RolloutId};
use warden_wire::rest::{DeviceReason, Items, RolloutBody, RolloutRequest};

use crate::cli::{Consent, one_of};
use crate::failure::{Exit, Outcome};
use crate::list::{Paging, note_more};
use crate::output::{Page, Table};
use crate::session::Session;

mod show;
mod watch;

const PHASES: &str = "\
Phases are one line of text: names with a count or a share, then thresholds and soak time, for instance
  canary=1, early=25%, rest; success=100%; error=34%; soak=30s
";

/// Rollouts: how a release reaches the fleet in phases
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Shows what a rollout would do, and makes nothing; exit code 10 when the plan has warnings
    #[command(after_help = "Example:\n  fleetwarden rollout plan cam-x1-1.1 --filter 'segment:lobby'", after_long_help = format!("{PHASES}\nExample:\n  fleetwarden rollout plan cam-x1-1.1 --filter 'segment:lobby'"))]
    Plan(WishArgs),
    /// Makes a rollout; it starts only when told to
    #[command(
        after_help = "Example:\n  fleetwarden rollout create cam-x1-1.1 --phases 'canary=1, rest; soak=30s' --window 22:00-02:00"
    )]
    Create(WishArgs),
    /// Lists rollouts
    #[command(after_help = "Example:\n  fleetwarden rollout list")]
    List(Paging),
    /// Shows one rollout: its phases, its devices
    #[command(after_help = "Example:\n  fleetwarden rollout show ro-1")]
    Show(OneArgs),
    /// Starts a rollout
    #[command(after_help = "Example:\n  fleetwarden rollout start ro-1")]
    Start(ActArgs),
    /// Pauses a rollout: nobody new is told to update
    #[command(after_help = "Example:\n  fleetwarden rollout pause ro-1")]
    Pause(ActArgs),
    /// Goes on with a paused or halted rollout
    #[command(after_help = "Example:\n  fleetwarden rollout resume ro-1")]
    Resume(ActArgs),
    /// Halts a rollout: nobody new is told, and open orders are cancelled
    #[command(after_help = "Example:\n  fleetwarden rollout halt ro-1 --yes")]
    Halt(ActArgs),
    /// Tells all devices of a rollout to go back to the image before
    #[command(after_help = "Example:\n  fleetwarden rollout roll-back ro-1 --yes")]
    RollBack(ActArgs),
    /// Follows a rollout until it ends (exit code 10: it halted or went back); Ctrl-C ends the watching only
    #[command(after_help = "Example:\n  fleetwarden rollout watch ro-1 --timeout 30min")]
    Watch(watch::WatchArgs),
    /// Says why a device stands where it stands in a rollout
    #[command(after_help = "Example:\n  fleetwarden rollout why ro-1 cam-0001")]
    Why(WhyArgs),
}

/// What to roll out, to whom, how.
#[derive(Debug, Args)]
pub(crate) struct WishArgs {
    /// The release
    #[arg(value_name = "RELEASE")]
    release: ReleaseId,
    /// The phases in one line, for instance `canary=1, early=25%, rest; soak=30s` [default: the canary preset]
    #[arg(long, value_name = "PHASES")]
    phases: Option<String>,
    /// When updates may start, in UTC: HH:MM-HH:MM [default: at any time]
    #[arg(long, value_name = "WINDOW")]
    window: Option<String>,
    /// Which devices, in the filter language [default: all of the product]
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
}

/// Which rollout.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The rollout
    #[arg(value_name = "ROLLOUT")]
    id: RolloutId,
    /// Which devices to show
    #[arg(long, default_value = "all", value_parser = one_of(["all", "none"]))]
    members: String,
}

/// Which rollout, and consent.
#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// The rollout
    #[arg(value_name = "ROLLOUT")]
    id: RolloutId,
    #[command(flatten)]
    consent: Consent,
}

/// Which rollout, which device.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The rollout
    #[arg(value_name = "ROLLOUT")]
    id: RolloutId,
    /// The device
    #[arg(value_name = "DEVICE")]
    device: DeviceId,
}

/// What to do with a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Start,
    Pause,
    Resume,
    Halt,
    RollBack,
}

impl Act {
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Halt => "halt",
            Self::RollBack => "roll-back",
        }
    }
}

/// Runs a command.
pub(crate) fn run(command: &RolloutCommand, session: &mut Session) -> Outcome {
    match command {
        RolloutCommand::Plan(args) => show::plan(&wish(args), session),
        RolloutCommand::Create(args) => create(&wish(args), session),
        RolloutCommand::List(paging) => list(paging, session),
        RolloutCommand::Show(args) => show::show(args, session),
        RolloutCommand::Start(args) => act(Act::Start, args, session),
        RolloutCommand::Pause(args) => act(Act::Pause, args, session),
        RolloutCommand::Resume(args) => act(Act::Resume, args, session),
        RolloutCommand::Halt(args) => act(Act::Halt, args, session),
        RolloutCommand::RollBack(args) => act(Act::RollBack, args, session),
        RolloutCommand::Watch(args) => watch::watch(args, session),
        RolloutCommand::Why(args) => why(args, session),
    }
}

fn wish(args: &WishArgs) -> RolloutRequest {
    RolloutRequest {
        release: args.release.to_string(),
        phases: args.phases.clone(),
        window: args.window.clone(),
        filter: args.filter.clone(),
    }
}

fn create(wish: &RolloutRequest, session: &mut Session) -> Outcome {
    let rollout: RolloutBody = session.client()?.post("/rollouts", wish)?;
    session.output.show(&rollout, |rollout| {
        let next = format!("it has not started: `fleetwarden rollout start {}` starts it", rollout.id);
        show::page(rollout).note(next)
    })?;
    Ok(Exit::Done)
}

fn list(paging: &Paging, session: &mut Session) -> Outcome {
    let rollouts: Items<RolloutBody> = session.client()?.list("/rollouts", &Vec::new(), paging)?;
    session.output.show(&rollouts, |rollouts| {
        let mut table =
            Table::new(["rollout", "release", "state", "devices", "healthy", "failed", "created", "why"]);
        for rollout in &rollouts.items {
            let sum = |count: fn(&warden_wire::rest::PhaseBody) -> u64| {
                rollout.phases.iter().map(count).fold(0, u64::saturating_add).to_string()
            };
            table.push([
                rollout.id.clone(),
                rollout.release.clone(),
                rollout.state.clone(),
                sum(|phase| phase.devices),
                sum(|phase| phase.healthy),
                sum(|phase| phase.failed),
                rollout.created_at.clone(),
                rollout.reason.clone(),
            ]);
        }
        let hint = "there are no rollouts yet: `fleetwarden rollout create RELEASE` makes one";
        note_more(Page::new().table(table, hint), rollouts)
    })?;
    Ok(Exit::Done)
}

fn act(act: Act, args: &ActArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    match act {
        Act::Start | Act::Pause | Act::Resume => {}
        Act::Halt | Act::RollBack => {
            // What cannot be taken back is asked for with its size.
            let rollout: RolloutBody = client.get(&format!("/rollouts/{}", args.id))?;
            let devices = rollout.phases.iter().map(|phase| phase.devices).fold(0, u64::saturating_add);
            let told = format!(
                "{} the rollout {} of {} with {devices} devices?",
                act.word(),
                args.id,
                rollout.release
            );
            session.confirm(&told, args.consent)?;
        }
    }
    let path = format!("/rollouts/{}/{}", args.id, act.word());
    let rollout: RolloutBody = client.post(&path, &serde_json::json!({}))?;
    session.output.show(&rollout, |rollout| {
        show::page(rollout).note(format!("`fleetwarden rollout watch {}` follows it", rollout.id))
    })?;
    Ok(Exit::Done)
}

fn why(args: &WhyArgs, session: &mut Session) -> Outcome {
    let path = format!("/rollouts/{}/devices/{}/why", args.id, args.device);
    let why: DeviceReason = session.client()?.get(&path)?;
    session.output.show(&why, |why| Page::new().field("device", &why.device).field("why", &why.reason))?;
    Ok(Exit::Done)
}
