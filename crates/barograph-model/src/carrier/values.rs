//! The values of one name.

use std::fmt;

/// All values of one name in a carrier, in their order.
///
/// There may be several: `tracestate` and `baggage` are lists that may be split over headers. A few of
/// them are held without an allocation.
#[derive(Clone, Default)]
pub struct Values<'a> {
    few: [&'a [u8]; FEW],
    count: usize,
    more: Vec<&'a [u8]>,
}

impl<'a> Values<'a> {
    /// Returns the value, if there is exactly one.
    #[inline]
    pub fn one(&self) -> Option<&'a [u8]> {
        match self.count {
            1 => Some(self.few[0]),
            _ => None,
        }
    }

    /// Returns true if there is no value.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    fn push(&mut self, value: &'a [u8]) {
        match self.few.get_mut(self.count) {
            Some(place) => *place = value,
            None => self.more.push(value),
        }
        self.count += 1;
    }
}

impl<'a> FromIterator<&'a [u8]> for Values<'a> {
    #[inline]
    fn from_iter<T: IntoIterator<Item = &'a [u8]>>(values: T) -> Self {
        let mut all = Values::default();
        for value in values {
            all.push(value);
        }
        all
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = &'a [u8];
    type IntoIter = std::iter::Chain<
        std::iter::Take<std::array::IntoIter<&'a [u8], FEW>>,
        std::vec::IntoIter<&'a [u8]>,
    >;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        let few = IntoIterator::into_iter(self.few).take(self.count);
        few.chain(self.more)
    }
}

const FEW: usize = 4;

/// Shows only the number of values: headers may hold secrets.
impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({})", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_held_in_order() {
        let texts: Vec<String> = (0..9).map(|at| at.to_string()).collect();
        for count in 0..texts.len() {
            let texts = &texts[..count];
            let values: Values<'_> = texts.iter().map(String::as_bytes).collect();
            assert_eq!(values.is_empty(), count == 0);
            assert_eq!(values.one().is_some(), count == 1);
            assert_eq!(format!("{values:?}"), format!("Values({count})"));
            assert!(values.into_iter().eq(texts.iter().map(String::as_bytes)));
        }
    }
}
