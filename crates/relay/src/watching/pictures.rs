//! Pictures that several pages share: however many look at a printer, its host is asked for one
//! at a time, and not again for a moment. Nothing is kept for longer than that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::id::HostId;
use tokio::time::Instant;

use crate::camera::{CameraError, Picture};

/// For so long a picture, or that there is none, is good for everybody.
const GOOD_FOR: Duration = Duration::from_secs(2);

type Taken = Result<Picture, CameraError>;

/// The pictures of the last moment, by host: as many as are being looked at.
#[derive(Default)]
pub(super) struct Pictures(Mutex<HashMap<HostId, Arc<Slot>>>);

#[derive(Default)]
struct Slot(tokio::sync::Mutex<Option<(Instant, Taken)>>);

impl Pictures {
    /// The picture of this moment, which `take` asks for if nobody has just done so. If whoever
    /// asked goes away, the next one does.
    pub(super) async fn get(&self, host: &HostId, take: impl Future<Output = Taken>) -> Taken {
        let slot = Arc::clone(self.slots().entry(host.clone()).or_default());
        let mut last = slot.0.lock().await;
        if let Some((at, taken)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return taken.clone();
        }
        let taken = take.await;
        *last = Some((Instant::now(), taken.clone()));
        taken
    }

    /// Forgets what is no longer good.
    pub(super) fn sweep(&self) {
        self.slots().retain(|_, slot| {
            // Who holds it is taking a picture.
            slot.0.try_lock().map_or(true, |last| {
                last.as_ref().is_some_and(|(at, _)| at.elapsed() < GOOD_FOR)
            })
        });
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<HostId, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use futures_util::future::join_all;
    use http::HeaderValue;

    use super::*;

    fn host() -> HostId {
        HostId::of_public_key(&[1; 32])
    }

    fn picture(name: &'static str) -> Picture {
        Picture {
            kind: HeaderValue::from_static("image/jpeg"),
            bytes: Bytes::from_static(name.as_bytes()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_look_at_once_cost_one_picture() {
        let pictures = Pictures::default();
        let asked = AtomicUsize::new(0);
        let host = host();
        let look = || {
            pictures.get(&host, async {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(picture("a"))
            })
        };
        let all = join_all((0..20).map(|_| look())).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(GOOD_FOR).await;
        look().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn that_there_is_none_is_good_for_everybody_too() {
        let pictures = Pictures::default();
        let host = host();
        let failed = pictures.get(&host, async { Err(CameraError::Failed) });
        assert_eq!(failed.await.unwrap_err(), CameraError::Failed);
        let again = pictures.get(&host, async { panic!("asked again") });
        assert_eq!(again.await.unwrap_err(), CameraError::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_leaves_it_to_the_next_one() {
        let pictures = Pictures::default();
        let host = host();
        let stuck = pictures.get(&host, std::future::pending());
        let waited = tokio::time::timeout(Duration::from_secs(1), stuck).await;
        assert!(waited.is_err());
        let next = pictures.get(&host, async { Ok(picture("b")) });
        assert_eq!(next.await.unwrap().bytes, "b");
    }

    #[tokio::test(start_paused = true)]
    async fn no_picture_is_kept_after_its_moment() {
        let pictures = Pictures::default();
        pictures
            .get(&host(), async { Ok(picture("a")) })
            .await
            .unwrap();
        pictures.sweep();
        assert_eq!(pictures.slots().len(), 1);
        tokio::time::advance(GOOD_FOR).await;
        pictures.sweep();
        assert!(pictures.slots().is_empty());
    }
}
