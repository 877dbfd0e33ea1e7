//! How much of this relay one account, one printer and one caller may take at once, so that nobody's
//! flood takes what is others', and overload is told at once instead of making everything slow.
//!
//! Leaves to `limits/` what a plan allows. These are the relay's own numbers, for all alike.

use std::net::IpAddr;
use std::time::Duration;

use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_net::turns::{Bounds, NoTurn, Turn, Turns};

use crate::config::Admission;

/// Requests wait this long for their account's turn, and as long for their printer's: who is refused
/// hears it within a tenth of a second.
const PATIENCE: Duration = Duration::from_millis(40);
/// Requests that wait.
const WAITING: usize = 1024;
const WAITING_OF_ONE: usize = 256;
/// What takes longer counts as long. Only the streams of the tunnel bound what is long, and what
/// one caller may have of them.
const LONG_AFTER: Duration = Duration::from_secs(3);

/// After so many seconds it is worth trying again.
pub(crate) const RETRY_AFTER: u32 = 1;

/// Who comes through, as far as one printer's streams go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// An app.
    App(AppConnectionId),
    /// People themselves, by address.
    Person(IpAddr),
}

/// What of the relay is taken. Clones share it.
#[derive(Clone)]
pub(crate) struct Shares {
    accounts: Turns<AccountId>,
    printers: Turns<PrinterId>,
    callers: Turns<(PrinterId, Who)>,
}

/// One request's part, until it is dropped.
pub(crate) struct Share {
    account: Turn<AccountId>,
    printer: Turn<PrinterId>,
    _caller: Turn<(PrinterId, Who)>,
}

impl Shares {
    pub(crate) fn new(admission: Admission) -> Self {
        let short = Bounds {
            most: admission.max_concurrent,
            most_of_one: admission.max_concurrent_per_account,
            waiting: WAITING,
            waiting_of_one: WAITING_OF_ONE,
            patience: PATIENCE,
            long_after: LONG_AFTER,
            most_long: usize::MAX,
            most_long_of_one: usize::MAX,
        };
        let of_a_printer = Bounds {
            most: usize::MAX,
            most_of_one: admission.max_concurrent_per_printer,
            ..short
        };
        let streams = Bounds {
            most: usize::MAX,
            most_of_one: 0,
            waiting: 0,
            waiting_of_one: 0,
            most_long_of_one: admission.max_streams_per_caller,
            ..short
        };
        Self {
            accounts: Turns::new(short),
            printers: Turns::new(of_a_printer),
            callers: Turns::new(streams),
        }
    }

    /// A part for one request, if there is one. `is_socket`: long from the beginning.
    pub(crate) async fn take(
        &self,
        account: &AccountId,
        printer: &PrinterId,
        who: Who,
        is_socket: bool,
    ) -> Result<Share, NoTurn> {
        // What is counted here is every stream, however short: the tunnel counts them so, too.
        let caller = self.callers.take_long((printer.clone(), who))?;
        let (account, printer) = if is_socket {
            let account = self.accounts.take_long(account.clone())?;
            (account, self.printers.take_long(printer.clone())?)
        } else {
            // The printer first: who waits for a busy one keeps nothing of their account's.
            let printer = self.printers.take(printer.clone()).await?;
            (self.accounts.take(account.clone()).await?, printer)
        };
        Ok(Share {
            account,
            printer,
            _caller: caller,
        })
    }
}

impl Share {
    /// It has no end of its own.
    pub(crate) fn lengthen(&self) {
        // There is always room: `most_long` says so.
        self.account.lengthen();
        self.printer.lengthen();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use latchkey_model::chance::SeededChance;
    use tokio::time::Instant;

    use super::*;

    const STREAMS_OF_ONE: usize = 192;
    const ADMISSION: Admission = Admission {
        max_concurrent: 10,
        max_concurrent_per_account: 6,
        max_concurrent_per_printer: 4,
        max_streams_per_caller: STREAMS_OF_ONE,
    };

    struct Bench {
        shares: Shares,
        accounts: Vec<AccountId>,
        printers: Vec<PrinterId>,
    }

    impl Bench {
        fn new() -> Self {
            let chance = SeededChance::new(1);
            Self {
                shares: Shares::new(ADMISSION),
                accounts: (0..3).map(|_| AccountId::generate(&chance)).collect(),
                printers: (0..6).map(|_| PrinterId::generate(&chance)).collect(),
            }
        }

        async fn take(&self, account: usize, printer: usize) -> Result<Share, NoTurn> {
            self.take_as(account, printer, 1, false).await
        }

        async fn take_as(
            &self,
            account: usize,
            printer: usize,
            caller: u8,
            is_socket: bool,
        ) -> Result<Share, NoTurn> {
            let who = Who::Person([192, 0, 2, caller].into());
            let (account, printer) = (&self.accounts[account], &self.printers[printer]);
            self.shares.take(account, printer, who, is_socket).await
        }

        async fn some(&self, account: usize, printer: usize, count: usize) -> Vec<Share> {
            let taken = join_all((0..count).map(|_| self.take(account, printer))).await;
            taken.into_iter().filter_map(Result::ok).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_takes_its_own_share_and_hears_so_within_a_tenth_of_a_second() {
        let bench = Bench::new();
        // Ten times what one printer may have, and then of another printer of the same account.
        let of_one = bench.some(0, 0, 40).await;
        assert_eq!(of_one.len(), 4);
        let of_another = bench.some(0, 1, 40).await;
        assert_eq!(of_another.len(), 2, "the account has six");
        let before = Instant::now();
        assert!(bench.take(0, 2).await.is_err());
        assert!(before.elapsed() <= Duration::from_millis(100));
        // Others have what they always have.
        assert_eq!(bench.some(1, 3, 4).await.len(), 4);
        drop(of_one);
        assert!(bench.take(0, 2).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_get_no_more_than_the_relay_has() {
        let bench = Bench::new();
        let mut taken = bench.some(0, 0, 4).await;
        taken.extend(bench.some(0, 1, 4).await);
        taken.extend(bench.some(1, 2, 4).await);
        assert_eq!(taken.len(), 10);
        assert!(bench.take(2, 5).await.is_err());
        // Sockets are few and not what makes a relay slow.
        assert!(bench.take_as(2, 5, 1, true).await.is_ok());
        taken.truncate(9);
        assert!(bench.take(2, 5).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_for_long_leaves_room() {
        let bench = Bench::new();
        let taken = bench.some(0, 0, 4).await;
        assert!(bench.take(0, 0).await.is_err());
        taken[0].lengthen();
        assert!(bench.take(0, 0).await.is_ok());
        tokio::time::sleep(LONG_AFTER).await;
        assert_eq!(bench.some(0, 0, 4).await.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_leaves_streams_of_a_tunnel_to_others() {
        let bench = Bench::new();
        let sockets = join_all((0..256).map(|_| bench.take_as(0, 0, 1, true))).await;
        let sockets: Vec<_> = sockets.into_iter().filter_map(Result::ok).collect();
        assert_eq!(sockets.len(), 192);
        assert!(bench.take_as(0, 0, 1, false).await.is_err());
        assert!(bench.take_as(0, 0, 2, true).await.is_ok());
        assert!(bench.take_as(0, 0, 2, false).await.is_ok());
        // At another printer it has its share anew.
        assert!(bench.take_as(0, 1, 1, true).await.is_ok());
        drop(sockets);
        assert!(bench.take_as(0, 0, 1, false).await.is_ok());
    }
}
