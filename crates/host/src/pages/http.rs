//! The pages' routes, below `/latchkey/`. Every form posts to where a page of ours says, with
//! the token of that page.

mod account;
pub(crate) mod decide;
mod home;
mod keys;
mod relay;
mod session_apps;
mod setup;
mod users;

use axum::Router;
use axum::routing::{get, post};

use crate::authority::Authority;

pub(crate) fn routes() -> Router<Authority> {
    Router::new()
        .route("/latchkey", get(home::move_on))
        .route("/latchkey/", get(home::show))
        .route("/latchkey/{*unknown}", get(home::missing))
        .route("/latchkey/setup", get(setup::show).post(setup::create))
        .route("/latchkey/sign-out", post(account::sign_out))
        .route("/latchkey/account", get(account::show))
        .route("/latchkey/account/password", post(account::change_password))
        .route("/latchkey/account/end-session", post(account::end_session))
        .route("/latchkey/users", get(users::list).post(users::add))
        .route("/latchkey/users/{name}", get(users::show))
        .route("/latchkey/users/{name}/group", post(users::set_group))
        .route("/latchkey/users/{name}/password", post(users::set_password))
        .route("/latchkey/users/{name}/activate", post(users::activate))
        .route(
            "/latchkey/users/{name}/deactivate",
            get(users::ask_to_deactivate).post(users::deactivate),
        )
        .route(
            "/latchkey/users/{name}/remove",
            get(users::ask_to_remove).post(users::remove),
        )
        .route(
            "/latchkey/requests/{user_token}",
            get(decide::show).post(decide::decide),
        )
        .route(
            "/latchkey/apps",
            get(session_apps::list).post(session_apps::register),
        )
        .route("/latchkey/apps/{app}", get(session_apps::show))
        .route("/latchkey/apps/{app}/enable", post(session_apps::enable))
        .route("/latchkey/apps/{app}/disable", post(session_apps::disable))
        .route(
            "/latchkey/apps/{app}/remove",
            get(session_apps::ask_to_remove).post(session_apps::remove),
        )
        .route("/latchkey/relay", get(relay::show).post(relay::start))
        .route("/latchkey/relay/stop", post(relay::stop))
        .route(
            "/latchkey/relay/unpair",
            get(relay::ask_to_unpair).post(relay::unpair),
        )
        .route("/latchkey/keys", get(keys::own).post(keys::generate))
        .route("/latchkey/keys/all", get(keys::everybodys))
        .route("/latchkey/keys/{id}/reveal", post(keys::reveal))
        .route(
            "/latchkey/keys/{id}/revoke",
            get(keys::ask_to_revoke).post(keys::revoke),
        )
}
