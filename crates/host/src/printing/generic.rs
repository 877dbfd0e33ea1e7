//! A server whose language nobody knows: it answers, or it does not.

use std::time::Duration;

use latchkey_model::printing::Condition;
use tokio::time::sleep;

use super::asking::{Asking, Unreachable};
use super::seen::Seen;
use super::watch::{Round, Teller};

const EVERY: Duration = Duration::from_secs(15);

pub(super) async fn follow(asking: &Asking, teller: &mut Teller<'_>) -> Round {
    let mut round = Round::NotReached;
    loop {
        let Ok(uri) = asking.uri("/") else {
            return round;
        };
        let asked = tokio::time::timeout(EVERY, asking.get(&uri, false)).await;
        match asked.unwrap_or(Err(Unreachable)) {
            Ok(_) => teller.see(Seen::new(Condition::Ready)),
            Err(Unreachable) => return round,
        }
        round = Round::Heard;
        sleep(EVERY).await;
    }
}
