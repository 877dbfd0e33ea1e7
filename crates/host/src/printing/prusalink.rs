//! PrusaLink: it has to be asked.

use std::time::Duration;

use http::StatusCode;
use latchkey_model::printing::{Condition, Heats, Progress, shown_file, shown_text};
use serde_json::Value;
use tokio::time::sleep;

use super::asking::{Asking, Unreachable};
use super::seen::{Outcome, Seen, Told, heat, micrometers, percent, whole};
use super::watch::{Round, Teller};

/// A small machine answers; it is not asked more than it must.
const WHILE_PRINTING: Duration = Duration::from_secs(5);
const OTHERWISE: Duration = Duration::from_secs(10);

pub(super) async fn follow(asking: &Asking, teller: &mut Teller<'_>) -> Round {
    let mut round = Round::NotReached;
    loop {
        let Ok((status, answer)) = asking.json("/api/v1/status").await else {
            return round;
        };
        round = Round::Heard;
        let mut pause = OTHERWISE;
        if status == StatusCode::OK && answer["printer"].is_object() {
            let printing = answer["job"].is_object();
            let job = if printing {
                pause = WHILE_PRINTING;
                match asking.json("/api/v1/job").await {
                    Ok((_, job)) => job,
                    Err(Unreachable) => return round,
                }
            } else {
                Value::Null
            };
            let (seen, waits) = seen(&answer, &job);
            teller.see(seen);
            if waits {
                let message = shown_text(text(&answer, "message"));
                teller.hear(Told::UserInteraction(message));
            }
        } else {
            // It is there, and does not tell strangers more.
            teller.see(Seen::new(Condition::Ready));
        }
        sleep(pause).await;
    }
}

fn text<'v>(answer: &'v Value, what: &str) -> &'v str {
    let status = &answer["printer"]["status_printer"];
    status[what].as_str().unwrap_or_default()
}

/// What its two answers show, and whether it waits for somebody.
fn seen(status: &Value, job: &Value) -> (Seen, bool) {
    let printer = &status["printer"];
    let state = printer["state"].as_str().unwrap_or_default();
    let has_job = status["job"].is_object();
    let (condition, outcome) = match state {
        "PRINTING" => (Condition::Printing, None),
        "PAUSED" => (Condition::Paused, None),
        // It stands still until somebody comes, in the middle of a print or not.
        "ATTENTION" if has_job => (Condition::Paused, None),
        "BUSY" if has_job => (Condition::Printing, None),
        "FINISHED" => (Condition::Ready, Some(Outcome::Complete)),
        "STOPPED" => (Condition::Ready, Some(Outcome::Failed)),
        "ERROR" => (Condition::Error, Some(Outcome::Failed)),
        _ => (Condition::Ready, None),
    };
    let counted = &status["job"];
    let id = counted["id"].as_u64().map(|id| id.to_string());
    let file = &job["file"];
    let file = file["display_name"]
        .as_str()
        .or_else(|| file["name"].as_str());
    let seen = Seen {
        condition,
        file: file.and_then(shown_file),
        job: id,
        progress: Progress {
            percent: percent(&counted["progress"]),
            printed_seconds: whole(&counted["time_printing"]),
            left_seconds: whole(&counted["time_remaining"]),
            z_micrometers: micrometers(&printer["axis_z"]),
            layer: None,
            layers: None,
        },
        heat: Heats {
            nozzle: heat(&printer["temp_nozzle"], &printer["target_nozzle"]),
            bed: heat(&printer["temp_bed"], &printer["target_bed"]),
            chamber: None,
        },
        message: shown_text(text(status, "message")).filter(|_| condition != Condition::Printing),
        outcome,
    };
    (seen, state == "ATTENTION" && has_job)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn its_states_are_understood() {
        for (state, has_job, condition, outcome, waits) in [
            ("IDLE", false, Condition::Ready, None, false),
            ("READY", false, Condition::Ready, None, false),
            ("BUSY", false, Condition::Ready, None, false),
            ("BUSY", true, Condition::Printing, None, false),
            ("PRINTING", true, Condition::Printing, None, false),
            ("PAUSED", true, Condition::Paused, None, false),
            ("ATTENTION", true, Condition::Paused, None, true),
            ("ATTENTION", false, Condition::Ready, None, false),
            (
                "FINISHED",
                false,
                Condition::Ready,
                Some(Outcome::Complete),
                false,
            ),
            (
                "STOPPED",
                false,
                Condition::Ready,
                Some(Outcome::Failed),
                false,
            ),
            (
                "ERROR",
                false,
                Condition::Error,
                Some(Outcome::Failed),
                false,
            ),
            ("SOMETHING NEW", false, Condition::Ready, None, false),
        ] {
            let mut status = json!({"printer": {"state": state}});
            if has_job {
                status["job"] = json!({"id": 5});
            }
            let (seen, wants) = seen(&status, &Value::Null);
            assert_eq!(
                (seen.condition, seen.outcome, wants),
                (condition, outcome, waits),
                "{state}"
            );
        }
    }

    #[test]
    fn a_print_is_read_from_both_answers() {
        let status = json!({
            "job": {"id": 129, "progress": 12.4, "time_remaining": 2_040, "time_printing": 300},
            "printer": {
                "state": "PRINTING", "temp_nozzle": 214.9, "target_nozzle": 215.0,
                "temp_bed": 59.5, "target_bed": 60.0, "axis_z": 0.4,
            },
        });
        let job = json!({"id": 129, "file": {"name": "VASE~1.BGC", "display_name": "vase.bgcode"}});
        let (seen, _) = seen(&status, &job);
        assert_eq!(seen.file.as_deref(), Some("vase.bgcode"));
        assert_eq!(seen.job.as_deref(), Some("129"));
        assert_eq!(seen.progress.percent, Some(12));
        assert_eq!(seen.progress.left_seconds, Some(2_040));
        assert_eq!(seen.progress.z_micrometers, Some(400));
        assert_eq!(seen.heat.nozzle.unwrap().actual, 2_149);
        assert_eq!(seen.heat.bed.unwrap().target, Some(600));
    }
}
