//! `/sim/faults`: the fault switches. Not a route of the real printer server.

use axum::Json;
use axum::extract::State;

use super::{ApiError, Body};
use crate::App;
use crate::faults::{FaultChange, Faults};

pub(crate) async fn show(State(app): State<App>) -> Json<Faults> {
    Json(app.faults.current())
}

/// Changes the switches that are named and answers with all of them.
pub(crate) async fn change(State(app): State<App>, body: Body) -> Result<Json<Faults>, ApiError> {
    let change: FaultChange = serde_json::from_value(body.into_value())
        .map_err(|error| ApiError::bad(error.to_string()))?;
    let drop_sockets = change.drop_sockets;
    let faults = app.faults.current().changed(change);
    app.set_faults(faults.clone());
    if drop_sockets {
        app.faults.drop_sockets();
    }
    Ok(Json(faults))
}
