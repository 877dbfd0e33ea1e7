//! Numbers of several rounds: the median, and from where to where.

use std::fmt;

/// A count as a number to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts here stay far below 2^52, or a last digit is of no interest"
)]
pub fn count(count: u64) -> f64 {
    count as f64
}

/// The value that this part of sorted values does not exceed; 0 of none.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among them, between 0 and their number"
    )]
    let place = (count(sorted.len() as u64) * part.clamp(0.0, 1.0)).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Median, least and most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of these values; nothing of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => return None,
            even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Self {
            median,
            least: sorted[0],
            most: sorted[sorted.len() - 1],
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (short(self.least), short(self.most));
        write!(f, "{}", short(self.median))?;
        if least == most {
            return Ok(());
        }
        write!(f, " ({least}–{most})")
    }
}

/// Three digits that count.
pub fn short(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 99.95 => 0,
        tens if tens >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        assert_eq!(Spread::of(&[]), None);
        for (values, told) in [
            (&[3.0, 1.0, 2.0][..], "2.00 (1.00–3.00)"),
            (&[40.0, 10.0], "25.0 (10.0–40.0)"),
            (&[1234.5], "1234"),
            (&[0.331, 0.329], "0.33"),
        ] {
            assert_eq!(Spread::of(values).unwrap().to_string(), told);
        }
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        for (part, is) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)] {
            assert_eq!(
                quantile(&values, part).to_bits(),
                f64::to_bits(is),
                "{part}"
            );
        }
        assert_eq!(quantile(&[], 0.5).to_bits(), 0.0_f64.to_bits());
    }
}
