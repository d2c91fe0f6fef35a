//! What was refused and why, for people and programs in the guest. Bounded, whatever they do.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATH: &str = "/run/firebreak/egress.log";
const MAX_BYTES: u64 = 64 << 10;
const MAX_LINES_PER_SECOND: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

struct Second {
    began: Instant,
    lines: u32,
    left_out: u32,
}

impl Second {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.began) >= SECOND
    }

    /// Its last line, if there was more than it has lines for.
    fn end(&self) {
        if self.left_out > 0 {
            append(&format!("{} more\n", self.left_out));
        }
    }
}

#[derive(Default)]
pub struct Log(Rc<RefCell<Option<Second>>>);

impl Log {
    /// In a task of the agent's: what a second has no room for is counted, and the number is written when the second is over.
    pub fn say(&self, what: &str, why: &str) {
        let now = Instant::now();
        let mut state = self.0.borrow_mut();
        let second = match state.take() {
            Some(second) if !second.is_over(now) => second,
            last => {
                last.inspect(Second::end);
                Second {
                    began: now,
                    lines: 0,
                    left_out: 0,
                }
            }
        };
        let second = state.insert(second);
        if second.lines < MAX_LINES_PER_SECOND {
            second.lines += 1;
            append(&format!("{} refused {what}: {why}\n", now_text()));
            return;
        }
        second.left_out += 1;
        if second.left_out == 1 {
            let until = (second.began + SECOND).into();
            let kept = Rc::clone(&self.0);
            tokio::task::spawn_local(async move {
                tokio::time::sleep_until(until).await;
                // Nobody may have been refused since.
                let mut state = kept.borrow_mut();
                if state
                    .as_ref()
                    .is_some_and(|second| second.is_over(Instant::now()))
                {
                    state.take().inspect(Second::end);
                }
            });
        }
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
