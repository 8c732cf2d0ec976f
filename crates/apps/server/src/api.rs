//! Placeholder while the API is being written.
use crate::context::Shared;
use axum::Router;
/// Makes the router.
pub fn router(_: &Shared) -> Router {
    Router::new()
}
