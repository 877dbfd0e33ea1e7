//! `/activity`: what happened at all printers of a person.

use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use latchkey_model::account::Account;
use latchkey_model::activity::day_of;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::PrinterId;
use latchkey_store::relay::{Happening, Told};
use latchkey_web::moment::Moment;
use serde::Deserialize;

use crate::pages::views::{
    ActivityDay, ActivityLine, ActivityPage, ActivityWhat, DataUsed, DayUsed, Tab,
};
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

/// So many are on a page.
const ON_A_PAGE: u32 = 50;
/// And so many on a printer's.
const ON_A_PRINTERS: u32 = 8;
/// For so many days it is shown how much data moved.
const DATA_DAYS: i64 = 14;

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/activity", get(list))
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    before: String,
}

async fn list(visit: Visit, Query(page): Query<Page>) -> Answered {
    let account = visit.account()?;
    let before = page.before.parse().ok();
    let end = Timestamp::from_millis(before.unwrap_or(i64::MAX));
    let told = visit.state.store.activity();
    let told = told.list(&account.id, end, ON_A_PAGE).await;
    let told = told.map_err(|failure| visit.failed(&failure))?;
    let is_full = told.len() == usize::try_from(ON_A_PAGE).unwrap_or(usize::MAX);
    let older = told.last().filter(|_| is_full).map(|last| last.at.millis());
    let site = visit.site();
    let page = ActivityPage {
        shell: visit.viewer(account).bar(&site, Tab::Activity),
        site,
        days: days(&visit, account, told),
        older,
        is_later: before.is_some(),
    };
    Ok(visit.page(&page))
}

fn days(visit: &Visit, account: &Account, told: Vec<Told>) -> Vec<ActivityDay> {
    let today = day_of(visit.state.clock.now());
    let mut days: Vec<(i64, ActivityDay)> = Vec::new();
    for told in told {
        let day = day_of(told.at);
        let at = visit.moment(told.at);
        let place = (told.printer.to_string(), told.printer_name.to_string());
        let line = line(visit, account, told, Some(place));
        match days.last_mut() {
            Some((last, known)) if *last == day => known.lines.push(line),
            _ => days.push((
                day,
                ActivityDay {
                    title: title(today - day, at),
                    lines: vec![line],
                },
            )),
        }
    }
    days.into_iter().map(|(_, day)| day).collect()
}

fn title(ago: i64, at: Moment) -> String {
    match ago {
        0 => "Today".to_owned(),
        1 => "Yesterday".to_owned(),
        _ => at.day(),
    }
}

fn line(
    visit: &Visit,
    account: &Account,
    told: Told,
    printer: Option<(String, String)>,
) -> ActivityLine {
    let what = match told.what {
        Happening::Did {
            did,
            app,
            name,
            account: by,
            email,
            times,
            bytes,
        } => ActivityWhat::Did {
            did,
            app,
            name,
            by: (by != account.id).then(|| email.as_str().to_owned()),
            times,
            bytes,
        },
        Happening::Event {
            kind,
            file,
            message,
            away_since,
        } => {
            let away = away_since.map(|at| Moment { at, now: told.at });
            ActivityWhat::Event {
                kind,
                file,
                message,
                away: away.map(Moment::span),
            }
        }
    };
    ActivityLine {
        at: visit.moment(told.at),
        printer,
        what,
    }
}

/// The newest of a printer, for its page.
pub(crate) async fn of_printer(
    visit: &Visit,
    account: &Account,
    printer: &PrinterId,
) -> Result<Vec<ActivityLine>, Response> {
    let end = Timestamp::from_millis(i64::MAX);
    let told = visit.state.store.activity();
    let told = told.list_of_printer(&account.id, printer, end, ON_A_PRINTERS);
    let told = told.await.map_err(|failure| visit.failed(&failure))?;
    let lines = told
        .into_iter()
        .map(|told| line(visit, account, told, None));
    Ok(lines.collect())
}

/// How much data moved for a printer in the last days.
pub(crate) async fn data_used(visit: &Visit, printer: &PrinterId) -> Result<DataUsed, Response> {
    let now = visit.state.clock.now();
    let first = day_of(now) - DATA_DAYS + 1;
    let moved = visit.state.store.traffic().list(printer, first).await;
    let moved = moved.map_err(|failure| visit.failed(&failure))?;
    let mut days = vec![DayUsed::default(); usize::try_from(DATA_DAYS).unwrap_or_default()];
    for (day, moved) in moved {
        let place = usize::try_from(day - first).ok();
        if let Some(used) = place.and_then(|place| days.get_mut(place)) {
            *used = DayUsed {
                sent: moved.sent,
                camera: moved.camera,
                received: moved.received,
            };
        }
    }
    Ok(DataUsed::of(&days, |ago| date(now, ago)))
}

/// "9 Nov".
fn date(now: Timestamp, ago: usize) -> String {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let ago = i64::try_from(ago).unwrap_or(i64::MAX / DAY);
    let at = Timestamp::from_millis(now.millis().saturating_sub(ago.saturating_mul(DAY)));
    let day = Moment { at, now }.day();
    let mut words = day.split(' ');
    let number = words.next().unwrap_or_default();
    let month: String = words.next().unwrap_or_default().chars().take(3).collect();
    format!("{number} {month}")
}
