//! A moment as people and log readers write it; pure.

use std::{fmt, time::SystemTime};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Shows a moment as RFC 3339.
pub(crate) struct Date(pub(crate) SystemTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from(self.0).format(&Rfc3339);
        f.write_str(text.as_deref().unwrap_or("beyond the year 9999"))
    }
}
