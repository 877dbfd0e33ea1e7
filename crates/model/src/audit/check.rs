//! Whether a log is as it was written.

use std::fmt;

use super::{AuditHead, AuditRecord, ChainHash};

/// Most faults that are told of; a log with one is not to be believed anyway.
const MOST: usize = 100;

/// Something that the relay did not do to its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditFault {
    /// The place up to which it was cut off is not signed by the relay.
    CutByOther,
    /// Entries are not there.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The entry is not the one that was written after the one before.
    Changed {
        /// Which one.
        number: u64,
    },
    /// Its whole address is not the one that was written.
    AddressChanged {
        /// Of which one.
        number: u64,
    },
    /// The log ends before an entry that is known to have been in it.
    EndMissing {
        /// Where it ends.
        last: u64,
        /// What is known.
        known: u64,
    },
    /// An entry that is known has another hash: everything after some point was written anew.
    OtherChain {
        /// Which one.
        number: u64,
    },
    /// An entry that is known is older than what was cut off, so nothing can be told by it.
    CutOff {
        /// Which one.
        number: u64,
    },
    /// Nothing says where the log should end.
    NothingKnown,
    /// What says where it ends is not signed by the relay.
    KnownByOther,
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutByOther => {
                f.write_str("the place up to which the log was cut off is not signed by this relay")
            }
            Self::Missing { from, to } if from == to => write!(f, "entry {from} is missing"),
            Self::Missing { from, to } => write!(f, "the entries {from} to {to} are missing"),
            Self::Changed { number } => write!(
                f,
                "entry {number} is not the one that was written after entry {}",
                number.saturating_sub(1)
            ),
            Self::AddressChanged { number } => {
                write!(
                    f,
                    "the address of entry {number} is not the one that was written"
                )
            }
            Self::EndMissing { last, known } => write!(
                f,
                "the log ends at entry {last}, and entry {known} was in it"
            ),
            Self::OtherChain { number } => write!(
                f,
                "entry {number} has another hash than it had: the log was written anew"
            ),
            Self::CutOff { number } => write!(
                f,
                "entry {number} was cut off by its age, so nothing can be told by it"
            ),
            Self::NothingKnown => f.write_str("the file that says where the log ends is missing"),
            Self::KnownByOther => {
                f.write_str("the file that says where the log ends is not signed by this relay")
            }
        }
    }
}

/// What came of looking at a whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChecked {
    /// How many entries there are.
    pub entries: u64,
    /// Where it ends.
    pub head: AuditHead,
    /// What is wrong with it.
    pub faults: Vec<AuditFault>,
}

/// Looks at a log entry by entry, from the oldest on.
#[derive(Debug)]
pub struct AuditCheck {
    start: AuditHead,
    /// The last entry seen; its hash is not known after a gap.
    last: AuditHead,
    known: Vec<AuditHead>,
    entries: u64,
    faults: Vec<AuditFault>,
}

impl AuditCheck {
    /// A log that was cut off up to `start`, with entries that are known to have been in it.
    pub fn new(start: AuditHead, known: Vec<AuditHead>) -> Self {
        Self {
            start,
            last: start,
            known,
            entries: 0,
            faults: Vec::new(),
        }
    }

    /// Notes a fault that was found elsewhere.
    pub fn fault(&mut self, fault: AuditFault) {
        if self.faults.len() < MOST {
            self.faults.push(fault);
        }
    }

    /// Looks at the next entry.
    pub fn next(&mut self, record: &AuditRecord) {
        let number = record.number;
        self.entries += 1;
        if number == self.last.number + 1 {
            if !record.follows(&self.last.hash) {
                self.fault(AuditFault::Changed { number });
            }
        } else {
            self.fault(AuditFault::Missing {
                from: self.last.number + 1,
                to: number.saturating_sub(1),
            });
        }
        if !record.has_its_address() {
            self.fault(AuditFault::AddressChanged { number });
        }
        if self.contradicts(number, &record.hash) {
            self.fault(AuditFault::OtherChain { number });
        }
        self.last = AuditHead {
            number,
            hash: record.hash,
        };
    }

    fn contradicts(&self, number: u64, hash: &ChainHash) -> bool {
        let mut known = self.known.iter();
        known.any(|known| known.number == number && known.hash != *hash)
    }

    /// Says what came of it, after the last entry.
    pub fn finish(mut self) -> AuditChecked {
        for known in std::mem::take(&mut self.known) {
            let (number, last) = (known.number, self.last.number);
            if number > last {
                self.fault(AuditFault::EndMissing {
                    last,
                    known: number,
                });
            } else if number < self.start.number {
                self.fault(AuditFault::CutOff { number });
            } else if number == self.start.number && known.hash != self.start.hash {
                self.fault(AuditFault::OtherChain { number });
            }
        }
        AuditChecked {
            entries: self.entries,
            head: self.last,
            faults: self.faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditEntry;
    use crate::clock::Timestamp;

    fn log(count: u64) -> Vec<AuditRecord> {
        let mut before = ChainHash::START;
        let mut log = Vec::new();
        for number in 1..=count {
            let entry = AuditEntry {
                at: Timestamp::from_millis(i64::try_from(number).unwrap()),
                actor: "relay".to_owned(),
                act: "signed_in".to_owned(),
                account: None,
                printer: None,
                detail: number.to_string(),
                network: None,
                address_hash: None,
            };
            let hash = entry.chained(&before, number);
            log.push(AuditRecord {
                number,
                entry,
                address: None,
                hash,
            });
            before = hash;
        }
        log
    }

    fn head(record: &AuditRecord) -> AuditHead {
        AuditHead {
            number: record.number,
            hash: record.hash,
        }
    }

    fn faults(start: AuditHead, known: &[AuditHead], log: &[AuditRecord]) -> Vec<AuditFault> {
        let mut check = AuditCheck::new(start, known.to_vec());
        for record in log {
            check.next(record);
        }
        let checked = check.finish();
        assert_eq!(checked.entries, log.len() as u64);
        checked.faults
    }

    fn found(known: &[AuditHead], log: &[AuditRecord]) -> Vec<AuditFault> {
        faults(AuditHead::EMPTY, known, log)
    }

    #[test]
    fn a_log_as_it_was_written_has_no_fault() {
        let log = log(5);
        assert_eq!(found(&[], &[]), []);
        assert_eq!(found(&[head(&log[4]), head(&log[2])], &log), []);
        let cut = head(&log[1]);
        assert_eq!(faults(cut, &[head(&log[4]), cut], &log[2..]), []);
    }

    #[test]
    fn what_was_changed_removed_or_reordered_is_told() {
        let good = log(5);
        let end = [head(&good[4])];
        let mut changed = good.clone();
        changed[2].entry.detail = "nothing".to_owned();
        assert_eq!(found(&end, &changed), [AuditFault::Changed { number: 3 }]);
        // With its hash made anew, the next one tells.
        changed[2].hash = changed[2].entry.chained(&changed[1].hash, 3);
        assert_eq!(found(&end, &changed), [AuditFault::Changed { number: 4 }]);
        let mut removed = good.clone();
        removed.remove(2);
        assert_eq!(
            found(&end, &removed),
            [AuditFault::Missing { from: 3, to: 3 }]
        );
        let mut closed = removed.clone();
        for (record, number) in closed.iter_mut().zip(1..) {
            record.number = number;
        }
        assert_eq!(
            found(&end, &closed),
            [
                AuditFault::Changed { number: 3 },
                AuditFault::Changed { number: 4 },
                AuditFault::EndMissing { last: 4, known: 5 }
            ]
        );
        let mut reordered = good.clone();
        reordered.swap(1, 2);
        (reordered[1].number, reordered[2].number) = (2, 3);
        assert!(found(&end, &reordered).contains(&AuditFault::Changed { number: 2 }));
        assert_eq!(
            found(&end, &good[2..]),
            [AuditFault::Missing { from: 1, to: 2 }]
        );
    }

    #[test]
    fn an_end_that_is_missing_or_written_anew_is_told_by_what_is_known() {
        let good = log(5);
        let end = [head(&good[4])];
        assert_eq!(
            found(&end, &good[..3]),
            [AuditFault::EndMissing { last: 3, known: 5 }]
        );
        // All of it anew, without a fault in itself.
        let mut anew = log(5);
        anew[0].entry.detail = "nothing".to_owned();
        let mut before = ChainHash::START;
        for record in &mut anew {
            record.hash = record.entry.chained(&before, record.number);
            before = record.hash;
        }
        assert_eq!(found(&[], &anew), []);
        assert_eq!(found(&end, &anew), [AuditFault::OtherChain { number: 5 }]);
        let cut = head(&good[3]);
        assert_eq!(
            faults(cut, &[head(&good[1])], &good[4..]),
            [AuditFault::CutOff { number: 2 }]
        );
        assert_eq!(
            faults(cut, &[head(&anew[3])], &good[4..]),
            [AuditFault::OtherChain { number: 4 }]
        );
    }

    #[test]
    fn a_log_full_of_faults_is_told_of_in_bounds() {
        let mut all = log(500);
        for record in &mut all {
            record.entry.detail = String::new();
        }
        assert_eq!(found(&[], &all).len(), MOST);
    }
}
