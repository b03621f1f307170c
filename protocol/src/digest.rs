//! An author's live reports under one signature, for those who vouch for them; and the root that is gossiped, so that
//! nobody can give one digest to some and another to others.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::report::{Nonsense, Report, ReportWire};
use crate::time::Timestamp;

/// Hours since the epoch: a digest is made once an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The hour that a time is in.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Epoch(u32::try_from(time.secs() / 3600).unwrap_or(u32::MAX))
    }

    /// The hour after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Epoch(self.0.saturating_add(1))
    }
}

/// An author's live reports, oldest number first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Of which hour.
    pub epoch: Epoch,
    /// The reports.
    pub reports: Vec<Report>,
}

impl Digest {
    /// See [`Report::check`].
    pub fn check(&self) -> Result<(), Nonsense> {
        if self.reports.len() > limits::DIGEST_MAX {
            return Err(Nonsense::Length);
        }
        check_reports(&self.reports)
    }

    /// What of it is gossiped.
    #[must_use]
    pub fn root(&self) -> Root {
        let mut hash = Sha256::new_with_prefix(b"lymph/1 digest\0");
        for report in &self.reports {
            // Encoding a fixed tuple cannot fail; if it ever did, the root would match nothing.
            hash.update(crate::codec::encode_body(&ReportWire::from(report)).unwrap_or_default());
        }
        Root {
            epoch: self.epoch,
            count: u32::try_from(self.reports.len()).unwrap_or(u32::MAX),
            root: hash.finalize().into(),
        }
    }
}

/// Each sound by itself, and numbers that rise.
pub(crate) fn check_reports(reports: &[Report]) -> Result<(), Nonsense> {
    reports.iter().try_for_each(Report::check)?;
    match reports.is_sorted_by(|a, b| a.seq < b.seq) {
        true => Ok(()),
        false => Err(Nonsense::Order),
    }
}

/// What a digest of this hour is. Two of one author for one hour are proof that they lie to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Root {
    /// Of which hour.
    pub epoch: Epoch,
    /// How many reports are in it.
    pub count: u32,
    /// Their hash.
    pub root: [u8; 32],
}
