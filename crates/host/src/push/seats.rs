//! How many may listen at once, and who gives way when there are too many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Sockets in all.
const MOST: usize = 256;
/// Of them, sockets of callers who have not said who they are.
const MOST_GUESTS: usize = 64;

/// All seats of a host.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<Room>>);

#[derive(Default)]
struct Room {
    next: u64,
    taken: HashMap<u64, Sitter>,
}

struct Sitter {
    address: IpAddr,
    /// Since when it has not said who it is.
    guest_since: Option<Instant>,
    leave: CancellationToken,
}

/// One socket's seat; free again when dropped.
pub(super) struct Seat {
    seats: Seats,
    number: u64,
    leave: CancellationToken,
}

impl Seats {
    /// Takes a seat for a guest. A guest gives way if there are too many of them, or too many
    /// of all; `None` if there is no guest to do so.
    pub(super) fn take(&self, address: IpAddr) -> Option<Seat> {
        let mut room = self.room();
        let guests = room.guests().count();
        if (guests >= MOST_GUESTS || room.taken.len() >= MOST) && !room.make_way() {
            return None;
        }
        let number = room.next;
        room.next += 1;
        let leave = CancellationToken::new();
        let sitter = Sitter {
            address,
            guest_since: Some(Instant::now()),
            leave: leave.clone(),
        };
        room.taken.insert(number, sitter);
        drop(room);
        Some(Seat {
            seats: self.clone(),
            number,
            leave,
        })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn guests(&self) -> impl Iterator<Item = (u64, IpAddr, Instant)> {
        self.taken
            .iter()
            .filter_map(|(number, sitter)| Some((*number, sitter.address, sitter.guest_since?)))
    }

    /// Sends the oldest guest away of the address that has most of them: whoever opens many
    /// sockets loses their own, not those of others.
    fn make_way(&mut self) -> bool {
        let mut by_address: HashMap<IpAddr, usize> = HashMap::new();
        for (_, address, _) in self.guests() {
            *by_address.entry(address).or_default() += 1;
        }
        let leaver = self
            .guests()
            .max_by_key(|(number, address, since)| {
                let longest = std::cmp::Reverse((*since, *number));
                (by_address[address], longest)
            })
            .and_then(|(number, ..)| self.taken.remove(&number));
        leaver.is_some_and(|leaver| {
            leaver.leave.cancel();
            true
        })
    }
}

impl Seat {
    /// Cancelled when the seat must be left to others.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.leave
    }

    /// Notes whether the one who sits here has said who they are.
    pub(super) fn set_known(&self, known: bool) {
        if let Some(sitter) = self.seats.room().taken.get_mut(&self.number) {
            sitter.guest_since = (!known).then(Instant::now);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.room().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 168, 1, last].into()
    }

    #[test]
    fn who_opens_many_sockets_loses_their_own_and_the_oldest_first() {
        let seats = Seats::default();
        let quiet = seats.take(address(1)).unwrap();
        let mut greedy: Vec<_> = (1..MOST_GUESTS)
            .map(|_| seats.take(address(2)).unwrap())
            .collect();
        assert!(!greedy[0].leave().is_cancelled());
        let newcomer = seats.take(address(3)).unwrap();
        greedy.push(seats.take(address(2)).unwrap());
        let gone: Vec<_> = greedy.iter().map(|s| s.leave().is_cancelled()).collect();
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 2);
        assert!(gone[0] && gone[1]);
        assert!(!quiet.leave().is_cancelled() && !newcomer.leave().is_cancelled());
        assert_eq!(seats.room().taken.len(), MOST_GUESTS);
    }

    #[test]
    fn the_known_are_never_sent_away() {
        let seats = Seats::default();
        let mut known = Vec::new();
        for _ in 0..MOST {
            let seat = seats.take(address(1)).unwrap();
            seat.set_known(true);
            known.push(seat);
        }
        assert!(seats.take(address(2)).is_none());
        known[7].set_known(false);
        let _newcomer = seats.take(address(2)).unwrap();
        assert!(known[7].leave().is_cancelled());
        known.truncate(8);
        assert!(seats.take(address(2)).is_some());
        assert!(known[..7].iter().all(|seat| !seat.leave().is_cancelled()));
    }
}
