//! Durations as operators write them.

use std::ops::RangeInclusive;

pub use crate::model::duration::{parse_seconds, shown};

/// Reads a duration within these seconds: for options of clap.
pub fn within(bounds: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let seconds = parse_seconds(text)?;
        u64::try_from(seconds)
            .ok()
            .filter(|seconds| bounds.contains(seconds))
            .ok_or_else(|| format!("`{text}` is not from {} to {}", shown(*bounds.start()), shown(*bounds.end())))
    }
}

#[cfg(test)]
mod tests {
    use super::{shown, within};

    #[test]
    fn bounds_are_named_as_people_write_them() {
        let read = within(1..=86_400);
        assert_eq!((read("1d"), read("2m"), read("5")), (Ok(86_400), Ok(120), Ok(5)));
        for text in ["0", "-1", "25h"] {
            assert_eq!(read(text), Err(format!("`{text}` is not from 1s to 1d")));
        }
        let all = [(0, "0s"), (90, "90s"), (120, "2m"), (5_400, "90m"), (172_800, "2d")];
        assert!(all.iter().all(|(seconds, text)| shown(*seconds) == *text));
    }
}
