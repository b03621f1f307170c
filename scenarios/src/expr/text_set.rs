//! A constant set of texts: `in ['a', 'b', 'c']`.

/// Texts, sorted by length and then by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextSet {
    texts: Box<[Box<[u8]>]>,
    /// Bit n is set if there is a text of n bytes; bit 63 if there is one of 63 or more. Most texts that are
    /// asked for fail here.
    lengths: u64,
}

impl TextSet {
    pub(super) fn new(texts: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let mut texts: Vec<Box<[u8]>> = texts.into_iter().collect();
        texts.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        let lengths = texts
            .iter()
            .fold(0, |lengths, text| lengths | length_bit(text.len()));
        TextSet {
            texts: texts.into(),
            lengths,
        }
    }

    #[inline]
    pub(super) fn contains(&self, text: &[u8]) -> bool {
        self.lengths & length_bit(text.len()) != 0 && self.find(text)
    }

    fn find(&self, text: &[u8]) -> bool {
        let order = |known: &[u8]| known.len().cmp(&text.len()).then_with(|| known.cmp(text));
        self.texts.binary_search_by(|known| order(known)).is_ok()
    }

    /// Whether one of the texts is what the given one begins with.
    pub(super) fn has_prefix_of(&self, text: &[u8]) -> bool {
        self.lengths_up_to(text.len())
            .any(|length| self.find(&text[..length]))
    }

    /// Whether one of the texts is what the given one ends with.
    pub(super) fn has_suffix_of(&self, text: &[u8]) -> bool {
        self.lengths_up_to(text.len())
            .any(|length| self.find(&text[text.len() - length..]))
    }

    /// The lengths that there are, each once.
    fn lengths_up_to(&self, length: usize) -> impl Iterator<Item = usize> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let next = self.texts.get(place)?.len();
            place += self.texts[place..].partition_point(|text| text.len() == next);
            Some(next)
        })
        .take_while(move |next| *next <= length)
    }

    pub(super) fn texts(&self) -> &[Box<[u8]>] {
        &self.texts
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> TextSet {
        TextSet::new(texts.iter().map(|text| text.as_bytes().into()))
    }

    #[test]
    fn finds_what_is_there() {
        let long = "x".repeat(70);
        let set = set(&["sshd", "ssh", "", "su", &long]);
        for text in ["sshd", "ssh", "", "su", &long] {
            assert!(set.contains(text.as_bytes()), "{text}");
        }
        for text in ["sshx", "s", "sudo", &"y".repeat(70), &"x".repeat(69)] {
            assert!(!set.contains(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn finds_beginnings_and_ends() {
        let set = set(&[".env", "/.git/config", "a"]);
        assert!(set.has_suffix_of(b"/x/.env"));
        assert!(set.has_suffix_of(b"/.git/config"));
        assert!(!set.has_suffix_of(b"/.envx"));
        assert!(set.has_prefix_of(b".env.local"));
        assert!(!set.has_prefix_of(b"/.env"));
        assert!(!set.has_prefix_of(b""));
    }
}
