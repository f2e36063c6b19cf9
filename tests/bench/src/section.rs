//! The parts of the measurements.

use crate::figures::Sheet;
use crate::options::Effort;
use crate::place::Place;
use crate::{
    Failed, accept, call, deliver, hot, languages, many, matching, pipeline, records, share, start, stored, swap,
};

/// One part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Accept,
    Pipeline,
    Hot,
    Call,
    Languages,
    Swap,
    Start,
    Many,
    Deliver,
    Match,
    Records,
    Share,
    Stored,
}

impl Section {
    pub(crate) const ALL: [Self; 13] = [
        Self::Accept,
        Self::Pipeline,
        Self::Hot,
        Self::Call,
        Self::Languages,
        Self::Swap,
        Self::Start,
        Self::Many,
        Self::Deliver,
        Self::Match,
        Self::Records,
        Self::Share,
        Self::Stored,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Pipeline => "pipeline",
            Self::Hot => "hot",
            Self::Call => "call",
            Self::Languages => "languages",
            Self::Swap => "swap",
            Self::Start => "start",
            Self::Many => "many",
            Self::Deliver => "deliver",
            Self::Match => "match",
            Self::Records => "records",
            Self::Share => "share",
            Self::Stored => "stored",
        }
    }

    /// Why two servers cannot be compared by it; `None` if they can.
    pub(crate) fn incomparable(self) -> Option<&'static str> {
        match self {
            Self::Accept
            | Self::Pipeline
            | Self::Hot
            | Self::Start
            | Self::Deliver
            | Self::Match
            | Self::Records
            | Self::Share
            | Self::Stored => None,
            Self::Call | Self::Languages => {
                Some("it measures the host that is linked into the benchmark program, which is the same for both sides")
            }
            Self::Swap | Self::Many => {
                Some("it installs components made from the plugins of this checkout, which another commit may reject")
            }
        }
    }

    /// The names of the sections that `wanted` selects, for messages.
    pub(crate) fn names(wanted: impl Fn(Self) -> bool) -> String {
        Self::ALL.into_iter().filter(|section| wanted(*section)).map(Self::name).collect::<Vec<_>>().join(", ")
    }

    /// Measures it.
    pub(crate) async fn measure(self, place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
        match self {
            Self::Accept => accept::run(place, effort).await,
            Self::Pipeline => pipeline::run(place, effort).await,
            Self::Hot => hot::run(place, effort).await,
            Self::Call => call::run(place, effort).await,
            Self::Languages => languages::run(place, effort).await,
            Self::Swap => swap::run(place, effort).await,
            Self::Start => start::run(place, effort).await,
            Self::Many => many::run(place, effort).await,
            Self::Deliver => deliver::run(place, effort).await,
            Self::Match => matching::run(place, effort).await,
            Self::Records => records::run(place, effort).await,
            Self::Share => share::run(place, effort).await,
            Self::Stored => stored::run(place, effort).await,
        }
    }
}
