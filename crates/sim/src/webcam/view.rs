//! The camera's place and lens: where a point of the printer's space lies in the picture.

/// In front of the bed, above it, looking slightly down. Millimetres.
const EYE: [f32; 3] = [110.0, -330.0, 152.0];
const LOOK_AT: [f32; 3] = [110.0, 110.0, 50.0];
/// Picture heights per unit of slope: a longer lens is a larger number.
const LENS: f32 = 2.2;

#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    width: f32,
    height: f32,
    /// The direction of view; it has no sideways part, so level edges stay level in the picture.
    forward: [f32; 2],
}

/// A point in the picture, and how far away it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) depth: f32,
}

impl View {
    pub(super) fn new(width: f32, height: f32) -> Self {
        let (dy, dz) = (LOOK_AT[1] - EYE[1], LOOK_AT[2] - EYE[2]);
        let length = dy.hypot(dz);
        Self {
            width,
            height,
            forward: [dy / length, dz / length],
        }
    }

    pub(super) fn spot(&self, point: [f32; 3]) -> Spot {
        let (x, y, z) = (point[0] - EYE[0], point[1] - EYE[1], point[2] - EYE[2]);
        // Nothing in the scene comes near the eye; the floor keeps odd input from dividing by zero.
        let depth = (y * self.forward[0] + z * self.forward[1]).max(20.0);
        let up = z * self.forward[0] - y * self.forward[1];
        let scale = self.height * LENS / depth;
        Spot {
            x: self.width / 2.0 + x * scale,
            y: self.height * 0.5 - up * scale,
            depth,
        }
    }

    /// Pixels for a millimetre at that distance.
    pub(super) fn scale(&self, depth: f32) -> f32 {
        self.height * LENS / depth
    }

    /// From a point towards the eye.
    pub(super) fn towards_eye(point: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|axis| EYE[axis] - point[axis])
    }
}

#[cfg(test)]
mod tests {
    use super::View;

    #[test]
    fn farther_is_smaller_and_higher_is_up() {
        let view = View::new(640.0, 360.0);
        let (near, far) = (view.spot([0.0, 0.0, 0.0]), view.spot([0.0, 220.0, 0.0]));
        assert!(near.depth < far.depth);
        assert!((320.0 - near.x) > (320.0 - far.x));
        assert!(view.spot([110.0, 110.0, 80.0]).y < view.spot([110.0, 110.0, 0.0]).y);
    }

    #[test]
    fn the_whole_bed_is_in_the_picture() {
        let view = View::new(640.0, 360.0);
        for corner in [
            [0.0, 0.0, 0.0],
            [220.0, 0.0, 0.0],
            [0.0, 220.0, 0.0],
            [220.0, 220.0, 0.0],
        ] {
            let spot = view.spot(corner);
            assert!(
                (0.0..640.0).contains(&spot.x) && (0.0..360.0).contains(&spot.y),
                "{corner:?} {spot:?}"
            );
        }
    }
}
