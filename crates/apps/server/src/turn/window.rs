//! Windows: whether a device may install its order at this moment.

use warden_model::Timestamp;
use warden_model::case::Priority;
use warden_model::rollout::Order;
use warden_store::{StoreError, StoredDirective};
use warden_wire::ddi::Window;

use crate::context::Context;

/// Says whether the window of an order's rollout is open; nothing when there is none. The way back waits for no window,
/// and neither does a device with an immediate case.
pub(crate) async fn window_of(
    context: &Context,
    stored: &StoredDirective,
    now: Timestamp,
) -> Result<Option<Window>, StoreError> {
    let rollout = context.store.rollout(&stored.directive.rollout).await?;
    let Some(window) = rollout.and_then(|rollout| rollout.window) else { return Ok(None) };
    if stored.directive.order != Order::Install || window.opens_after(now).is_none() {
        return Ok(Some(Window::Available));
    }
    let cases = context.store.cases_of_device(&stored.directive.device).await?;
    let is_urgent =
        cases.iter().any(|case| case.protected.is_none() && case.decision.priority == Priority::Immediate);
    Ok(Some(if is_urgent { Window::Available } else { Window::Unavailable }))
}
