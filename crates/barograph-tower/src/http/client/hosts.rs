//! A list of hosts, or all hosts.

/// All hosts, or those on a list.
#[derive(Clone, Debug, Default)]
pub(crate) enum Hosts {
    #[default]
    All,
    These(Box<[Box<str>]>),
}

impl Hosts {
    /// Returns true if this host is on the list.
    ///
    /// Case is ignored. `*.example` matches every host below `example`, but not `example` itself.
    pub(crate) fn have(&self, host: &str) -> bool {
        let Hosts::These(hosts) = self else {
            return true;
        };
        hosts
            .iter()
            .any(|allowed| match allowed.strip_prefix("*.") {
                Some(domain) => host
                    .len()
                    .checked_sub(domain.len() + 1)
                    .and_then(|dot| host.get(dot..))
                    .and_then(|end| end.strip_prefix('.'))
                    .is_some_and(|end| end.eq_ignore_ascii_case(domain)),
                None => allowed.eq_ignore_ascii_case(host),
            })
    }
}

impl<T: Into<Box<str>>> FromIterator<T> for Hosts {
    fn from_iter<I: IntoIterator<Item = T>>(hosts: I) -> Self {
        Hosts::These(hosts.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_on_the_list_match() {
        assert!(Hosts::All.have("anybody.example"));
        let hosts: Hosts = ["localhost", "*.shop.example"].into_iter().collect();
        for host in [
            "localhost",
            "LOCALHOST",
            "a.shop.example",
            "A.B.Shop.Example",
        ] {
            assert!(hosts.have(host), "{host}");
        }
        for host in [
            "",
            "shop.example",
            "evilshop.example",
            "a.shop.example.evil",
            "ä.example",
        ] {
            assert!(!hosts.have(host), "{host}");
        }
        assert!(!Hosts::from_iter([""; 0]).have("localhost"));
    }
}
