//! The pages of whoever runs the relay, beside those about accounts.

mod apps;
mod audit;
mod plans;
mod system;
#[cfg(test)]
mod tests;
mod tunnels;

use axum::Router;

pub(crate) use self::apps::view as app_view;
use crate::state::State;

/// What all these pages say of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .merge(plans::routes())
        .merge(tunnels::routes())
        .merge(apps::routes())
        .merge(audit::routes())
        .merge(system::routes())
}
