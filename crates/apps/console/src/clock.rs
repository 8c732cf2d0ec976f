//! The one place where the console asks for the time; everything below gets `now` as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use warden_model::Timestamp;

/// Returns the present moment. A clock before 1970 counts as 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
