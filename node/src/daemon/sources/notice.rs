//! What the operator should know about the logs: said once when it begins and once when it ends, never per line.

/// What has happened to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeKind {
    /// Reading has begun, or goes on where it stopped.
    Following,
    /// It may not be read.
    Denied,
    /// There is no such file, or no longer.
    Missing,
    /// It is left out: no regular file, one that is read already, or one too many.
    LeftOut,
    /// A new file has taken the place of the old one, which is read to its end first.
    Rotated,
    /// The file was emptied or rewritten in place.
    Truncated,
    /// Lines are lost that were written: how many nobody can tell.
    Gap,
    /// Lines are longer than what is looked at; the rest of them is skipped.
    Cut,
    /// The system does not tell of changes; the source is looked at once a second.
    Unwatched,
    /// Its dates are off, so its zone or its clock must be wrong.
    Skewed,
    /// Reading failed.
    Failed,
    /// The source has come to its end and will not go on.
    Ended,
    /// The source is none any more: whatever was said about it does not count.
    Forgotten,
}

/// One change of a source's state, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What has happened.
    pub kind: NoticeKind,
    /// The path or name of the source.
    pub source: String,
    /// What it means and, where something can be done, what.
    pub message: String,
}

impl Notice {
    pub(in crate::daemon) fn new(
        kind: NoticeKind,
        source: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Notice {
            kind,
            source: source.into(),
            message: message.into(),
        }
    }

    /// Whether it is worth a look tomorrow, and no mere course of things.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        match self.kind {
            NoticeKind::Following
            | NoticeKind::Rotated
            | NoticeKind::Truncated
            | NoticeKind::Ended
            | NoticeKind::Forgotten => false,
            NoticeKind::Denied
            | NoticeKind::Missing
            | NoticeKind::LeftOut
            | NoticeKind::Gap
            | NoticeKind::Cut
            | NoticeKind::Unwatched
            | NoticeKind::Skewed
            | NoticeKind::Failed => true,
        }
    }
}
