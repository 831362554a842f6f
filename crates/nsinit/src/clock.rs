//! Points in time as people and programs read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, as [`shown`].
pub(crate) fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    shown(seconds)
}

/// Seconds since 1970 by RFC 3339, in UTC: days by the civil calendar.
pub(crate) fn shown(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// A duration as Go programs write it, `1m30s`, `500ms`, or seconds.
///
/// # Errors
/// What is expected, if it is none or zero.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?}: seconds, or numbers with units such as 500ms, 5s, 1m30s, more than 0");
    if let Ok(seconds) = text.parse() {
        return Some(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let (part, behind) = part(rest).ok_or_else(wrong)?;
        sum = sum.checked_add(part).ok_or_else(wrong)?;
        rest = behind;
    }
    Some(sum).filter(|sum| !sum.is_zero()).ok_or_else(wrong)
}

/// A number with its unit, and what is behind.
fn part(text: &str) -> Option<(Duration, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, behind) = rest.split_at(end);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Some((Duration::try_from_secs_f64(number * seconds).ok()?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_go() {
        for (text, wanted) in [
            ("5", 5_000),
            ("5s", 5_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1.5s", 1_500),
            ("1h", 3_600_000),
        ] {
            assert_eq!(interval(text), Ok(Duration::from_millis(wanted)), "{text}");
        }
        for text in ["", "0", "0s", "s", "5x", "-1s", "1m30", "5s!", "1e30h", "..s"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_civil() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(super::shown(seconds), wanted);
        }
    }
}
