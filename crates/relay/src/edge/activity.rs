//! What apps do, noted for those whose printers they are.

use std::net::IpAddr;

use http::Response;
use latchkey_model::activity::Did;
use latchkey_model::app_connection::PresentedCredential;
use latchkey_model::app_key::network_of;
use latchkey_model::relay_status::RelayStatus;
use latchkey_model::secret::ConnectionLabel;
use latchkey_net::body::Body;

use super::credential::Credential;
use super::forward::Forwarded;
use super::{Admitted, Edge, Open};
use crate::activity::{Asked, Caller, is_running_picture};

impl Admitted {
    pub(super) fn caller(&self) -> Caller {
        Caller {
            printer: self.admission.printer.clone(),
            connection: self.app_connection.clone(),
            account: self.account.clone(),
            app: self.app.clone(),
        }
    }
}

impl Edge {
    /// Notes what was done by an answer from the printer's side, with how large the request was.
    pub(super) fn note_done(
        &self,
        asked: Option<Asked>,
        forwarded: &Forwarded,
        bytes: u64,
        caller: &Caller,
    ) {
        let answer = answer_of(forwarded);
        let done = asked.and_then(|asked| asked.answered(answer.status(), answer.headers()));
        if let Some((did, name)) = done {
            self.shared.activity.by_app(caller, did, name, bytes);
        }
    }

    /// Notes that somebody who knows an app's address presented the wrong credentials there. The
    /// look-up is one more, and only then; what is answered does not depend on it.
    pub(super) async fn note_wrong_password(
        &self,
        status: RelayStatus,
        label: &str,
        credential: &Credential,
        address: IpAddr,
    ) {
        let tried = !matches!(credential.presented(), PresentedCredential::Nothing);
        if status != RelayStatus::Unauthorized || !tried {
            return;
        }
        let Ok(label) = ConnectionLabel::parse(label) else {
            return;
        };
        let store = self.shared.store.app_connections();
        // A doubt keeps nobody waiting: it is a line less.
        let Ok(Some(found)) = store.find_by_label_hash(&label.hash()).await else {
            return;
        };
        if let Some(live) = found.connection.live() {
            let caller = Caller {
                printer: live.printer.clone(),
                connection: found.connection.id.clone(),
                account: live.account.clone(),
                app: live.app_name.as_str().to_owned(),
            };
            let network = network_of(address);
            let activity = &self.shared.activity;
            activity.by_app(&caller, Did::WrongPassword, Some(network), 0);
        }
    }
}

/// Says of what comes now that it is a camera's picture, if it is.
pub(super) fn mark_camera(forwarded: &Forwarded, open: &Open) {
    if is_running_picture(answer_of(forwarded).headers()) {
        open.moving.is_camera();
    }
}

fn answer_of(forwarded: &Forwarded) -> &Response<Body> {
    let (Forwarded::Plain(answer) | Forwarded::WebSocket(_, answer)) = forwarded;
    answer
}
