//! Following a rollout until it ends.

use std::time::{Duration, Instant};

use clap::Args;
use warden_model::{RolloutId, Seconds};
use warden_wire::rest::RolloutBody;

use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::span;

/// How often the rollout is looked at: the loop turns every ten seconds, and a person notices a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which rollout, for how long.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The rollout
    #[arg(value_name = "ROLLOUT")]
    id: RolloutId,
    /// Gives up after so long, with exit code 7; the rollout goes on
    #[arg(long, value_name = "SPAN", value_parser = span::seconds)]
    timeout: Option<Seconds>,
}

/// Follows a rollout. Exit code 10 says that it halted or was rolled back.
pub(super) fn watch(args: &WatchArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let started = Instant::now();
    let mut last = String::new();
    loop {
        let rollout: RolloutBody = client.get(&format!("/rollouts/{}", args.id))?;
        let line = line(&rollout);
        if line != last {
            session.output.show_line(&rollout, |_| line.clone())?;
            last = line;
        }
        if let Some(exit) = end(&rollout.state) {
            return Ok(exit);
        }
        if args.timeout.is_some_and(|limit| started.elapsed() > Duration::from_secs(limit.0)) {
            let message =
                format!("the rollout {} is still {}: {}", rollout.id, rollout.state, rollout.reason);
            return Err(Failure::new(Exit::Network, message).hint(format!(
                "it goes on by itself; `fleetwarden rollout watch {}` follows it",
                rollout.id
            )));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Returns how the watching ends in this state; nothing while it goes on.
fn end(state: &str) -> Option<Exit> {
    match state {
        "finished" => Some(Exit::Done),
        "halted" | "rolled-back" => Some(Exit::Attention),
        _ => None,
    }
}

fn line(rollout: &RolloutBody) -> String {
    let phases: Vec<String> = rollout
        .phases
        .iter()
        .map(|phase| {
            format!("{} {}/{} healthy, {} failed", phase.name, phase.healthy, phase.devices, phase.failed)
        })
        .collect();
    format!("{}: {} | {}", rollout.state, phases.join(" | "), rollout.reason)
}

#[cfg(test)]
mod tests {
    use super::end;
    use crate::failure::Exit;

    #[test]
    fn watching_ends_where_the_rollout_does() {
        let check = |state: &str, expected: Option<Exit>| assert_eq!(end(state), expected, "{state}");
        check("finished", Some(Exit::Done));
        check("halted", Some(Exit::Attention));
        check("rolled-back", Some(Exit::Attention));
        check("running", None);
        check("paused", None);
        check("draft", None);
        check("rolling-back", None);
    }
}
