//! Numbers for Prometheus, in its text format (version 0.0.4).

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use warden_model::release::PatchState;
use warden_model::report::Way;
use warden_model::savings::Savings;
use warden_store::SavingsOf;

use crate::context::Shared;
use crate::patches::DROPPED;
use crate::problem::Answer;

/// The media type of the text format (Prometheus, "Exposition formats").
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns numbers about patches, and what they saved, for Prometheus.
///
/// Sums are over the devices' own reports.
#[utoipa::path(get, path = "/api/v1/metrics", tag = "status",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn get(State(context): State<Shared>) -> Answer<Response> {
    let savings = context.store.savings(&SavingsOf::Fleet).await?;
    let counts = context.store.patch_counts().await?;
    let dropped = context.store.setting(DROPPED).await?.unwrap_or_default();
    let dropped = |name: &str| dropped.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let mut text = Text::default();
    about_savings(&mut text, &savings);
    let states: Vec<_> = PatchState::ALL
        .iter()
        .map(|state| {
            let count = counts.iter().find(|(known, _)| known == state).map_or(0, |(_, count)| *count);
            (format!("state=\"{state}\""), count)
        })
        .collect();
    text.family(("fleetwarden_delta_patches", "gauge"), "Patches by where their building stands.", &states);
    text.one(
        ("fleetwarden_delta_patches_dropped_total", "counter"),
        "Patches that nobody could use any more.",
        dropped("patches"),
    );
    text.one(
        ("fleetwarden_delta_patch_bytes_dropped_total", "counter"),
        "Bytes of those patches.",
        dropped("bytes"),
    );
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text.0).into_response())
}

fn about_savings(text: &mut Text, savings: &Savings) {
    let ways: Vec<_> = Way::ALL
        .iter()
        .map(|way| (format!("way=\"{way}\""), savings.ways.get(way).copied().unwrap_or(0)))
        .collect();
    text.family(("fleetwarden_delta_updates_total", "counter"), "Updates by how their bytes came.", &ways);
    let mut sum = |name: &'static str, help, value| text.one((name, "counter"), help, value);
    sum("fleetwarden_delta_bytes_loaded_total", "Bytes that devices loaded for updates.", savings.loaded.0);
    sum("fleetwarden_delta_bytes_full_total", "Bytes that full images would have taken.", savings.full.0);
    sum("fleetwarden_delta_bytes_saved_total", "Bytes that devices did not have to load.", savings.saved().0);
    text.seconds(
        ("fleetwarden_delta_loading_seconds_saved_total", savings.saved_millis),
        "Seconds of loading that were saved, at the rates that devices measured.",
    );
    text.seconds(
        ("fleetwarden_delta_loading_seconds_total", savings.loading_millis),
        "Seconds that devices spent loading.",
    );
    text.seconds(
        ("fleetwarden_delta_applying_seconds_total", savings.applying_millis),
        "Seconds that devices spent writing slots from what they had loaded.",
    );
}

/// A text in the making.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(&format!("# HELP {name} {help}"));
        self.line(&format!("# TYPE {name} {kind}"));
    }

    fn one(&mut self, (name, kind): (&str, &str), help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(&format!("{name} {value}"));
    }

    fn seconds(&mut self, (name, millis): (&str, u64), help: &str) {
        self.head(name, "counter", help);
        self.line(&format!("{name} {}.{:03}", millis / 1000, millis % 1000));
    }

    fn family(&mut self, (name, kind): (&str, &str), help: &str, values: &[(String, u64)]) {
        self.head(name, kind, help);
        for (labels, value) in values {
            self.line(&format!("{name}{{{labels}}} {value}"));
        }
    }
}
