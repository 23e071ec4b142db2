//! The labels of one series, as an encoder reads them.

/// The labels of one series: names and values, borrowed from the series itself.
///
/// Values are concatenated in one text, so that an encoder copies them without following a pointer for
/// each.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    names: Names<'a>,
    /// The end of each piece of `text`.
    ends: &'a [u16],
    text: &'a str,
    clean: bool,
}

#[derive(Clone, Copy, Debug)]
enum Names<'a> {
    /// The same for every series of the family, in the order of the values.
    Fixed(&'a [Box<str>]),
    /// In the text itself, each before its value.
    Inline,
}

impl<'a> Labels<'a> {
    /// No labels.
    pub const EMPTY: Labels<'static> = Labels {
        names: Names::Fixed(&[]),
        ends: &[],
        text: "",
        clean: true,
    };

    /// Returns the values of a family whose `names` are fixed: `ends[i]` is the end of value `i` in
    /// `text`.
    ///
    /// `clean` promises that no value contains `\`, `"` or a line feed, the characters that a text
    /// format has to escape.
    ///
    /// # Panics
    /// If there are not as many values as names. Ends that do not increase, or are outside the text,
    /// panic when the labels are read.
    #[inline]
    pub fn fixed(names: &'a [Box<str>], ends: &'a [u16], text: &'a str, clean: bool) -> Self {
        assert_eq!(names.len(), ends.len(), "one value for each label name");
        Labels {
            names: Names::Fixed(names),
            ends,
            text,
            clean,
        }
    }

    /// Returns labels of name, value, name, value ... concatenated in `text`; each series has its own
    /// names.
    ///
    /// # Panics
    /// If a name has no value.
    #[inline]
    pub fn inline(ends: &'a [u16], text: &'a str) -> Self {
        assert_eq!(ends.len() % 2, 0, "a value for each label name");
        Labels {
            names: Names::Inline,
            ends,
            text,
            clean: false,
        }
    }

    /// Returns the number of labels.
    pub fn len(&self) -> usize {
        match self.names {
            Names::Fixed(names) => names.len(),
            Names::Inline => self.ends.len() / 2,
        }
    }

    /// Returns true if there are no labels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if the names are the family's, `Descriptor::label_names`, in that order.
    #[inline]
    pub fn names_are_fixed(&self) -> bool {
        matches!(self.names, Names::Fixed(_))
    }

    /// Returns true if no value contains a character that a text format has to escape.
    #[inline]
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Returns the names that all series of the family share, or `None` if each series has its own.
    #[inline]
    pub fn names(&self) -> Option<&'a [Box<str>]> {
        match self.names {
            Names::Fixed(names) => Some(names),
            Names::Inline => None,
        }
    }

    /// Returns the concatenated text of all pieces.
    #[inline]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the end of each piece in [`Labels::text`]. Nothing has checked that they increase, are
    /// inside the text, and are between characters: a caller that must not panic has to check.
    #[inline]
    pub fn ends(&self) -> &'a [u16] {
        self.ends
    }

    /// Returns the pieces of text in order: values if names are fixed, otherwise names and values in
    /// turn.
    #[inline]
    pub fn pieces(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (text, mut from) = (self.text, 0);
        self.ends.iter().map(move |&end| {
            let piece = &text[from..end as usize];
            from = end as usize;
            piece
        })
    }

    /// Returns an iterator over the name and value of each label.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut pieces = self.pieces();
        let mut names = match self.names {
            Names::Fixed(names) => Some(names.iter()),
            Names::Inline => None,
        };
        std::iter::from_fn(move || {
            let name = match &mut names {
                Some(names) => names.next()?,
                None => pieces.next()?,
            };
            Some((name as &str, pieces.next()?))
        })
    }
}

/// An owned list of label values in the packed form that [`Labels`] reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PackedLabels {
    ends: Vec<u16>,
    text: String,
}

impl PackedLabels {
    /// Adds a piece: a value, or a name and then its value.
    ///
    /// Text past 65,535 bytes in total is cut off at a character boundary.
    pub fn push(&mut self, piece: &str) {
        let mut cut = piece.len().min(usize::from(u16::MAX) - self.text.len());
        while !piece.is_char_boundary(cut) {
            cut -= 1;
        }
        self.text.push_str(&piece[..cut]);
        self.ends
            .push(u16::try_from(self.text.len()).unwrap_or(u16::MAX));
    }

    /// Returns the end of each piece.
    pub fn ends(&self) -> &[u16] {
        &self.ends
    }

    /// Returns the text of all pieces.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns these values under the names of a family.
    ///
    /// # Panics
    /// If there are not as many values as names.
    pub fn fixed<'a>(&'a self, names: &'a [Box<str>]) -> Labels<'a> {
        Labels::fixed(names, &self.ends, &self.text, is_clean(&self.text))
    }

    /// Returns these pieces as names and values.
    ///
    /// # Panics
    /// If a name has no value.
    pub fn inline(&self) -> Labels<'_> {
        Labels::inline(&self.ends, &self.text)
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for PackedLabels {
    /// Packs names and values for [`PackedLabels::inline`].
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let mut packed = PackedLabels::default();
        for (name, value) in pairs {
            packed.push(name);
            packed.push(value);
        }
        packed
    }
}

/// Returns true if `text` contains none of the characters that a text format has to escape.
pub fn is_clean(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'\\' | b'"' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_and_inline_names_read_the_same() {
        let names: Vec<Box<str>> = vec!["method".into(), "route".into()];
        let mut values = PackedLabels::default();
        values.push("GET");
        values.push("/é");
        let pairs: PackedLabels = [("method", "GET"), ("route", "/é")].into_iter().collect();
        let expected = vec![("method", "GET"), ("route", "/é")];
        assert_eq!(values.fixed(&names).iter().collect::<Vec<_>>(), expected);
        assert_eq!(pairs.inline().iter().collect::<Vec<_>>(), expected);
        assert_eq!(Labels::EMPTY.iter().count(), 0);
    }

    #[test]
    fn text_past_the_packed_limit_is_cut_at_a_character() {
        let mut packed = PackedLabels::default();
        packed.push(&"x".repeat(65_534));
        packed.push("é");
        packed.push("y");
        assert_eq!(packed.text().len(), 65_535);
        assert_eq!(packed.ends(), [65_534, 65_534, 65_535]);
    }
}
