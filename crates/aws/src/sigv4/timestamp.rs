//! The two spellings of a date: `20260131T120000Z` and `20260131`.

use std::borrow::Cow;

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

const BASIC: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Reads `20260131T120000Z`.
pub(super) fn parse(text: &str) -> Option<OffsetDateTime> {
    PrimitiveDateTime::parse(text, BASIC).ok().map(PrimitiveDateTime::assume_utc)
}

/// Reads what `x-amz-date` or a `Date` header may hold, and how the string to sign spells it.
pub(super) fn parse_date_header(text: &str) -> Option<(OffsetDateTime, Cow<'_, str>)> {
    if let Some(time) = parse(text) {
        return Some((time, Cow::Borrowed(text)));
    }
    OffsetDateTime::parse(text, &Rfc2822).ok().map(|time| (time, Cow::Owned(format(time))))
}

/// Writes `20260131T120000Z`.
pub(super) fn format(time: OffsetDateTime) -> String {
    time.to_offset(UtcOffset::UTC).format(BASIC).unwrap_or_default()
}
