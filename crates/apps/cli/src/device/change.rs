//! Changes of devices: their profile, and tokens for new ones.

use clap::Args;
use warden_model::device::{Criticality, DataSensitivity};
use warden_model::{DeviceId, HardwareId, ProductId, SegmentId};
use warden_wire::rest::{DeviceBody, DeviceChange, EnrolmentRequest, EnrolmentToken};

use crate::cli::one_of;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Page;
use crate::session::Session;
use crate::span;

/// What to change.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The device
    #[arg(value_name = "DEVICE")]
    id: DeviceId,
    /// What breaks when it breaks
    #[arg(long, value_parser = one_of(Criticality::ALL.iter().map(|word| word.word())))]
    criticality: Option<String>,
    /// How much harm it does when its data leaks
    #[arg(long, value_parser = one_of(DataSensitivity::ALL.iter().map(|word| word.word())))]
    sensitivity: Option<String>,
    /// Its network segment
    #[arg(long)]
    segment: Option<SegmentId>,
}

/// What for, how often, how long.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The product of the devices that may use it
    #[arg(long)]
    product: ProductId,
    /// Their board
    #[arg(long, value_name = "BOARD")]
    hardware: HardwareId,
    /// What breaks when they break
    #[arg(long, default_value = "standard", value_parser = one_of(Criticality::ALL.iter().map(|word| word.word())))]
    criticality: String,
    /// How much harm it does when their data leaks
    #[arg(long, default_value = "internal", value_parser = one_of(DataSensitivity::ALL.iter().map(|word| word.word())))]
    sensitivity: String,
    /// Their network segment
    #[arg(long)]
    segment: Option<SegmentId>,
    /// How many devices may use it
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    uses: u32,
    /// How long it is good for: a minute to 30 days
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span::seconds)]
    lifetime: warden_model::Seconds,
}

/// Changes a device.
pub(super) fn set(args: &SetArgs, session: &mut Session) -> Outcome {
    let change = DeviceChange {
        criticality: args.criticality.clone(),
        sensitivity: args.sensitivity.clone(),
        segment: args.segment.as_ref().map(ToString::to_string),
    };
    if change == DeviceChange::default() {
        return Err(Failure::new(Exit::Usage, "nothing to change was named")
            .hint("give --criticality, --sensitivity or --segment"));
    }
    let device: DeviceBody = session.client()?.patch(&format!("/devices/{}", args.id), &change)?;
    session.output.show(&device, super::page)?;
    Ok(Exit::Done)
}

/// Makes an enrolment token.
pub(super) fn enrol_token(args: &TokenArgs, session: &mut Session) -> Outcome {
    let wanted = EnrolmentRequest {
        product: args.product.to_string(),
        hardware: args.hardware.to_string(),
        criticality: args.criticality.clone(),
        sensitivity: args.sensitivity.clone(),
        segment: args.segment.as_ref().map(ToString::to_string),
        uses: args.uses,
        lifetime_seconds: args.lifetime.0,
    };
    let token: EnrolmentToken = session.client()?.post("/enrolment-tokens", &wanted)?;
    session.output.show(&token, |token| {
        Page::new()
            .field("token", &token.token)
            .field("good until", &token.expires)
            .field("CA fingerprint", &token.ca_fingerprint)
            .note("the token is shown this once and kept nowhere; pin the fingerprint in the device")
    })?;
    Ok(Exit::Done)
}
