//! The resource: attributes of the process that all its telemetry shares.

/// The attributes of a service, in the order in which they were given, each key once.
///
/// Source: OpenTelemetry resource specification; keys follow its semantic conventions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    attributes: Vec<(Box<str>, Box<str>)>,
}

impl Resource {
    /// Returns a resource without attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one attribute; a later value for the same key replaces an earlier one.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        match self.attributes.iter_mut().find(|(k, _)| &**k == key) {
            Some((_, old)) => *old = value.into(),
            None => self.attributes.push((key.into(), value.into())),
        }
        self
    }

    /// Returns the value of one attribute.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Returns an iterator over the key and value of each attribute.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(k, v)| (&**k, &**v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once_and_the_last_value_wins() {
        let resource = Resource::new().with("a", "1").with("b", "2").with("a", "3");
        assert_eq!(
            resource.iter().collect::<Vec<_>>(),
            [("a", "3"), ("b", "2")]
        );
        assert_eq!(resource.value("c"), None);
    }
}
