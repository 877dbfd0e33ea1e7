//! What a status from 600 on means to whoever holds an app connection, and whether to ask again.

use http::StatusCode;
use latchkey_model::relay_status::RelayStatus;

/// One of the relay's own statuses, or one that came after this was written.
pub(crate) fn is_relays_own(status: StatusCode) -> bool {
    status.as_u16() >= 600
}

/// What it means and whether trying again helps, in a sentence each.
pub(crate) fn explain(status: StatusCode) -> String {
    let code = status.as_u16();
    let mut all = RelayStatus::ALL.into_iter();
    let Some(known) = all.find(|status| status.code() == code) else {
        return format!("{code}: the relay says something that this program does not know.");
    };
    format!("{code}: {} {}", known.meaning(), next_step(known))
}

fn next_step(status: RelayStatus) -> &'static str {
    match status {
        RelayStatus::Unknown | RelayStatus::TimedOut => "It may pass: try again in a moment.",
        RelayStatus::NotConnected => {
            "It may pass: see whether the printer and its host are on, then try again."
        }
        RelayStatus::NotFound | RelayStatus::Ended => {
            "Trying again does not help: connect anew with latchkey connect."
        }
        RelayStatus::OwnerNotEntitled => {
            "Keep the app connection: it works again when the owner's account does."
        }
        RelayStatus::Unauthorized => {
            "Trying again does not help: the file has other credentials than the relay; connect \
             anew with latchkey connect."
        }
        RelayStatus::DownloadTooLarge | RelayStatus::UploadTooLarge => {
            "Trying again does not help: it is a limit of the owner's plan; latchkey info tells it."
        }
        RelayStatus::WebcamLimit => "It passes: try again later.",
        RelayStatus::HostUpdateRequired => "It works once the host is up to date.",
        RelayStatus::NoBetaAccess => "Trying again does not help.",
        RelayStatus::HostFailed => "It may pass: try again, and if it stays look at the host.",
        RelayStatus::NoActivePrint => "It works while something is printed.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_explained_with_what_to_do() {
        for status in RelayStatus::ALL {
            let code = StatusCode::from_u16(status.code()).unwrap();
            assert!(is_relays_own(code));
            let said = explain(code);
            assert!(said.starts_with(&format!("{}: {}", status.code(), status.meaning())));
            assert!(said.ends_with('.') && said.len() > 40, "{said}");
            let helps = !said.contains("does not help");
            // As the contract has it: what apps delete their connection on does not come back.
            let is_final = status.is_destructive() && status != RelayStatus::OwnerNotEntitled;
            assert!(!(helps && is_final), "{said}");
        }
        let unknown = StatusCode::from_u16(650).unwrap();
        assert!(explain(unknown).contains("does not know"));
        assert!(!is_relays_own(StatusCode::SERVICE_UNAVAILABLE));
    }
}
