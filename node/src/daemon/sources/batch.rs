//! Some lines of one source, in one buffer, and where reading stands after them.

use std::ops::Range;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use lymph_scenarios::line::{LINE_BYTES_MAX, Line, Source};

use super::line_id::Seed;
use super::notice::Notice;
use super::positions::Update;

/// Most lines of a batch: enough to make its fixed cost vanish, few enough that no source keeps others waiting
/// for more than some milliseconds.
pub const BATCH_LINES_MAX: usize = 2048;

/// Most bytes of a batch, and of one read. Twice the longest line, and some room for the bytes before it.
pub const BATCH_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

/// Where a line lies in the buffer, and its id.
#[derive(Clone, Copy, Debug)]
pub(in crate::daemon) struct Span {
    start: u32,
    end: u32,
    id: u64,
}

/// Lines that are handed out together. Put them through the engine, then give the batch to `Sources::taken`,
/// also when it holds no line.
#[derive(Debug, Default)]
pub struct Batch {
    /// Where the lines were read.
    pub source: Arc<Source>,
    /// What the operator should be told, in this order.
    pub notices: Vec<Notice>,
    /// The buffer. Its length stays: it is read into as a whole.
    pub(in crate::daemon) text: Vec<u8>,
    pub(in crate::daemon) spans: Vec<Span>,
    /// Positions after these lines.
    pub(in crate::daemon) updates: Vec<Update>,
    /// Lines that were longer than what is looked at.
    pub(in crate::daemon) cut_lines: u64,
    /// Times that lines are known or must be feared to be lost.
    pub(in crate::daemon) gaps: u64,
}

impl Batch {
    /// The lines in their order, as read at `now`.
    pub fn lines(&self, now: Timestamp) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.spans.iter().map(move |span| Line {
            text: &self.text[span.start as usize..span.end as usize],
            source: &self.source,
            id: span.id,
            received_at: now,
        })
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes of all lines.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| u64::from(span.end - span.start))
            .sum()
    }

    pub(in crate::daemon) fn is_full(&self) -> bool {
        self.spans.len() >= BATCH_LINES_MAX
    }

    /// Whether nobody would miss it.
    pub(in crate::daemon) fn says_nothing(&self) -> bool {
        self.spans.is_empty() && self.notices.is_empty() && self.updates.is_empty()
    }

    /// Adds a line that lies in the buffer, without its line end and what is too long. Empty lines are left out.
    pub(in crate::daemon) fn push(&mut self, range: Range<usize>, seed: Seed, offset: u64) {
        let text = std::mem::take(&mut self.text);
        self.push_from(&text, range, seed, offset);
        self.text = text;
    }

    /// The same while the buffer is lent out.
    #[inline]
    pub(in crate::daemon) fn push_from(
        &mut self,
        text: &[u8],
        range: Range<usize>,
        seed: Seed,
        offset: u64,
    ) {
        let (start, mut end) = (range.start, range.end);
        if end > start && text[end - 1] == b'\r' {
            end -= 1;
        }
        if end - start > LINE_BYTES_MAX {
            end = start + LINE_BYTES_MAX;
            self.cut_lines += 1;
        }
        if end > start {
            let id = seed.line_id(offset, &text[start..end]);
            self.spans.push(Span {
                start: start as u32,
                end: end as u32,
                id,
            });
        }
    }

    /// Adds a line whose id is known.
    pub(in crate::daemon) fn push_with_id(&mut self, text: &[u8], id: u64) {
        let start = self.text.len();
        self.text
            .extend_from_slice(&text[..text.len().min(LINE_BYTES_MAX)]);
        self.spans.push(Span {
            start: start as u32,
            end: self.text.len() as u32,
            id,
        });
    }

    /// Empties it but keeps its memory.
    pub(in crate::daemon) fn clear(&mut self) {
        self.source = Arc::default();
        self.notices.clear();
        self.spans.clear();
        self.updates.clear();
        (self.cut_lines, self.gaps) = (0, 0);
    }
}
