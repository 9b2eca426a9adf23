//! Preparation in the background: one build per image, observable by whoever waits for it.

use time::OffsetDateTime;

use super::BaseImage;

/// Whether a base image can be used now, and if not, why not.
#[derive(Clone, Debug)]
pub enum Availability {
    /// It is there.
    Ready(Box<BaseImage>),
    /// It is not there and nobody is making it.
    Missing {
        /// A sentence that says how to get it.
        how: String,
    },
    /// It is being made.
    Building {
        /// Since when.
        since: OffsetDateTime,
        /// What is being done.
        step: String,
    },
    /// It could not be made.
    Failed {
        /// When that was.
        at: OffsetDateTime,
        /// Why, in a sentence or more.
        reason: String,
    },
}
