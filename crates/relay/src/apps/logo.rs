//! Logos: a PNG from anybody becomes a small one of our own making.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Encoder, Limits};

/// Largest file that is looked at.
pub const LARGEST_FILE: usize = 1 << 20;
/// Most memory the decoder takes.
const MEMORY: usize = 32 << 20;
/// Longest and shortest side that is taken.
const SIDES: std::ops::RangeInclusive<u32> = 16..=2048;
/// The side of what is kept: 64 pixels on a page, for screens with two dots to a pixel.
const SIDE: usize = 128;

/// Why a file is no logo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    #[error("the file is larger than a megabyte")]
    TooLarge,
    #[error("it needs 16 to 2048 pixels on each side")]
    Size,
    #[error("it is no PNG, or a broken one")]
    NotPng,
}

/// Decodes a PNG within bounds, and writes its pixels, and nothing else, into a new one of 128
/// by 128.
pub fn small_png(file: &[u8]) -> Result<Vec<u8>, LogoError> {
    if file.len() > LARGEST_FILE {
        return Err(LogoError::TooLarge);
    }
    let picture = decode(file)?;
    encode(&picture.squared()).map_err(|_| LogoError::NotPng)
}

/// Pixels of red, green, blue and opacity.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
}

fn decode(file: &[u8]) -> Result<Picture, LogoError> {
    let limits = Limits { bytes: MEMORY };
    let mut decoder = Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(|_| LogoError::NotPng)?;
    let (width, height) = reader.info().size();
    if !SIDES.contains(&width) || !SIDES.contains(&height) {
        return Err(LogoError::Size);
    }
    let size = reader.output_buffer_size().ok_or(LogoError::Size)?;
    let mut bytes = vec![0; size];
    let frame = reader
        .next_frame(&mut bytes)
        .map_err(|_| LogoError::NotPng)?;
    let pixels = match frame.color_type {
        ColorType::Rgba => bytes
            .chunks_exact(4)
            .map(|p| [p[0], p[1], p[2], p[3]])
            .collect(),
        ColorType::Rgb => bytes
            .chunks_exact(3)
            .map(|p| [p[0], p[1], p[2], 255])
            .collect(),
        ColorType::GrayscaleAlpha => bytes
            .chunks_exact(2)
            .map(|p| [p[0], p[0], p[0], p[1]])
            .collect(),
        ColorType::Grayscale => bytes.iter().map(|p| [*p, *p, *p, 255]).collect(),
        ColorType::Indexed => return Err(LogoError::NotPng),
    };
    let picture = Picture {
        width: frame.width as usize,
        height: frame.height as usize,
        pixels,
    };
    if picture.pixels.len() == picture.width * picture.height {
        Ok(picture)
    } else {
        Err(LogoError::NotPng)
    }
}

impl Picture {
    /// The whole picture in the middle of a square of [`SIDE`].
    fn squared(&self) -> Self {
        let longest = self.width.max(self.height);
        let (left, above) = ((longest - self.width) / 2, (longest - self.height) / 2);
        let mut pixels = Vec::with_capacity(SIDE * SIDE);
        for y in 0..SIDE {
            for x in 0..SIDE {
                pixels.push(self.average(covered(x, longest), covered(y, longest), left, above));
            }
        }
        Self {
            width: SIDE,
            height: SIDE,
            pixels,
        }
    }

    /// The mean of the pixels in a part of the square, each counting as far as it is opaque.
    fn average(
        &self,
        columns: std::ops::Range<usize>,
        rows: std::ops::Range<usize>,
        left: usize,
        above: usize,
    ) -> [u8; 4] {
        let count = columns.len() * rows.len();
        let (mut sums, mut opacity) = ([0_usize; 3], 0_usize);
        for row in rows {
            for column in columns.clone() {
                let (Some(x), Some(y)) = (column.checked_sub(left), row.checked_sub(above)) else {
                    continue;
                };
                if x >= self.width || y >= self.height {
                    continue;
                }
                let [red, green, blue, alpha] = self.pixels[y * self.width + x].map(usize::from);
                opacity += alpha;
                for (sum, colour) in sums.iter_mut().zip([red, green, blue]) {
                    *sum += colour * alpha;
                }
            }
        }
        let byte = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
        let [red, green, blue] = sums.map(|sum| byte(sum.checked_div(opacity).unwrap_or(0)));
        [red, green, blue, byte(opacity / count)]
    }
}

/// Which pixels of a side of `longest` one pixel of [`SIDE`] stands for; at least one.
fn covered(at: usize, longest: usize) -> std::ops::Range<usize> {
    let from = at * longest / SIDE;
    let to = ((at + 1) * longest / SIDE).max(from + 1);
    from..to
}

fn encode(picture: &Picture) -> Result<Vec<u8>, png::EncodingError> {
    let side = u32::try_from(SIDE).unwrap_or_default();
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, side, side);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.pixels.as_flattened())?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, colour: ColorType, text: Option<&str>) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, height);
        encoder.set_color(colour);
        encoder.set_depth(BitDepth::Eight);
        if let Some(text) = text {
            encoder
                .add_text_chunk("Comment".to_owned(), text.to_owned())
                .unwrap();
        }
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![10, 20, 30, 200, 100, 50]);
        }
        let mut writer = encoder.write_header().unwrap();
        let bytes = width as usize * height as usize * colour.samples();
        writer.write_image_data(&vec![1; bytes]).unwrap();
        writer.finish().unwrap();
        file
    }

    fn size_of(file: &[u8]) -> (u32, u32) {
        Decoder::new(Cursor::new(file))
            .read_info()
            .unwrap()
            .info()
            .size()
    }

    #[test]
    fn every_kind_of_png_becomes_a_small_one() {
        for colour in [
            ColorType::Rgba,
            ColorType::Rgb,
            ColorType::Grayscale,
            ColorType::GrayscaleAlpha,
            ColorType::Indexed,
        ] {
            for (width, height) in [(16, 16), (64, 40), (300, 301), (2048, 16)] {
                let small = small_png(&png(width, height, colour, None)).unwrap();
                assert_eq!(size_of(&small), (128, 128), "{colour:?} {width} {height}");
            }
        }
    }

    #[test]
    fn colours_stay_and_the_margin_is_clear() {
        let small = small_png(&png(32, 16, ColorType::Indexed, None)).unwrap();
        let picture = decode(&small).unwrap();
        assert_eq!(picture.pixels[64 * 128 + 64], [200, 100, 50, 255]);
        assert_eq!(picture.pixels[0][3], 0);
    }

    #[test]
    fn nothing_but_pixels_is_kept() {
        let small = small_png(&png(
            64,
            64,
            ColorType::Rgb,
            Some("<script>alert(1)</script>"),
        ))
        .unwrap();
        assert!(
            !small
                .windows(7)
                .any(|bytes| bytes == b"<script" || bytes == b"Comment")
        );
    }

    #[test]
    fn hostile_files_are_refused() {
        let good = png(64, 64, ColorType::Rgb, None);
        assert_eq!(
            small_png(&vec![0; LARGEST_FILE + 1]),
            Err(LogoError::TooLarge)
        );
        for size in [(15, 64), (64, 15), (2049, 64), (64, 2049)] {
            assert_eq!(
                small_png(&png(size.0, size.1, ColorType::Grayscale, None)),
                Err(LogoError::Size)
            );
        }
        // Says that it is enormous, and is not.
        let mut enormous = good.clone();
        enormous[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(small_png(&enormous).is_err());
        for file in [
            &b""[..],
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"<svg xmlns='x'/>",
            b"\xff\xd8\xff\xe0",
            &good[..good.len() / 2],
        ] {
            assert_eq!(small_png(file), Err(LogoError::NotPng));
        }
        for at in 0..good.len() {
            let mut broken = good.clone();
            broken[at] ^= 0xff;
            // Whatever becomes of it, it is one of ours or none.
            if let Ok(small) = small_png(&broken) {
                assert_eq!(size_of(&small), (128, 128));
            }
        }
    }
}
