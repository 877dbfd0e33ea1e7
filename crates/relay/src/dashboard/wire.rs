//! What live.js is told of a printer, so that a page that stays open is right.

use latchkey_web::moment::Moment;
use serde::Serialize;

use crate::pages::views::Now;

/// A printer, as its card or page shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    /// Which one; on a live link, which is about one, `live`.
    id: String,
    word: &'static str,
    /// The class of its dot.
    look: &'static str,
    needs: bool,
    picture: bool,
    line: Option<String>,
    summary: String,
    message: Option<String>,
    file: Option<String>,
    percent: Option<u8>,
    left: Option<String>,
    layer: Option<String>,
    started: Option<String>,
    done: Option<String>,
    heats: Vec<(&'static str, String)>,
}

impl Shown {
    pub(crate) fn new(id: &str, now: &Now, needs: bool) -> Self {
        let job = now.job.as_ref();
        let exact = |moment: Option<Moment>| moment.map(Moment::exact);
        Self {
            id: id.to_owned(),
            word: now.word.text(),
            look: now.word.look(),
            needs,
            picture: now.has_picture,
            line: now.line().map(ToOwned::to_owned),
            summary: now.progress(),
            message: now.message.clone(),
            file: job.map(|job| job.file.clone()),
            percent: job.and_then(|job| job.percent),
            left: job.and_then(|job| job.left.clone()),
            layer: job.and_then(|job| job.layer.clone()),
            started: exact(job.and_then(|job| job.started)),
            done: exact(job.and_then(|job| job.done)),
            heats: now
                .heats
                .iter()
                .map(|heat| (heat.part, heat.value.clone()))
                .collect(),
        }
    }
}
