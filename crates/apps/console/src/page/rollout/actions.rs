//! What a person may do to a rollout: buttons for those with scripts, commands for everybody.
//!
//! In: a rollout. Out: the commands that its state allows; the planner's own rules say which. Refuses nothing: the server
//! decides again when a command comes.

use maud::{Markup, html};
use warden_model::rollout::{Rollout, RolloutState};
use warden_model::{RolloutId, Timestamp};
use warden_rollout::{Command, command};

use crate::view::command_line;

/// A command, as addresses and the command line spell it.
struct Action {
    command: Command,
    word: &'static str,
    label: &'static str,
    meaning: &'static str,
}

const ACTIONS: [Action; 5] = [
    Action {
        command: Command::Start,
        word: "start",
        label: "Start",
        meaning: "the first phase gets its orders",
    },
    Action {
        command: Command::Resume,
        word: "resume",
        label: "Resume",
        meaning: "go on; failures so far are accepted",
    },
    Action {
        command: Command::Pause,
        word: "pause",
        label: "Pause",
        meaning: "nothing new is offered; devices at work go on",
    },
    Action {
        command: Command::Halt,
        word: "halt",
        label: "Halt",
        meaning: "something is wrong; nothing new is offered",
    },
    Action {
        command: Command::RollBack,
        word: "roll-back",
        label: "Roll back",
        meaning: "every device returns to what it ran before",
    },
];

/// Draws what may be done now.
pub(super) fn actions(rollout: &Rollout, now: Timestamp) -> Markup {
    // The planner's own rules are asked on a copy, so that console and server cannot disagree.
    let fits = |action: &&Action| command(&mut rollout.clone(), action.command, "console", now).is_ok();
    let fitting: Vec<&Action> = ACTIONS.iter().filter(fits).collect();
    let over = match rollout.state {
        RolloutState::RollingBack => "Nothing is to be done here: a rollback runs to its end.",
        RolloutState::Draft
        | RolloutState::Running
        | RolloutState::Paused
        | RolloutState::Halted
        | RolloutState::RolledBack
        | RolloutState::Finished => "Nothing is to be done here: it is over.",
    };
    html! {
        div.actions role="group" aria-label="What you can do" {
            @if fitting.is_empty() { p.muted { (over) } }
            @for action in &fitting {
                button #{ "do-" (action.word) } type="button" title=(action.meaning)
                    class=[(action.command == Command::RollBack).then_some("danger")]
                    data-command={ "/api/v1/rollouts/" (rollout.id) "/" (action.word) }
                    data-confirm=[(action.command == Command::RollBack).then_some("roll-back-dialog")] { (action.label) }
            }
        }
        p #command-error .notice.bad hidden role="alert" {}
        @if !fitting.is_empty() {
            details.commands {
                summary { "On the command line" }
                @for action in &fitting {
                    p.muted { (action.label) ": " (action.meaning) }
                    (command_line(&format!("fleetwarden rollout {} {}", action.word, rollout.id)))
                }
            }
            noscript { p.muted { "Buttons need scripts; the commands above do the same." } }
        }
    }
}

/// Draws the question that stands before the one command that touches every device.
pub(super) fn roll_back_dialog(id: &RolloutId) -> Markup {
    html! {
        dialog #roll-back-dialog aria-labelledby="roll-back-title" {
            h2 #roll-back-title { "Roll " (id) " back?" }
            p {
                "Every device that runs the release is ordered back to what it ran before. It is weak again where the "
                "release closed a weakness. A rollback always runs to its end."
            }
            form method="dialog" {
                button value="cancel" { "Cancel" } " "
                button.danger value="confirm" { "Roll back" }
            }
        }
    }
}
