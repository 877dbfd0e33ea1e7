//! A heater: full power until near its target, then a first-order approach; cools towards the room.
//! What is read from it carries a little seeded noise, as every thermistor does.

use crate::chance::Chance;

const ROOM: f64 = 21.3;
/// Within this many degrees a heater counts as arrived.
const ARRIVED: f64 = 1.0;

#[derive(Debug, Clone)]
pub(crate) struct Heater {
    actual: f64,
    pub(crate) target: f64,
    pub(crate) offset: f64,
    traits: Traits,
    noise: f64,
    chance: Chance,
}

/// What sets a nozzle apart from a bed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    /// Degrees per second at full power.
    rise: f64,
    /// Seconds of the approach near the target.
    settle: f64,
    /// Seconds of cooling to a third of the difference.
    cool: f64,
    noise: f64,
    pub(crate) highest: f64,
}

impl Traits {
    pub(crate) const NOZZLE: Self = Self {
        rise: 4.2,
        settle: 4.0,
        cool: 95.0,
        noise: 0.35,
        highest: 300.0,
    };
    pub(crate) const BED: Self = Self {
        rise: 1.1,
        settle: 9.0,
        cool: 420.0,
        noise: 0.12,
        highest: 120.0,
    };
}

impl Heater {
    pub(crate) fn new(traits: Traits, seed: u64) -> Self {
        Self {
            actual: ROOM,
            target: 0.0,
            offset: 0.0,
            traits,
            noise: 0.0,
            chance: Chance::new(seed),
        }
    }

    /// Sets the target; beyond what the heater can do it is cut, as firmware does.
    pub(crate) fn aim(&mut self, target: f64) {
        self.target = target.clamp(0.0, self.traits.highest);
    }

    pub(crate) fn step(&mut self, seconds: f64) {
        let goal = if self.target > 0.0 {
            (self.target + self.offset).max(ROOM)
        } else {
            ROOM
        };
        let gap = goal - self.actual;
        let change = if gap > 0.0 {
            (gap * approach(seconds, self.traits.settle)).min(self.traits.rise * seconds)
        } else {
            gap * approach(seconds, self.traits.cool)
        };
        self.actual += change;
        let keep = 1.0 - approach(seconds, 2.0);
        self.noise =
            self.noise * keep + self.chance.signed_unit() * self.traits.noise * (1.0 - keep);
    }

    /// What the thermistor says, to a hundredth of a degree.
    pub(crate) fn reading(&self) -> f64 {
        ((self.actual + self.noise) * 100.0).round() / 100.0
    }

    /// Whether a command that waits for the target may go on.
    pub(crate) fn arrived(&self, also_down: bool) -> bool {
        let gap = self.actual - self.target - self.offset;
        self.target <= 0.0 || gap.abs() <= ARRIVED || (!also_down && gap > 0.0)
    }
}

fn approach(seconds: f64, constant: f64) -> f64 {
    1.0 - (-seconds / constant).exp()
}

#[cfg(test)]
mod tests {
    use super::{Heater, Traits};

    fn after(heater: &mut Heater, seconds: u32) -> f64 {
        for _ in 0..seconds * 10 {
            heater.step(0.1);
        }
        heater.reading()
    }

    #[test]
    fn a_nozzle_reaches_its_target_and_stays_there() {
        let mut nozzle = Heater::new(Traits::NOZZLE, 1);
        nozzle.aim(215.0);
        assert!(!nozzle.arrived(false));
        let reading = after(&mut nozzle, 120);
        assert!((reading - 215.0).abs() < 1.5, "{reading}");
        assert!(nozzle.arrived(true));
    }

    #[test]
    fn a_heater_that_is_off_cools_to_the_room() {
        let mut bed = Heater::new(Traits::BED, 1);
        bed.aim(60.0);
        after(&mut bed, 200);
        bed.aim(0.0);
        assert!(after(&mut bed, 3_000) < 23.0);
    }

    #[test]
    fn time_in_one_piece_and_in_many_comes_out_alike() {
        let (mut coarse, mut fine) = (Heater::new(Traits::BED, 1), Heater::new(Traits::BED, 1));
        coarse.aim(80.0);
        fine.aim(80.0);
        for _ in 0..60 {
            coarse.step(5.0);
        }
        let (coarse, fine) = (coarse.reading(), after(&mut fine, 300));
        assert!((coarse - fine).abs() < 2.0, "{coarse} {fine}");
    }

    #[test]
    fn same_seed_reads_the_same() {
        let mut pair = [
            Heater::new(Traits::NOZZLE, 9),
            Heater::new(Traits::NOZZLE, 9),
        ];
        let [one, other] = pair.each_mut().map(|heater| after(heater, 3));
        assert!((one - other).abs() < f64::EPSILON);
    }

    #[test]
    fn too_hot_is_cut_to_what_the_heater_can_do() {
        let mut bed = Heater::new(Traits::BED, 1);
        bed.aim(900.0);
        assert!((bed.target - 120.0).abs() < f64::EPSILON);
    }

    #[test]
    fn waiting_also_for_cooling_is_another_wait() {
        let mut nozzle = Heater::new(Traits::NOZZLE, 1);
        nozzle.aim(215.0);
        after(&mut nozzle, 100);
        nozzle.aim(180.0);
        assert!(nozzle.arrived(false) && !nozzle.arrived(true));
    }
}
