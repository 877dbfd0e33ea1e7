//! What has really been extruded, as straight pieces, for the camera to draw. Bounded: short pieces
//! are joined while they are recorded, and a very large print is thinned out.

/// Pieces shorter than this grow instead of being followed by another; finer than a pixel.
const SHORTEST: f32 = 0.9;
/// 24 bytes each.
const MOST: usize = 160_000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) from: [f32; 3],
    pub(crate) to: [f32; 3],
}

#[derive(Debug, Default)]
pub(crate) struct Trace {
    pieces: Vec<Piece>,
    /// Changes when pieces a reader has already drawn are no longer valid.
    generation: u64,
    /// Whether the last piece belongs to the move still under way.
    open: bool,
}

impl Trace {
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.generation += 1;
        self.open = false;
    }

    /// The running move has extruded up to `to`; `from` is where it began.
    pub(crate) fn extend(&mut self, from: [f64; 3], to: [f64; 3]) {
        let (from, to) = (from.map(single), to.map(single));
        if let Some(last) = self.pieces.last_mut()
            && (self.open || (touches(last.to, from) && length(*last) < SHORTEST))
        {
            last.to = to;
        } else {
            self.thin_if_full();
            self.pieces.push(Piece { from, to });
        }
        self.open = true;
    }

    /// The running move is done.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Pieces from a number on; the last one seen may have grown, so ask for it again.
    pub(crate) fn since(&self, number: usize) -> &[Piece] {
        &self.pieces[number.min(self.pieces.len())..]
    }

    fn thin_if_full(&mut self) {
        if self.pieces.len() < MOST {
            return;
        }
        let mut keep = false;
        self.pieces.retain(|_| {
            keep = !keep;
            keep
        });
        self.generation += 1;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a tenth of a micrometre is more than a picture shows"
)]
fn single(value: f64) -> f32 {
    value as f32
}

fn touches(one: [f32; 3], other: [f32; 3]) -> bool {
    one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-3)
}

fn length(piece: Piece) -> f32 {
    (piece.from[0] - piece.to[0]).hypot(piece.from[1] - piece.to[1])
}

#[cfg(test)]
mod tests {
    use super::{MOST, Trace};

    #[test]
    fn a_move_under_way_is_one_growing_piece() {
        let mut trace = Trace::default();
        trace.extend([0.0; 3], [5.0, 0.0, 0.0]);
        trace.extend([0.0; 3], [9.0, 0.0, 0.0]);
        trace.close();
        trace.extend([9.0, 0.0, 0.0], [9.0, 9.0, 0.0]);
        assert_eq!(trace.since(0).len(), 2);
        assert_eq!(trace.since(1).len(), 1);
        assert_eq!(trace.since(99).len(), 0);
    }

    #[test]
    fn memory_is_bounded_however_long_the_print() {
        let mut trace = Trace::default();
        for n in 0..2 * MOST {
            let x = f64::from(u32::try_from(n % 100).unwrap()) * 2.0;
            trace.extend([x, 0.0, 0.0], [x, 1.5, 0.0]);
            trace.close();
        }
        assert!(trace.since(0).len() <= MOST);
        assert!(trace.generation() > 0);
    }
}
