//! The patches of a release: from which versions, for how many devices, how far each is built.

use warden_model::release::{PatchState, ReleaseState};
use warden_model::{ByteCount, PerMille, Seconds};
use warden_wire::rest::{PatchJobBody, PatchesBody};

use crate::output::{Page, Table};

/// Adds the patches to the page of their release, which is in this state.
pub(super) fn section(page: Page, patches: &PatchesBody, release_state: &str) -> Page {
    let mut table =
        Table::new(["from", "devices", "state", "patch", "of the full image", "made in", "signed", "why"]);
    for job in &patches.items {
        table.push(row(job, patches.full_bytes));
    }
    let page = page.section("patches", table);
    let late =
        patches.items.iter().filter(|job| job.bytes.is_some() && !job.signed && job.devices > 0).count();
    let page = match patches.open {
        0 => page,
        open => page.note(format!(
            "still to be built: {}; they are ready for {} of {} devices",
            count(open),
            patches.ready_devices,
            patches.devices
        )),
    };
    match late {
        // Before that, the image itself waits for its signature.
        late if late == 0 || release_state != ReleaseState::Signed.word() => page,
        late => page.note(format!(
            "not signed yet: {}; devices load the full image until then: `fleetwarden release sign --keys DIR`",
            count(u64::try_from(late).unwrap_or(u64::MAX))
        )),
    }
}

fn count(patches: u64) -> String {
    if patches == 1 { "1 patch".to_owned() } else { format!("{patches} patches") }
}

fn row(job: &PatchJobBody, full_bytes: u64) -> [String; 8] {
    let none = || "-".to_owned();
    let state = match (&job.step, job.step_number) {
        (Some(step), Some(number)) => format!("{} ({step}, {number} of {})", job.state, job.steps),
        (Some(_), None) | (None, _) => job.state.clone(),
    };
    let is_built = job.bytes.is_some();
    let full = match job.state.parse::<PatchState>() {
        Ok(PatchState::NotSmaller | PatchState::NoBase | PatchState::TooLarge | PatchState::Failed) => {
            format!("full image: {}", job.reason)
        }
        // The row says it all.
        Ok(PatchState::Built | PatchState::Building) => none(),
        Ok(PatchState::Waiting | PatchState::Dropped) | Err(_) => job.reason.clone(),
    };
    [
        job.version.clone(),
        job.devices.to_string(),
        state,
        job.bytes.map_or_else(none, |bytes| ByteCount(bytes).to_string()),
        job.bytes.map_or_else(none, |bytes| PerMille::of(bytes, full_bytes).to_string()),
        job.made_millis.map_or_else(none, short_span),
        if is_built { if job.signed { "yes" } else { "no" }.to_owned() } else { none() },
        full,
    ]
}

/// Shows a span that may be short.
pub(crate) fn short_span(millis: u64) -> String {
    if millis < 1_000 {
        format!("{millis} ms")
    } else if millis < 10_000 {
        format!("{}.{} s", millis / 1000, millis % 1000 / 100)
    } else {
        Seconds(millis / 1000).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::section;
    use crate::output::{Page, Style};
    use warden_wire::rest::{PatchJobBody, PatchesBody};

    fn job(version: &str, devices: u64, state: &str, reason: &str) -> PatchJobBody {
        PatchJobBody {
            base: "ab".repeat(32),
            version: version.to_owned(),
            devices,
            state: state.to_owned(),
            reason: reason.to_owned(),
            step: None,
            step_number: None,
            steps: 5,
            attempts: 1,
            digest: None,
            bytes: None,
            signed: false,
            made_millis: None,
            wanted_at: "2026-11-22T08:00:00Z".to_owned(),
            started_at: None,
            again_at: None,
        }
    }

    #[test]
    fn each_patch_says_where_it_stands() {
        let built = |version, devices, signed, millis| PatchJobBody {
            bytes: Some(412_877),
            signed,
            made_millis: Some(millis),
            ..job(version, devices, "built", "403.2 KiB instead of 45.1 MiB (0.8 %)")
        };
        let patches = PatchesBody {
            full_bytes: 47_382_528,
            devices: 132,
            ready_devices: 121,
            open: 2,
            items: vec![
                built("1.0", 110, true, 61_000),
                PatchJobBody {
                    step: Some("matching".to_owned()),
                    step_number: Some(3),
                    ..job("0.9", 10, "building", "it is being built")
                },
                built("0.8", 5, false, 2_345),
                built("0.8.1", 0, false, 78),
                job("0.7", 4, "no-base", "the image that these devices run is not among the artifacts"),
                job("0.6", 3, "waiting", "it waits for its turn"),
            ],
        };
        let all = || Page::new().field("release", "cam-1.1");
        let page = section(all(), &patches, "proven");
        assert_eq!(page.notes(), ["still to be built: 2 patches; they are ready for 121 of 132 devices"]);
        let page = section(all(), &patches, "signed");
        insta::assert_snapshot!(page.text(Style::Plain), @r"
        release  cam-1.1

        patches:
        FROM   DEVICES  STATE                        PATCH      OF THE FULL IMAGE  MADE IN    SIGNED  WHY
        1.0    110      built                        403.2 KiB  0.8 %              1 min 1 s  yes     -
        0.9    10       building (matching, 3 of 5)  -          -                  -          -       -
        0.8    5        built                        403.2 KiB  0.8 %              2.3 s      no      -
        0.8.1  0        built                        403.2 KiB  0.8 %              78 ms      no      -
        0.7    4        no-base                      -          -                  -          -       full image: the image that these devices run is not among the artifacts
        0.6    3        waiting                      -          -                  -          -       it waits for its turn
        ");
        assert_eq!(
            page.notes(),
            [
                "still to be built: 2 patches; they are ready for 121 of 132 devices",
                "not signed yet: 1 patch; devices load the full image until then: `fleetwarden release sign --keys DIR`",
            ]
        );
    }
}
