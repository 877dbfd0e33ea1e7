//! Pixels: a picture in RGB, filled polygons with soft edges, and translucent pixels.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "coordinates are clamped to the picture before they become indices"
)]

pub(crate) type Color = [u8; 3];

/// Lines of samples within one row of pixels.
const SAMPLES: u16 = 4;

#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) rgb: Vec<u8>,
}

/// What may hide a polygon: a depth for each pixel, and the polygon's own.
#[derive(Clone, Copy)]
pub(super) struct Behind<'a> {
    pub(super) depths: &'a [f32],
    pub(super) own: f32,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            rgb: vec![0; width * height * 3],
        }
    }

    pub(super) fn set(&mut self, x: usize, y: usize, color: Color) {
        let at = (y * self.width + x) * 3;
        self.rgb[at..at + 3].copy_from_slice(&color);
    }

    pub(super) fn blend(&mut self, x: usize, y: usize, color: Color, alpha: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        let alpha = (alpha * 256.0) as u32;
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip(color) {
            *old = ((u32::from(*old) * (256 - alpha) + u32::from(new) * alpha) >> 8) as u8;
        }
    }

    /// An upright rectangle in whole pixels.
    pub(super) fn bar(
        &mut self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        color: Color,
        alpha: f32,
    ) {
        for row in y..(y + height).min(self.height) {
            for column in x..(x + width).min(self.width) {
                self.blend(column, row, color, alpha);
            }
        }
    }

    /// A filled polygon (even-odd) with soft edges.
    pub(super) fn polygon(&mut self, points: &[(f32, f32)], color: Color, alpha: f32) {
        self.polygon_behind(points, color, alpha, None);
    }

    pub(super) fn polygon_behind(
        &mut self,
        points: &[(f32, f32)],
        color: Color,
        alpha: f32,
        behind: Option<Behind<'_>>,
    ) {
        let (top, bottom) = extent(points.iter().map(|p| p.1), self.height);
        let (left, right) = extent(points.iter().map(|p| p.0), self.width);
        let mut cover = vec![0.0_f32; right.saturating_sub(left)];
        for row in top..bottom {
            cover.fill(0.0);
            for sample in 0..SAMPLES {
                let y = row as f32 + (f32::from(sample) + 0.5) / f32::from(SAMPLES);
                cover_line(points, y, left as f32, &mut cover);
            }
            for (x, part) in (left..).zip(&cover) {
                let hidden =
                    behind.is_some_and(|behind| behind.depths[row * self.width + x] < behind.own);
                if *part > 0.0 && !hidden {
                    self.blend(x, row, color, alpha * part.min(1.0));
                }
            }
        }
    }
}

/// Adds what one line of samples covers of each pixel.
fn cover_line(points: &[(f32, f32)], y: f32, left: f32, cover: &mut [f32]) {
    let mut crossings = [0.0_f32; 16];
    let mut count = 0;
    let mut last = points[points.len() - 1];
    for &point in points {
        if (last.1 <= y) != (point.1 <= y) && count < crossings.len() {
            crossings[count] =
                last.0 + (y - last.1) / (point.1 - last.1) * (point.0 - last.0) - left;
            count += 1;
        }
        last = point;
    }
    crossings[..count].sort_by(f32::total_cmp);
    for pair in crossings[..count].chunks_exact(2) {
        let (from, to) = (pair[0].max(0.0), pair[1].min(cover.len() as f32));
        if from >= to {
            continue;
        }
        let (first, last) = (from as usize, (to.ceil() as usize).min(cover.len()));
        for (x, part) in (first..last).zip(&mut cover[first..last]) {
            let share = (to.min(x as f32 + 1.0) - from.max(x as f32)).clamp(0.0, 1.0);
            *part += share / f32::from(SAMPLES);
        }
    }
}

/// First and one past the last pixel that values touch.
pub(super) fn extent(values: impl Iterator<Item = f32>, most: usize) -> (usize, usize) {
    let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low >= high {
        return (0, 0);
    }
    let limit = most as f32;
    (
        low.floor().clamp(0.0, limit) as usize,
        high.ceil().clamp(0.0, limit) as usize,
    )
}

/// A color made lighter or darker.
pub(super) fn shade(color: Color, factor: f32) -> Color {
    color.map(|part| (f32::from(part) * factor).clamp(0.0, 255.0) as u8)
}

/// Between two colors.
pub(super) fn mix(one: Color, other: Color, share: f32) -> Color {
    std::array::from_fn(|part| {
        let (a, b) = (f32::from(one[part]), f32::from(other[part]));
        (a + (b - a) * share.clamp(0.0, 1.0)) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::Canvas;

    #[test]
    fn a_polygon_fills_its_inside_and_half_of_an_edge_pixel() {
        let mut canvas = Canvas::new(10, 10);
        canvas.polygon(
            &[(2.0, 2.0), (6.5, 2.0), (6.5, 8.0), (2.0, 8.0)],
            [200, 100, 0],
            1.0,
        );
        let red = |x: usize, y: usize| canvas.rgb[(y * 10 + x) * 3];
        assert_eq!(
            (red(1, 4), red(3, 4), red(6, 4), red(7, 4), red(3, 8)),
            (0, 200, 100, 0, 0)
        );
    }

    #[test]
    fn polygons_outside_the_picture_do_no_harm() {
        let mut canvas = Canvas::new(8, 8);
        canvas.polygon(
            &[(-50.0, -50.0), (500.0, -20.0), (4.0, 900.0)],
            [9, 9, 9],
            1.0,
        );
        canvas.polygon(&[(20.0, 20.0), (30.0, 20.0), (30.0, 30.0)], [9, 9, 9], 1.0);
        canvas.bar((6, 6), (100, 100), [1, 1, 1], 0.5);
        assert_eq!(canvas.rgb.len(), 8 * 8 * 3);
    }
}
