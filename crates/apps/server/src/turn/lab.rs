//! Lab: a release is installed on virtual devices (real agents on slot files) before it may roll out.
//!
//! In: a release with its patches, the versions in the field, the agent's binary. Out: each scenario's checks, and the
//! verdict that lets the release go on or rejects it. Refuses to pass a release that it could not try.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;
use tracing::{info, warn};
use warden_lab::{
    FieldVersion, Intact, Observation, Outcome, Plan, Scenario, ScenarioKind, ScenarioVerdict, judge,
    scenarios,
};
use warden_model::device::Running;
use warden_model::product::Product;
use warden_model::release::{Release, ReleaseState};
use warden_model::{Seconds, Stage, Timestamp};
use warden_store::{LabOutcome, LabRun, Write};

use super::{Failures, advance, release_event, releases_in};
use crate::context::Shared;

/// What the agent prints after a local command; see its `--help`.
#[derive(Debug, Deserialize)]
struct Seen {
    phases: Vec<String>,
    cause: Option<String>,
    #[serde(default)]
    detail: String,
    running: SeenFirmware,
    confirmed: SeenFirmware,
    slot: String,
    other_slot_intact: bool,
}

#[derive(Debug, Deserialize)]
struct SeenFirmware {
    image: String,
    version: String,
}

/// Proves every release whose patches are built.
pub(super) async fn run(context: &Shared, now: Timestamp) -> Result<()> {
    let mut failures = Failures::default();
    for release in releases_in(context, ReleaseState::Built).await? {
        let done = one(context, &release, now).await;
        failures.note(done.with_context(|| format!("prove {}", release.id)));
    }
    failures.end()
}

async fn one(context: &Shared, release: &Release, now: Timestamp) -> Result<()> {
    let field = context.store.field_versions(&release.product).await?;
    let field: Vec<FieldVersion> = field
        .into_iter()
        .map(|(running, devices)| FieldVersion { image: running.image, version: running.version, devices })
        .collect();
    let Some(product) = context.store.product(&release.product).await? else {
        bail!("the product {} is not known", release.product);
    };
    let plan = scenarios(release, &field);
    let mut runs: Vec<(Scenario, ScenarioVerdict)> = Vec::new();
    let mut writes = Vec::new();
    if let Plan::Run(scenarios) = &plan {
        let Some(agent) = &context.config.agent_binary else {
            warn!(release = %release.id, "no agent binary is configured, so the lab cannot prove releases");
            return Ok(());
        };
        for scenario in scenarios {
            let observation = perform(context, agent, &product, release, scenario).await;
            let verdict = judge(scenario, &observation);
            info!(release = %release.id, scenario = scenario.id, outcome = %verdict.passed, "lab run");
            writes.push(Write::LabRun(lab_run(release, scenario, &verdict, &observation)));
            runs.push((scenario.clone(), verdict));
        }
    }
    let verdict = plan.verdict(&runs);
    let (to, what) = match verdict.outcome {
        Outcome::Passed => (ReleaseState::Proven, "release proven"),
        Outcome::Failed => (ReleaseState::Rejected, "release rejected"),
    };
    let event = release_event(now, Stage::Lab, &release.id, what, verdict.reason);
    advance(context, &release.id, (ReleaseState::Built, to), event, writes).await.context("keep the verdict")
}

fn lab_run(
    release: &Release,
    scenario: &Scenario,
    verdict: &ScenarioVerdict,
    observation: &Observation,
) -> LabRun {
    let check = |check: &warden_lab::Check| {
        json!({
            "name": check.name,
            "expected": check.expected,
            "saw": check.saw,
            "outcome": check.outcome.word(),
        })
    };
    LabRun {
        release: release.id.clone(),
        scenario: scenario.id.clone(),
        outcome: match verdict.passed {
            Outcome::Passed => LabOutcome::Passed,
            Outcome::Failed => LabOutcome::Failed,
        },
        detail: json!({
            "why": scenario.why,
            "kind": scenario.kind.word(),
            "from": scenario.from.version.to_string(),
            "took_seconds": observation.took.0,
            "problem": observation.problem,
            "checks": verdict.checks.iter().map(check).collect::<Vec<_>>(),
        }),
        at: crate::clock::now(),
    }
}

/// Runs a scenario; a device that could not run at all is an observation too.
async fn perform(
    context: &Shared,
    agent: &Path,
    product: &Product,
    release: &Release,
    scenario: &Scenario,
) -> Observation {
    let began = Instant::now();
    let dir = context.config.data_dir.join("lab").join(&scenario.id);
    let limit = Duration::from_secs(scenario.time_limit.0);
    let device = Device { context, agent, product, release, scenario, dir: dir.clone() };
    let result = match tokio::time::timeout(limit, device.live()).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("the virtual device did not finish within {}", scenario.time_limit)),
    };
    // What is left of a virtual device costs room and tells nothing that the observation does not.
    if let Err(error) = tokio::fs::remove_dir_all(&dir).await {
        warn!(%error, dir = %dir.display(), "cannot remove a virtual device");
    }
    let took = Seconds(began.elapsed().as_secs());
    match result {
        Ok(observation) => Observation { took, ..observation },
        Err(error) => Observation {
            phases: Vec::new(),
            cause: None,
            running: scenario.from.running(),
            confirmed: scenario.from.running(),
            slot: warden_lab::START_SLOT,
            other_slot_intact: Intact::Unknown,
            took,
            problem: Some(format!("{error:#}")),
        },
    }
}

/// A virtual device: a folder with two slot files, and the real agent.
struct Device<'a> {
    context: &'a Shared,
    agent: &'a Path,
    product: &'a Product,
    release: &'a Release,
    scenario: &'a Scenario,
    dir: PathBuf,
}

impl Device<'_> {
    async fn live(&self) -> Result<Observation> {
        let artifacts = &self.context.artifacts;
        let from = &self.scenario.from;
        ensure!(artifacts.exists(&from.image), "the image of {} is not among the artifacts", from.version);
        if self.dir.exists() {
            tokio::fs::remove_dir_all(&self.dir).await.context("clear the place of the virtual device")?;
        }
        let mut factory = self.command("factory");
        factory.arg("--image").arg(artifacts.path(&from.image)).args(["--version", from.version.as_str()]);
        factory.args(["--product", self.product.id.as_str(), "--device", "lab"]);
        let board = self.product.boards.first().context("the product has no board")?;
        factory.args(["--hardware", board.as_str(), "--release-counter", "0"]);
        output(&mut factory).await.context("make the virtual device")?;

        let mut install = self.command("install");
        let patch = self.context.store.patch(&from.image, &self.release.image).await?;
        match &patch {
            Some(patch) => install.arg("--patch").arg(artifacts.path(&patch.digest)),
            None => install.arg("--image").arg(artifacts.path(&self.release.image)),
        };
        install.args(["--version", self.release.version.as_str()]);
        install.args(["--release-counter", &self.release.counter.to_string()]);
        let installed = seen(&output(&mut install).await.context("install the release")?)?;

        let mut boot = self.command("boot");
        match self.scenario.kind {
            ScenarioKind::Upgrade => {}
            ScenarioKind::ForcedHealthFailure => {
                boot.arg("--fail-health");
            }
            ScenarioKind::ForcedBootFailure => {
                boot.arg("--fail-boot");
            }
        }
        let booted = seen(&output(&mut boot).await.context("boot the release")?)?;
        observation(installed, booted)
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(self.agent);
        command.arg(what).arg("--dir").arg(&self.dir).kill_on_drop(true).stdin(std::process::Stdio::null());
        command
    }
}

/// Runs the agent. It may end with an error code and still say what it saw; that counts more.
async fn output(command: &mut Command) -> Result<String> {
    let output = command.output().await.context("start the agent")?;
    let text = String::from_utf8(output.stdout).context("read what the agent prints")?;
    if !output.status.success() && text.trim().is_empty() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().last().unwrap_or("it said nothing");
        bail!("the agent ended with {}: {last}", output.status);
    }
    Ok(text)
}

fn seen(text: &str) -> Result<Seen> {
    serde_json::from_str(text.trim()).context("read what the agent saw")
}

fn running(firmware: &SeenFirmware) -> Result<Running> {
    Ok(Running { image: firmware.image.parse()?, version: firmware.version.parse()? })
}

fn observation(installed: Seen, booted: Seen) -> Result<Observation> {
    let words = installed.phases.iter().chain(&booted.phases);
    Ok(Observation {
        phases: words.map(|word| word.parse()).collect::<Result<_, _>>().context("read the phases")?,
        cause: booted
            .cause
            .or(installed.cause)
            .map(|word| word.parse())
            .transpose()
            .context("read the cause")?,
        running: running(&booted.running).context("read what runs")?,
        confirmed: running(&booted.confirmed).context("read what is confirmed")?,
        slot: booted.slot.parse().context("read the slot")?,
        other_slot_intact: if booted.other_slot_intact { Intact::Yes } else { Intact::No },
        took: Seconds(0),
        problem: (installed.phases.is_empty() && booted.phases.is_empty()).then_some(installed.detail),
    })
}
