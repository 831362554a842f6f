//! Sizes in bytes as text, both ways.

/// Bytes, with k, m or g behind the number.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let lower = text.to_ascii_lowercase();
    let (digits, shift) = match lower.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if lower.ends_with('k') => (digits, 10),
        Some(digits) if lower.ends_with('m') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (lower.as_str(), 0),
    };
    let number: i64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no size: bytes are wanted, or a number with k, m or g"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text}: too large"))
}

/// Bytes in the largest unit of which there is one, with one decimal.
pub(crate) fn show(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (bytes.max(1).ilog2() / 10) as usize;
    let unit = units.get(power).unwrap_or(&"B");
    if power == 0 {
        return format!("{bytes} B");
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn sizes_are_read() {
        for (text, wanted) in [
            ("5", Some(5)),
            ("2k", Some(2048)),
            ("1G", Some(1 << 30)),
            ("-1", Some(-1)),
            ("", None),
            ("k", None),
            ("9999999999g", None),
        ] {
            assert_eq!(parse(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn sizes_are_shown() {
        for (bytes, wanted) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (u64::MAX, "15.9 EiB")]
        {
            assert_eq!(show(bytes), wanted);
        }
    }
}
