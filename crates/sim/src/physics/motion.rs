//! Axes and moves: what a motion command means for the head, and how long it takes.
//! Speeding up and slowing down is estimated from the bend between two moves, without a planner.

use std::f64::consts::TAU;

use crate::gcode::line::Line;

/// Where the head may go; commands beyond are stopped at the edge, as end stops do.
pub(crate) const BED: [f64; 3] = [220.0, 220.0, 220.0];

const ACCELERATION: f64 = 2_500.0;
const MAX_FEED: f64 = 300.0;
const HOMING_FEED: f64 = 60.0;
/// Arcs become this many chords at most.
const MOST_CHORDS: f64 = 180.0;

/// One straight move.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Travel {
    pub(crate) from: [f64; 3],
    pub(crate) to: [f64; 3],
    /// Filament pushed, in millimetres; negative when pulled back.
    pub(crate) extruded: f64,
    pub(crate) seconds: f64,
}

impl Travel {
    pub(crate) fn extrudes(&self) -> bool {
        self.extruded > 0.0 && (self.from[0] - self.to[0]).hypot(self.from[1] - self.to[1]) > 1e-6
    }

    /// Where the head is after a share (0 to 1) of the move.
    pub(crate) fn at(&self, share: f64) -> [f64; 3] {
        std::array::from_fn(|axis| {
            self.from[axis] + (self.to[axis] - self.from[axis]) * share.clamp(0.0, 1.0)
        })
    }
}

/// The state that motion commands read and change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axes {
    /// Where the last commanded move ends.
    pub(crate) target: [f64; 3],
    /// What `G92` has added to the axes.
    shift: [f64; 3],
    extruder: f64,
    absolute: bool,
    absolute_extruder: bool,
    /// Millimetres per second, as commanded.
    feed: f64,
    /// `M220`, 1.0 is 100 %.
    pub(crate) feed_factor: f64,
    /// `M221`.
    pub(crate) flow_factor: f64,
    heading: [f64; 3],
    last_feed: f64,
}

impl Default for Axes {
    fn default() -> Self {
        Self {
            target: [0.0, 0.0, 5.0],
            shift: [0.0; 3],
            extruder: 0.0,
            absolute: true,
            absolute_extruder: true,
            feed: 50.0,
            feed_factor: 1.0,
            flow_factor: 1.0,
            heading: [0.0; 3],
            last_feed: 0.0,
        }
    }
}

impl Axes {
    /// As after power-up, but with the head where it is.
    pub(crate) fn at(position: [f64; 3]) -> Self {
        Self {
            target: position,
            ..Self::default()
        }
    }

    /// The moves a line stands for: none for what is no motion, several for an arc.
    pub(crate) fn apply(&mut self, line: &Line) -> Vec<Travel> {
        match line.command {
            Some(('G', 0 | 1)) => self.straight(line).into_iter().collect(),
            Some(('G', code @ (2 | 3))) => self.arc(line, code == 2),
            Some(('G', 28)) => self.home(line).into_iter().collect(),
            _ => {
                self.switch(line);
                Vec::new()
            }
        }
    }

    fn switch(&mut self, line: &Line) {
        match line.command {
            Some(('G', 90)) => (self.absolute, self.absolute_extruder) = (true, true),
            Some(('G', 91)) => (self.absolute, self.absolute_extruder) = (false, false),
            Some(('G', 92)) => self.declare(line),
            Some(('M', 82)) => self.absolute_extruder = true,
            Some(('M', 83)) => self.absolute_extruder = false,
            Some(('M', 220)) => set_factor(&mut self.feed_factor, line),
            Some(('M', 221)) => set_factor(&mut self.flow_factor, line),
            _ => {}
        }
    }

    fn declare(&mut self, line: &Line) {
        for (axis, letter) in ['X', 'Y', 'Z'].into_iter().enumerate() {
            if let Some(value) = line.value(letter) {
                self.shift[axis] = self.target[axis] - value;
            }
        }
        if let Some(value) = line.value('E') {
            self.extruder = value;
        }
    }

    fn straight(&mut self, line: &Line) -> Option<Travel> {
        self.take_feed(line);
        let to = self.end_point(line);
        let extruded = self.extrusion(line);
        self.travel(to, extruded, self.feed * self.feed_factor)
    }

    fn take_feed(&mut self, line: &Line) {
        if let Some(feed) = line.value('F').filter(|feed| *feed > 0.0) {
            self.feed = feed / 60.0;
        }
    }

    fn end_point(&self, line: &Line) -> [f64; 3] {
        let mut to = self.target;
        for (axis, letter) in ['X', 'Y', 'Z'].into_iter().enumerate() {
            if let Some(value) = line.value(letter) {
                to[axis] = if self.absolute {
                    value + self.shift[axis]
                } else {
                    to[axis] + value
                };
            }
        }
        to
    }

    fn extrusion(&mut self, line: &Line) -> f64 {
        let Some(value) = line.value('E') else {
            return 0.0;
        };
        let by = if self.absolute_extruder {
            value - self.extruder
        } else {
            value
        };
        self.extruder += by;
        by * self.flow_factor
    }

    fn travel(&mut self, to: [f64; 3], extruded: f64, feed: f64) -> Option<Travel> {
        let from = self.target;
        let to: [f64; 3] = std::array::from_fn(|axis| to[axis].clamp(-5.0, BED[axis] + 10.0));
        let feed = feed.clamp(0.5, MAX_FEED);
        let way: [f64; 3] = std::array::from_fn(|axis| to[axis] - from[axis]);
        let length = way.iter().map(|part| part * part).sum::<f64>().sqrt();
        self.target = to;
        if length < 1e-9 {
            let seconds = (extruded.abs() / feed.min(60.0)).min(600.0);
            return (extruded != 0.0).then_some(Travel {
                from,
                to,
                extruded,
                seconds,
            });
        }
        let heading = way.map(|part| part / length);
        let straightness = heading
            .iter()
            .zip(self.heading)
            .map(|(a, b)| a * b)
            .sum::<f64>()
            .max(0.0);
        let entry = self.last_feed.min(feed) * straightness;
        self.heading = heading;
        self.last_feed = feed;
        Some(Travel {
            from,
            to,
            extruded,
            seconds: move_seconds(length, feed, entry),
        })
    }

    fn home(&mut self, line: &Line) -> Option<Travel> {
        let every = !(line.has('X') || line.has('Y') || line.has('Z'));
        let mut to = self.target;
        for (axis, letter) in ['X', 'Y', 'Z'].into_iter().enumerate() {
            if every || line.has(letter) {
                to[axis] = 0.0;
                self.shift[axis] = 0.0;
            }
        }
        self.last_feed = 0.0;
        self.travel(to, 0.0, HOMING_FEED)
    }

    /// An arc around `I`,`J` as chords. The radius form (`R`) is drawn as its straight line.
    fn arc(&mut self, line: &Line, clockwise: bool) -> Vec<Travel> {
        self.take_feed(line);
        let (from, to) = (self.target, self.end_point(line));
        let extruded = self.extrusion(line);
        let feed = self.feed * self.feed_factor;
        let (i, j) = (
            line.value('I').unwrap_or(0.0),
            line.value('J').unwrap_or(0.0),
        );
        let radius = i.hypot(j);
        if radius < 1e-3 {
            return self.travel(to, extruded, feed).into_iter().collect();
        }
        let center = (from[0] + i, from[1] + j);
        let start = (-j).atan2(-i);
        let mut sweep = (to[1] - center.1).atan2(to[0] - center.0) - start;
        if clockwise && sweep >= -1e-9 {
            sweep -= TAU;
        } else if !clockwise && sweep <= 1e-9 {
            sweep += TAU;
        }
        let chords = (radius * sweep.abs() / 1.0).ceil().clamp(1.0, MOST_CHORDS);
        let mut travels = Vec::new();
        let mut step = 1.0;
        while step <= chords {
            let share = step / chords;
            let angle = start + sweep * share;
            let point = if step + 0.5 > chords {
                to
            } else {
                [
                    center.0 + radius * angle.cos(),
                    center.1 + radius * angle.sin(),
                    from[2] + (to[2] - from[2]) * share,
                ]
            };
            travels.extend(self.travel(point, extruded / chords, feed));
            step += 1.0;
        }
        travels
    }
}

fn set_factor(factor: &mut f64, line: &Line) {
    if let Some(percent) = line.value('S') {
        *factor = (percent / 100.0).clamp(0.1, 10.0);
    }
}

/// Seconds for a length at a feed, entered at some speed and left at the full one.
pub(crate) fn move_seconds(length: f64, feed: f64, entry: f64) -> f64 {
    let ramp = (feed * feed - entry * entry) / (2.0 * ACCELERATION);
    if ramp <= length {
        (feed - entry) / ACCELERATION + (length - ramp) / feed
    } else {
        let reached = (entry * entry + 2.0 * ACCELERATION * length).sqrt();
        (reached - entry) / ACCELERATION
    }
}

#[cfg(test)]
mod tests {
    use super::{Axes, Travel, move_seconds};
    use crate::gcode::line::Line;

    fn run(axes: &mut Axes, lines: &[&str]) -> Vec<Travel> {
        lines
            .iter()
            .flat_map(|line| axes.apply(&Line::parse(line.as_bytes())))
            .collect()
    }

    #[track_caller]
    fn assert_near(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-6, "{one} is not {other}");
    }

    #[test]
    fn relative_and_absolute_moves_end_where_they_should() {
        let mut axes = Axes::default();
        run(
            &mut axes,
            &[
                "G28",
                "G90",
                "G1 X10 Y20 Z1 F3000",
                "G91",
                "G1 X5 Y-5",
                "G90",
                "G92 X0",
                "G1 X1",
            ],
        );
        assert_near(axes.target[0], 16.0);
        assert_near(axes.target[1], 15.0);
        assert_near(axes.target[2], 1.0);
    }

    #[test]
    fn extrusion_is_the_difference_when_absolute_and_the_value_when_relative() {
        let mut axes = Axes::default();
        let travels = run(
            &mut axes,
            &[
                "M82",
                "G92 E10",
                "G1 X1 E12",
                "M83",
                "G1 X2 E0.5",
                "M221 S200",
                "G1 X3 E0.5",
            ],
        );
        let pushed: Vec<f64> = travels.iter().map(|travel| travel.extruded).collect();
        assert_eq!(pushed, [2.0, 0.5, 1.0]);
    }

    #[test]
    fn the_head_stays_near_the_bed() {
        let mut axes = Axes::default();
        run(&mut axes, &["G1 X99999 Y-99999"]);
        assert_near(axes.target[0], 230.0);
        assert_near(axes.target[1], -5.0);
    }

    #[test]
    fn half_a_circle_is_as_long_as_it_should_be() {
        for (code, side) in [("G2", 1.0), ("G3", -1.0)] {
            let mut axes = Axes::default();
            let travels = run(
                &mut axes,
                &["G0 X50 Y50", &format!("{code} X70 Y50 I10 J0 E5")],
            );
            let arc = &travels[1..];
            let length: f64 = arc
                .iter()
                .map(|t| (t.to[0] - t.from[0]).hypot(t.to[1] - t.from[1]))
                .sum();
            assert!(
                (length - 10.0 * std::f64::consts::PI).abs() < 0.1,
                "{length}"
            );
            assert!((arc.iter().map(|t| t.extruded).sum::<f64>() - 5.0).abs() < 1e-6);
            let top = arc[arc.len() / 2].to[1] - 50.0;
            assert!(top * side > 5.0, "{code} bends to {top}");
        }
    }

    #[test]
    fn a_corner_costs_more_than_going_on_straight() {
        let seconds = |second: &str| {
            let mut axes = Axes::default();
            run(&mut axes, &["G28", "G1 X50 F6000", second])
                .pop()
                .unwrap()
                .seconds
        };
        assert!(seconds("G1 Y10") > seconds("G1 X60"));
    }

    #[test]
    fn slow_and_short_moves_take_their_time() {
        assert!((move_seconds(100.0, 50.0, 50.0) - 2.0).abs() < 1e-9);
        assert!(move_seconds(1.0, 300.0, 0.0) > 1.0 / 300.0);
        assert!(move_seconds(1.0, 300.0, 0.0).is_finite());
    }
}
