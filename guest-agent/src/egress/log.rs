//! What was refused and why, for people and programs in the guest. Bounded, whatever they do.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const PATH: &str = "/run/firebreak/egress.log";
const MAX_BYTES: u64 = 64 << 10;
const MAX_LINES_PER_SECOND: u32 = 20;

struct Second {
    began: Instant,
    lines: u32,
    left_out: u32,
}

#[derive(Default)]
pub struct Log(RefCell<Option<Second>>);

impl Log {
    pub fn say(&self, what: &str, why: &str) {
        let now = Instant::now();
        let mut state = self.0.borrow_mut();
        let is_current = state
            .as_ref()
            .is_some_and(|second| now.duration_since(second.began).as_secs() == 0);
        if !is_current {
            let left_out = state.as_ref().map_or(0, |second| second.left_out);
            *state = Some(Second {
                began: now,
                lines: 0,
                left_out: 0,
            });
            if left_out > 0 {
                append(&format!("{left_out} more\n"));
            }
        }
        let Some(second) = state.as_mut() else { return };
        if second.lines == MAX_LINES_PER_SECOND {
            second.left_out += 1;
            return;
        }
        second.lines += 1;
        append(&format!("{} refused {what}: {why}\n", now_text()));
    }
}

/// The log is no reason to fail.
fn append(line: &str) {
    let is_full = fs::metadata(PATH).is_ok_and(|metadata| metadata.len() > MAX_BYTES);
    if is_full && let Ok(text) = fs::read(PATH) {
        let half = &text[text.len() / 2..];
        let begin = half
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let _ = fs::write(PATH, &half[begin..]);
    }
    let open = || {
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .open(PATH)
    };
    let file = open().or_else(|_| {
        fs::create_dir_all("/run/firebreak")?;
        open()
    });
    if let Ok(mut file) = file {
        let _ = file.write_all(line.as_bytes());
    }
}

/// `2026-01-31T08:00:00Z`
fn now_text() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_are_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_454), (2026, 1, 1));
        assert_eq!(civil(20_453), (2025, 12, 31));
    }
}
