//! The printed part in the picture. It only ever grows, so each piece is drawn once, at double
//! resolution with a depth for each point, and the finished pixels are kept.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "coordinates are clamped to the picture before they become indices"
)]

use super::canvas::{Canvas, Color, extent, mix, shade};
use super::view::View;
use crate::printer::trace::Piece;

/// Points per pixel and direction.
const FINE: usize = 2;
const FAR: f32 = f32::MAX;
const FILAMENT: Color = [214, 116, 58];
/// From the upper left, in front.
const LIGHT: [f32; 3] = [-0.62, -0.52, 0.59];
/// A little wider than real beads, so that no background shines through between strands.
const BEAD: f32 = 1.4;
/// Long pieces are cut so that each part has a depth of its own.
const LONGEST: f32 = 5.0;

#[derive(Debug)]
pub(super) struct Part {
    view: View,
    width: usize,
    height: usize,
    fine_color: Vec<Color>,
    fine_depth: Vec<f32>,
    /// Background with the part on it.
    pub(super) picture: Canvas,
    /// How far the part is at each pixel; infinite where it is not.
    pub(super) depth: Vec<f32>,
    background: Canvas,
    last_z: f32,
    layer_height: f32,
    layer: u32,
}

/// The pixels that changed: left, top, right, bottom, in fine points.
type Dirty = (usize, usize, usize, usize);

impl Part {
    pub(super) fn new(background: Canvas) -> Self {
        let (width, height) = (background.width, background.height);
        let fine = width * height * FINE * FINE;
        Self {
            view: View::new((width * FINE) as f32, (height * FINE) as f32),
            width,
            height,
            fine_color: vec![[0; 3]; fine],
            fine_depth: vec![FAR; fine],
            picture: background.clone(),
            depth: vec![FAR; width * height],
            background,
            last_z: 0.0,
            layer_height: 0.5,
            layer: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.fine_depth.fill(FAR);
        self.depth.fill(FAR);
        self.picture.rgb.copy_from_slice(&self.background.rgb);
        (self.last_z, self.layer_height, self.layer) = (0.0, 0.5, 0);
    }

    pub(super) fn grow(&mut self, pieces: &[Piece]) {
        let mut dirty: Option<Dirty> = None;
        for piece in pieces {
            self.rise(piece.to[2]);
            let length = (piece.to[0] - piece.from[0]).hypot(piece.to[1] - piece.from[1]);
            let cuts = (length / LONGEST).ceil().clamp(1.0, 80.0);
            for cut in 0..cuts as usize {
                let at = |share: f32| -> [f32; 3] {
                    std::array::from_fn(|n| piece.from[n] + (piece.to[n] - piece.from[n]) * share)
                };
                let drawn = self.bead(at(cut as f32 / cuts), at((cut + 1) as f32 / cuts));
                dirty = Some(dirty.map_or(drawn, |old| join(old, drawn)));
            }
        }
        if let Some(dirty) = dirty {
            self.refresh(dirty);
        }
    }

    fn rise(&mut self, z: f32) {
        let up = z - self.last_z;
        if up > 0.02 {
            self.layer_height = up.clamp(0.08, 1.2);
            self.layer += 1;
        }
        if up.abs() > 0.02 {
            self.last_z = z;
        }
    }

    /// A bead of plastic: its side facing the eye, and its top.
    fn bead(&mut self, from: [f32; 3], to: [f32; 3]) -> Dirty {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let length = dx.hypot(dy).max(1e-4);
        let mut normal = [dy / length, -dx / length, 0.0];
        let eye = View::towards_eye(from);
        if normal[0] * eye[0] + normal[1] * eye[1] < 0.0 {
            normal = normal.map(|part| -part);
        }
        let half = [normal[0] * BEAD / 2.0, normal[1] * BEAD / 2.0];
        let moved = |p: [f32; 3], side: f32, down: f32| {
            [p[0] + half[0] * side, p[1] + half[1] * side, p[2] - down]
        };
        let height = self.layer_height;
        let color = self.lit(normal);
        // Light falls on a flat top from one side only; strands along it look darker than across.
        let along = (dx * LIGHT[0] + dy * LIGHT[1]).abs() / length;
        let top = shade(FILAMENT, 1.02 - 0.16 * along);
        let waist = height * 0.55;
        let side = |upper: f32, lower: f32| {
            [
                moved(from, 1.0, upper),
                moved(to, 1.0, upper),
                moved(to, 1.0, lower),
                moved(from, 1.0, lower),
            ]
        };
        let flat = [
            moved(from, -1.0, 0.0),
            moved(to, -1.0, 0.0),
            moved(to, 1.0, 0.0),
            moved(from, 1.0, 0.0),
        ];
        let upper = self.quad(side(0.0, waist), color);
        let lower = self.quad(side(waist, height), shade(color, 0.80));
        join(join(upper, lower), self.quad(flat, top))
    }

    fn lit(&self, normal: [f32; 3]) -> Color {
        let dot = normal[0] * LIGHT[0] + normal[1] * LIGHT[1];
        let diffuse = 0.40 + 0.78 * dot.max(0.0);
        let gloss = dot.max(0.0).powi(10) * 0.9;
        // Layers differ a little, as they do in plastic.
        let stripe = [1.0, 0.965, 0.985, 0.95][(self.layer % 4) as usize];
        mix(
            shade(FILAMENT, diffuse * stripe),
            [255, 226, 196],
            gloss * 0.35,
        )
    }

    /// Fills four corners in the fine picture where nothing nearer is.
    fn quad(&mut self, corners: [[f32; 3]; 4], color: Color) -> Dirty {
        let spots = corners.map(|corner| self.view.spot(corner));
        let depth = spots.iter().map(|spot| spot.depth).sum::<f32>() / 4.0;
        let wide = self.width * FINE;
        let (left, right) = extent(spots.iter().map(|s| s.x), wide);
        let (top, bottom) = extent(spots.iter().map(|s| s.y), self.height * FINE);
        for row in top..bottom {
            let y = row as f32 + 0.5;
            let (mut low, mut high) = (f32::MAX, f32::MIN);
            for n in 0..4 {
                let (a, b) = (spots[n], spots[(n + 1) % 4]);
                if (a.y <= y) != (b.y <= y) {
                    let x = a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x);
                    (low, high) = (low.min(x), high.max(x));
                }
            }
            if low > high {
                continue;
            }
            // Half a point wider, so that thin beads leave no gaps between them.
            let first = (low - 0.5).max(left as f32) as usize;
            let last = ((high + 0.5).max(0.0) as usize).min(right);
            for at in (row * wide + first)..(row * wide + last.max(first)) {
                if depth <= self.fine_depth[at] {
                    self.fine_depth[at] = depth;
                    self.fine_color[at] = color;
                }
            }
        }
        (left, top, right, bottom)
    }

    /// Brings changed points over into the picture.
    fn refresh(&mut self, (left, top, right, bottom): Dirty) {
        let wide = self.width * FINE;
        for y in (top / FINE)..bottom.div_ceil(FINE).min(self.height) {
            for x in (left / FINE)..right.div_ceil(FINE).min(self.width) {
                let corner = y * FINE * wide + x * FINE;
                let (mut sum, mut count, mut depth) = ([0_u32; 3], 0_u32, 0.0);
                for at in [corner, corner + 1, corner + wide, corner + wide + 1] {
                    if self.fine_depth[at] < FAR {
                        count += 1;
                        depth += self.fine_depth[at];
                        for (sum, part) in sum.iter_mut().zip(self.fine_color[at]) {
                            *sum += u32::from(part);
                        }
                    }
                }
                if count == 0 {
                    continue;
                }
                let at = (y * self.width + x) * 3;
                for (channel, sum) in sum.iter().enumerate() {
                    let ground = u32::from(self.background.rgb[at + channel]) * (4 - count);
                    self.picture.rgb[at + channel] = ((sum + ground) / 4) as u8;
                }
                self.depth[y * self.width + x] = if count >= 2 {
                    depth / count as f32
                } else {
                    FAR
                };
            }
        }
    }
}

fn join(one: Dirty, other: Dirty) -> Dirty {
    // An empty extent (outside the picture) must not stretch the other.
    if other.0 >= other.2 || other.1 >= other.3 {
        return one;
    }
    if one.0 >= one.2 || one.1 >= one.3 {
        return other;
    }
    (
        one.0.min(other.0),
        one.1.min(other.1),
        one.2.max(other.2),
        one.3.max(other.3),
    )
}

#[cfg(test)]
mod tests {
    use super::Part;
    use crate::printer::trace::Piece;
    use crate::webcam::canvas::Canvas;

    #[test]
    fn a_printed_piece_changes_the_picture_where_it_lies_and_clearing_undoes_it() {
        let mut part = Part::new(Canvas::new(160, 90));
        let before = part.picture.rgb.clone();
        part.grow(&[Piece {
            from: [60.0, 100.0, 20.0],
            to: [160.0, 100.0, 20.0],
        }]);
        assert_ne!(part.picture.rgb, before);
        assert!(part.depth.iter().any(|depth| *depth < 1_000.0));
        part.clear();
        assert_eq!(part.picture.rgb, before);
    }

    #[test]
    fn pieces_far_outside_do_no_harm() {
        let mut part = Part::new(Canvas::new(160, 90));
        part.grow(&[Piece {
            from: [-1.0e6, -1.0e6, -1.0e6],
            to: [1.0e6, 1.0e6, 1.0e6],
        }]);
        part.grow(&[Piece {
            from: [5.0, 5.0, 1.0],
            to: [5.0, 5.0, 1.0],
        }]);
    }
}
