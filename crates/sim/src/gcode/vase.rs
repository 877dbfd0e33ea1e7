//! The bundled model: a small twisted vase, written as a slicer would write it.
//! Generated at start instead of stored, so that the tree holds a shape and not its many kilobytes.

use std::f64::consts::TAU;
use std::fmt::Write as _;

/// The name under which the model stands in the file list.
pub(crate) const NAME: &str = "latchkey-vase.gcode";

const LAYERS: u32 = 116;
const LAYER_HEIGHT: f64 = 0.8;
const SIDES: u32 = 60;
const CENTER: f64 = 110.0;
const FLOORS: u32 = 2;
/// Millimetres of 1.75 mm filament for one millimetre of a 0.9 x 0.8 mm bead.
const FEED_PER_MM: f64 = 0.9 * LAYER_HEIGHT / 2.405;

/// The whole file.
pub(crate) fn gcode() -> String {
    let mut out = String::with_capacity(200_000);
    header(&mut out);
    for layer in 0..LAYERS {
        let z = f64::from(layer + 1) * LAYER_HEIGHT;
        let height = f64::from(layer) / f64::from(LAYERS - 1);
        let _ = writeln!(
            out,
            ";LAYER:{layer}\nM73 P{}\nG0 Z{z:.2} F900",
            layer * 100 / LAYERS
        );
        if layer == FLOORS {
            out.push_str("M106 S255\n");
        }
        let loops = if layer < FLOORS { 34 } else { 1 };
        for ring in (0..loops).rev() {
            wall(
                &mut out,
                height,
                1.0 - f64::from(ring) / f64::from(loops),
                if layer == 0 { 2400 } else { 3900 },
            );
        }
    }
    out.push_str(
        "M107\nG0 Z120 F900\nG0 X110 Y200 F9000\nM104 S0\nM140 S0\nM84\nM117 Vase is done\n",
    );
    out
}

fn header(out: &mut String) {
    let _ = write!(
        out,
        ";FLAVOR:Marlin\n;Generated for the simulated printer\n;Layer height: {LAYER_HEIGHT}\n;LAYER_COUNT:{LAYERS}\n\
         M140 S60\nM104 S215\nM117 Heating up\nG28\nM190 S60\nM109 S215\nG90\nM83\nM117 Printing a vase\n\
         G0 X20 Y12 Z0.7 F6000\nG1 X200 E16 F2400\nG1 Y13\nG1 X20 E16\nG92 E0\n"
    );
}

/// One loop around the axis at a height from 0 to 1, `scale` of the full radius.
fn wall(out: &mut String, height: f64, scale: f64, feed: u32) {
    // Inside a floor nobody sees the corners of a ring.
    let stride = if scale < 0.99 { 3_u8 } else { 1 };
    let mut last = point(height, 0, scale);
    let _ = writeln!(out, "G0 X{:.2} Y{:.2} F9000\nG1 F{feed}", last.0, last.1);
    for side in (u32::from(stride)..=SIDES).step_by(usize::from(stride)) {
        let next = point(height, side, scale);
        let extrude = (next.0 - last.0).hypot(next.1 - last.1) * FEED_PER_MM;
        let _ = writeln!(out, "G1 X{:.2} Y{:.2} E{extrude:.3}", next.0, next.1);
        last = next;
    }
}

fn point(height: f64, side: u32, scale: f64) -> (f64, f64) {
    let angle = f64::from(side) / f64::from(SIDES) * TAU;
    // Belly, neck and a lip that opens again.
    let profile = 29.0 + 15.0 * (height * 3.7 + 0.3).sin() + 11.0 * height * height * height;
    let twist = height * TAU / 6.0;
    let ribs = 1.0 + 0.055 * (6.0 * (angle + twist)).cos();
    let radius = profile * ribs * scale;
    (CENTER + radius * angle.cos(), CENTER + radius * angle.sin())
}

#[cfg(test)]
mod tests {
    use super::gcode;
    use crate::gcode::summary::Summary;

    #[test]
    fn the_vase_is_a_small_whole_print() {
        let text = gcode();
        assert!(text.len() < 300 * 1024, "{}", text.len());
        let summary = Summary::read(std::io::Cursor::new(text));
        assert_eq!(summary.layers, Some(super::LAYERS));
        let minutes = summary.seconds / 60.0;
        assert!((4.0..16.0).contains(&minutes), "{minutes}");
        assert!(summary.filament_mm > 2_000.0);
        assert!(summary.max[2] > 90.0 && summary.max[0] < 220.0);
    }
}
