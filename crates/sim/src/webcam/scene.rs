//! One picture put together: backdrop and bed, the part, gantry and head, lettering.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "coordinates are clamped to the picture before they become indices"
)]

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::canvas::{Behind, Canvas, Color, mix, shade};
use super::font;
use super::part::Part;
use super::view::View;
use crate::config::WebcamConfig;
use crate::printer::report::Glance;
use crate::printer::trace::Piece;

const INK: Color = [232, 236, 233];
const BRASS: Color = [224, 171, 72];
const STEEL: Color = [78, 92, 87];

/// What one picture shows.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) glance: Glance,
    pub(super) generation: u64,
    /// Number of the first of `pieces` in the trace.
    pub(super) from: usize,
    pub(super) pieces: Vec<Piece>,
    pub(super) stamp: String,
}

/// The drawing, with what is kept from one picture to the next.
#[derive(Debug)]
pub(super) struct Scene {
    config: WebcamConfig,
    view: View,
    part: Part,
    frame: Canvas,
    generation: u64,
    drawn: usize,
}

impl Scene {
    pub(super) fn new(config: WebcamConfig) -> Self {
        let (width, height) = (usize::from(config.width), usize::from(config.height));
        let view = View::new(width as f32, height as f32);
        let backdrop = backdrop(&view, width, height);
        Self {
            config,
            view,
            frame: backdrop.clone(),
            part: Part::new(backdrop),
            generation: 0,
            drawn: 0,
        }
    }

    /// Which pieces of which trace are in the picture already.
    pub(super) fn drawn(&self) -> (u64, usize) {
        (self.generation, self.drawn)
    }

    /// The picture as JPEG.
    pub(super) fn draw(&mut self, moment: &Moment) -> Vec<u8> {
        if moment.generation != self.generation {
            self.generation = moment.generation;
            self.part.clear();
        }
        self.part.grow(&moment.pieces);
        self.drawn = moment.from + moment.pieces.len();
        self.frame.rgb.copy_from_slice(&self.part.picture.rgb);
        self.gantry(
            moment.glance.head.map(|value| value as f32),
            moment.glance.nozzle.0 > 150.0,
        );
        self.lettering(moment);
        self.encode()
    }

    fn encode(&self) -> Vec<u8> {
        let mut jpeg = Vec::with_capacity(48 << 10);
        let mut encoder = Encoder::new(&mut jpeg, self.config.quality);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
        encoder
            .encode(
                &self.frame.rgb,
                self.config.width,
                self.config.height,
                ColorType::Rgb,
            )
            .expect("the picture has the size it says");
        jpeg
    }

    fn gantry(&mut self, tip: [f32; 3], hot: bool) {
        let beam = |at: f32, high: f32| self.view.spot([at, tip[1] + 16.0, tip[2] + high]);
        let (upper, lower, right) = (beam(-46.0, 47.0), beam(-46.0, 36.0), beam(266.0, 47.0));
        let band = |top: f32, bottom: f32| {
            let (a, b) = (
                upper.y + (lower.y - upper.y) * top,
                upper.y + (lower.y - upper.y) * bottom,
            );
            [(upper.x, a), (right.x, a), (right.x, b), (upper.x, b)]
        };
        for (points, color) in [
            (band(0.0, 0.16), shade(STEEL, 1.25)),
            (band(0.16, 0.78), STEEL),
            (band(0.78, 1.12), shade(STEEL, 0.42)),
        ] {
            self.frame.polygon(&points, color, 1.0);
        }
        self.head(tip, hot);
    }

    fn head(&mut self, tip: [f32; 3], hot: bool) {
        let spot = self.view.spot(tip);
        let mm = self.view.scale(spot.depth);
        let behind = Behind {
            depths: &self.part.depth,
            own: spot.depth - 1.5,
        };
        let place = |points: &[(f32, f32)]| -> Vec<(f32, f32)> {
            points
                .iter()
                .map(|(x, up)| (spot.x + x * mm, spot.y - up * mm))
                .collect()
        };
        let block = |half: f32, low: f32, high: f32| {
            [(-half, low), (half, low), (half, high), (-half, high)]
        };
        let ring = |radius: f32| -> Vec<(f32, f32)> {
            (0..28_u16)
                .map(|n| f32::from(n) / 28.0 * std::f32::consts::TAU)
                .map(|a| (radius * a.cos(), 33.0 + radius * a.sin()))
                .collect()
        };
        let tip_color = if hot {
            [255, 190, 110]
        } else {
            shade(BRASS, 1.1)
        };
        let shapes: [(&[(f32, f32)], Color); 12] = [
            (
                &[(-1.0, 0.0), (1.0, 0.0), (1.9, 2.2), (-1.9, 2.2)],
                tip_color,
            ),
            (
                &[
                    (-1.9, 2.0),
                    (1.9, 2.0),
                    (5.2, 7.0),
                    (5.2, 11.0),
                    (-5.2, 11.0),
                    (-5.2, 7.0),
                ],
                BRASS,
            ),
            (
                &[(1.4, 2.6), (5.2, 7.0), (5.2, 11.0), (1.4, 11.0)],
                shade(BRASS, 0.78),
            ),
            (&block(8.6, 11.0, 16.0), [150, 158, 154]),
            (&block(8.6, 11.0, 12.2), [104, 112, 108]),
            (&block(16.0, 16.0, 50.0), [38, 44, 42]),
            (&block(16.0, 48.6, 50.0), [66, 75, 71]),
            (&block(16.0, 16.0, 17.0), [22, 26, 25]),
            (&ring(10.6), [62, 71, 67]),
            (&ring(9.6), [17, 21, 20]),
            (&ring(3.2), [46, 53, 50]),
            (
                &block(1.3, 45.2, 46.6),
                if hot { [224, 110, 60] } else { [70, 120, 104] },
            ),
        ];
        for (points, color) in shapes {
            self.frame
                .polygon_behind(&place(points), color, 1.0, Some(behind));
        }
    }

    fn lettering(&mut self, moment: &Moment) {
        let glance = &moment.glance;
        let (width, height) = (self.frame.width, self.frame.height);
        let size = (height / 180).max(1);
        let margin = 6 * size;
        font::write(&mut self.frame, (margin, margin), &moment.stamp, size, INK);
        let warm = format!(
            "T {:.0}/{:.0}°  B {:.0}/{:.0}°",
            glance.nozzle.0, glance.nozzle.1, glance.bed.0, glance.bed.1
        );
        let warm = if glance.operational {
            warm
        } else {
            String::new()
        };
        let left = width.saturating_sub(margin + font::width(&warm, size));
        font::write(&mut self.frame, (left, margin), &warm, size, INK);
        let line = match (glance.completion, glance.layer) {
            (Some(done), Some((layer, Some(layers)))) if glance.printing => {
                format!("LAYER {layer}/{layers}  {done:.0}%")
            }
            (Some(done), _) if glance.printing => format!("{done:.0}%"),
            _ => glance.state.to_uppercase(),
        };
        let left = width.saturating_sub(margin + font::width(&line, size));
        font::write(
            &mut self.frame,
            (left, height.saturating_sub(margin + 9 * size)),
            &line,
            size,
            INK,
        );
        self.bottom_line(glance.completion.unwrap_or(0.0));
        if !glance.operational {
            self.no_printer(size);
        }
    }

    /// Progress along the lower edge.
    fn bottom_line(&mut self, completion: f64) {
        let (width, height) = (self.frame.width, self.frame.height);
        let thick = (height / 120).max(2);
        let done = (width as f64 * completion.clamp(0.0, 100.0) / 100.0) as usize;
        self.frame
            .bar((0, height - thick), (width, thick), [8, 12, 11], 0.7);
        self.frame
            .bar((0, height - thick), (done, thick), BRASS, 0.95);
    }

    fn no_printer(&mut self, size: usize) {
        let (width, height) = (self.frame.width, self.frame.height);
        self.frame.bar((0, 0), (width, height), [10, 14, 13], 0.55);
        let text = "PRINTER OFFLINE";
        let size = size * 2;
        let at = (
            width.saturating_sub(font::width(text, size)) / 2,
            height / 2 - 4 * size,
        );
        font::write(&mut self.frame, at, text, size, INK);
    }
}

/// What never moves: the wall in its light, the frame, the bed.
fn backdrop(view: &View, width: usize, height: usize) -> Canvas {
    let mut canvas = Canvas::new(width, height);
    let (center_x, center_y) = (width as f32 * 0.5, height as f32 * 0.40);
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (
                (x as f32 - center_x) / width as f32,
                (y as f32 - center_y) / height as f32,
            );
            let far = (dx * dx * 2.4 + dy * dy * 1.9).sqrt();
            // A faint pattern instead of bands: eight bits are too few for so dark a slope.
            let grain = ((x * 7 + y * 13) % 5) as f32 / 5.0 - 0.4;
            let color = mix([60, 70, 66], [15, 19, 18], far * 1.15);
            canvas.set(
                x,
                y,
                color.map(|part| (f32::from(part) + grain).clamp(0.0, 255.0) as u8),
            );
        }
    }
    frame_posts(&mut canvas, view);
    bed(&mut canvas, view);
    canvas
}

fn frame_posts(canvas: &mut Canvas, view: &View) {
    let upright = |canvas: &mut Canvas, from: f32, to: f32, color: Color| {
        let corners = [
            [from, 136.0, -46.0],
            [to, 136.0, -46.0],
            [to, 136.0, 420.0],
            [from, 136.0, 420.0],
        ];
        canvas.polygon(&corners.map(|corner| flat(view, corner)), color, 1.0);
    };
    for (inner, outer) in [(-30.0, -46.0), (250.0, 266.0)] {
        upright(
            canvas,
            f32::min(inner, outer),
            f32::max(inner, outer),
            [22, 27, 25],
        );
        upright(canvas, inner - 1.2, inner + 1.2, [52, 61, 57]);
    }
}

fn bed(canvas: &mut Canvas, view: &View) {
    let sheet = |canvas: &mut Canvas,
                 [left, front, right, back]: [f32; 4],
                 z: f32,
                 color: Color,
                 alpha: f32| {
        let corners = [
            [left, front, z],
            [right, front, z],
            [right, back, z],
            [left, back, z],
        ];
        canvas.polygon(&corners.map(|corner| flat(view, corner)), color, alpha);
    };
    // Shadow below, the plate's front edge, the plate in strips that darken towards the eye.
    sheet(canvas, [-16.0, -14.0, 236.0, 232.0], -16.0, [6, 9, 8], 0.6);
    let edge = [
        [-4.0, -4.0, 0.0],
        [224.0, -4.0, 0.0],
        [224.0, -4.0, -5.0],
        [-4.0, -4.0, -5.0],
    ];
    canvas.polygon(&edge.map(|corner| flat(view, corner)), [24, 30, 28], 1.0);
    for strip in 0..38_u16 {
        let from = -4.0 + f32::from(strip) * 6.0;
        let color = mix([58, 69, 64], [84, 97, 91], f32::from(strip) / 37.0);
        // A little overlap hides the seams of the soft edges.
        sheet(
            canvas,
            [-4.0, from, 224.0, (from + 6.6).min(224.0)],
            0.0,
            color,
            1.0,
        );
    }
    for line in 0..=11_u16 {
        let at = f32::from(line) * 20.0;
        let alpha = if line % 5 == 0 { 0.55 } else { 0.3 };
        sheet(
            canvas,
            [at - 0.35, 0.0, at + 0.35, 220.0],
            0.0,
            [128, 146, 138],
            alpha,
        );
        sheet(
            canvas,
            [0.0, at - 0.45, 220.0, at + 0.45],
            0.0,
            [128, 146, 138],
            alpha,
        );
    }
}

fn flat(view: &View, point: [f32; 3]) -> (f32, f32) {
    let spot = view.spot(point);
    (spot.x, spot.y)
}
