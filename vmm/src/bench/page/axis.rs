//! Logarithmic axes.

use super::Text;
use std::fmt::{self, Write};

/// A range of values on a range of coordinates, both positive and ascending in value.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Log {
    /// An axis that holds all values, from a power of `base` to another; `None` without a positive value.
    pub fn over(values: impl Iterator<Item = f64>, base: f64, from: f64, to: f64) -> Option<Log> {
        let positive = values.filter(|value| *value > 0.0);
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in positive {
            (low, high) = (low.min(value), high.max(value));
        }
        if high == 0.0 {
            return None;
        }
        // A little less than a value on a power, so that nothing lies on the edge.
        let floor = (low * 0.999).log(base).floor();
        let ceiling = (high * 1.001).log(base).ceil().max(floor + 1.0);
        Some(Log {
            low: base.powf(floor),
            high: base.powf(ceiling),
            from,
            to,
        })
    }

    /// Where a value is. One outside is at the end.
    pub fn at(&self, value: f64) -> f64 {
        let part = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + part.min(1.0) * (self.to - self.from)
    }

    /// The powers of `base` on it.
    pub fn powers(&self, base: f64) -> Vec<f64> {
        let first = self.low.log(base).round() as i32;
        let last = self.high.log(base).round() as i32;
        (first..=last).map(|power| base.powi(power)).collect()
    }
}

/// A power of ten of nanoseconds, shortly.
pub fn decade(ns: f64) -> String {
    match ns {
        ns if ns < 0.9 => format!("{ns} ns"),
        ns if ns < 900.0 => format!("{ns:.0} ns"),
        ns if ns < 900e3 => format!("{:.0} µs", ns / 1e3),
        ns if ns < 900e6 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.0} s", ns / 1e9),
    }
}

/// Begins a figure with its name above it; whoever draws it closes the element.
pub fn figure(page: &mut String, width: f64, height: f64, name: &str) -> fmt::Result {
    let name = Text(name);
    writeln!(
        page,
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{name}\">"
    )?;
    writeln!(page, "<text class=\"title\" x=\"4\" y=\"14\">{name}</text>")
}

/// Vertical lines at the decades of a horizontal axis of times, from `top` to `bottom`, with their names below.
pub fn decades(page: &mut String, axis: &Log, top: f64, bottom: f64) -> fmt::Result {
    let powers = axis.powers(10.0);
    // Names every `step` decades, so that they do not run into each other.
    let step = powers.len().div_ceil(6).max(1);
    for (index, power) in powers.iter().enumerate() {
        let x = axis.at(*power);
        write!(
            page,
            "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"
        )?;
        if index % step == 0 {
            let anchor = match index {
                0 => "start",
                index if index + 1 == powers.len() => "end",
                _ => "middle",
            };
            let y = bottom + 15.0;
            let name = decade(*power);
            writeln!(
                page,
                "<text class=\"faint\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{name}</text>"
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_its_values_between_powers() {
        let axis = Log::over([20.0, 57_000.0].into_iter(), 10.0, 0.0, 400.0).unwrap();
        assert_eq!(axis.powers(10.0), [10.0, 100.0, 1e3, 1e4, 1e5]);
        assert!((axis.at(1e3) - 200.0).abs() < 1e-9);
        assert_eq!(axis.at(1.0), 0.0);
        assert_eq!(axis.at(1e9), 400.0);
        assert!(Log::over([0.0].into_iter(), 10.0, 0.0, 1.0).is_none());
        // One value still makes an axis.
        let one = Log::over([100.0].into_iter(), 10.0, 0.0, 1.0).unwrap();
        assert!((0.0..=1.0).contains(&one.at(100.0)));
    }

    #[test]
    fn decades_have_short_names() {
        let names: Vec<String> = [0.1, 1.0, 1e2, 1e3, 1e6, 1e9].map(decade).to_vec();
        assert_eq!(names, ["0.1 ns", "1 ns", "100 ns", "1 µs", "1 ms", "1 s"]);
    }
}
