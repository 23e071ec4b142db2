//! Maps and lists of plain text as carriers, whose names are found in any case.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use super::{Carrier, CarrierMut, MAX_ENTRIES, Values};

/// Pairs, such as the headers of a Kafka record or a message; a name may occur several times. The first
/// [`MAX_ENTRIES`] are read.
impl<N: AsRef<str>, V: AsRef<[u8]>> Carrier for [(N, V)] {
    fn values_of(&self, name: &str) -> Values<'_> {
        let read = self.iter().take(MAX_ENTRIES);
        read.filter(move |(n, _)| n.as_ref().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
            .collect()
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        let read = self.iter().take(MAX_ENTRIES);
        read.map(|(name, _)| name.as_ref()).for_each(see);
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Carrier for Vec<(N, V)> {
    fn values_of(&self, name: &str) -> Values<'_> {
        self.as_slice().values_of(name)
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        self.as_slice().each_name(see);
    }
}

impl<N, V> CarrierMut for Vec<(N, V)>
where
    N: AsRef<str> + for<'a> From<&'a str>,
    V: for<'a> From<&'a str>,
{
    fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.push((name.into(), value.into()));
    }

    fn unset(&mut self, name: &str) {
        self.retain(|(n, _)| !n.as_ref().eq_ignore_ascii_case(name));
    }
}

impl<K, V, S> Carrier for HashMap<K, V, S>
where
    K: Borrow<str> + Hash + Eq,
    V: AsRef<[u8]>,
    S: BuildHasher,
{
    fn values_of(&self, name: &str) -> Values<'_> {
        let exact = self.get(name);
        let others = otherwise(self.iter(), name, exact.is_some());
        exact.into_iter().chain(others).map(AsRef::as_ref).collect()
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        self.keys().map(Borrow::borrow).for_each(see);
    }
}

impl<K, V, S> CarrierMut for HashMap<K, V, S>
where
    K: Borrow<str> + Hash + Eq + for<'a> From<&'a str>,
    V: for<'a> From<&'a str>,
    S: BuildHasher,
{
    fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.insert(name.into(), value.into());
    }

    fn unset(&mut self, name: &str) {
        self.retain(|key, _| !key.borrow().eq_ignore_ascii_case(name));
    }
}

impl<K, V> Carrier for BTreeMap<K, V>
where
    K: Borrow<str> + Ord,
    V: AsRef<[u8]>,
{
    fn values_of(&self, name: &str) -> Values<'_> {
        let exact = self.get(name);
        let others = otherwise(self.iter(), name, exact.is_some());
        exact.into_iter().chain(others).map(AsRef::as_ref).collect()
    }

    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        self.keys().map(Borrow::borrow).for_each(see);
    }
}

impl<K, V> CarrierMut for BTreeMap<K, V>
where
    K: Borrow<str> + Ord + for<'a> From<&'a str>,
    V: for<'a> From<&'a str>,
{
    fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.insert(name.into(), value.into());
    }

    fn unset(&mut self, name: &str) {
        self.retain(|key, _| !key.borrow().eq_ignore_ascii_case(name));
    }
}

/// Returns the values of a name in other spellings, only if the name itself was not found.
fn otherwise<'a, K: Borrow<str> + 'a, V: 'a>(
    pairs: impl Iterator<Item = (&'a K, &'a V)>,
    name: &str,
    found: bool,
) -> impl Iterator<Item = &'a V> {
    let pairs = (!found).then_some(pairs).into_iter().flatten();
    pairs
        .filter(move |(key, _)| (*key).borrow().eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(carrier: &(impl Carrier + ?Sized), name: &str) -> Vec<String> {
        let values = carrier.values_of(name).into_iter();
        values
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    fn write(mut carrier: impl Carrier + CarrierMut) {
        carrier.set("b3", "0");
        carrier.set("b3", "1");
        carrier.set("traceparent", "x");
        assert_eq!(read(&carrier, "b3"), ["1"]);
        carrier.unset("b3");
        assert_eq!(read(&carrier, "b3"), [""; 0]);
        let mut names = Vec::new();
        carrier.each_name(&mut |name| names.push(name));
        names.sort_unstable();
        assert_eq!(names, ["other", "traceparent"]);
    }

    #[test]
    fn maps_and_lists_are_carriers() {
        let pair = || ("other".to_owned(), "y".to_owned());
        write(HashMap::<String, String>::from([pair()]));
        write(BTreeMap::<String, String>::from([pair()]));
        write(Vec::<(String, String)>::from([pair()]));
        write(Vec::<(Box<str>, Vec<u8>)>::from([(
            "other".into(),
            b"y".to_vec(),
        )]));
    }

    #[test]
    fn names_are_found_in_any_case() {
        let spelled = [("TraceParent", "x"), ("other", "y")];
        assert_eq!(read(&spelled[..], "traceparent"), ["x"]);
        assert_eq!(read(&HashMap::from(spelled), "traceparent"), ["x"]);
        assert_eq!(read(&BTreeMap::from(spelled), "traceparent"), ["x"]);
        let mut map = BTreeMap::from([("B3".to_owned(), "0".to_owned())]);
        map.set("b3", "1");
        assert_eq!(map, BTreeMap::from([("b3".to_owned(), "1".to_owned())]));
    }

    #[test]
    fn of_a_very_long_list_the_first_are_read() {
        let mut list = vec![("other", "x"); MAX_ENTRIES - 1];
        list.extend([("b3", "0"), ("b3", "1")]);
        assert_eq!(read(&list, "b3"), ["0"]);
        let mut names = 0;
        list.each_name(&mut |_| names += 1);
        assert_eq!(names, MAX_ENTRIES);
    }

    #[test]
    fn a_list_has_several_values_of_a_name() {
        let list: &[(&str, &[u8])] = &[("a", b"1"), ("b", b"2"), ("A", b"\xff")];
        assert_eq!(
            list.values_of("a").into_iter().collect::<Vec<_>>(),
            [b"1".as_slice(), b"\xff"]
        );
        // The exact spelling of a name takes precedence over others.
        let map = BTreeMap::from([("A", "1"), ("a", "2")]);
        assert_eq!(read(&map, "a"), ["2"]);
    }
}
