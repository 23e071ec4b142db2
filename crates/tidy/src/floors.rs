//! Crates depend only downwards.

/// The floor of each room, the ground first. Rooms on one floor do not know each other.
pub const FLOORS: [(&str, u32); 6] = [
    ("barograph-model", 0),
    ("barograph-macros", 0),
    ("barograph-core", 1),
    ("barograph-export", 1),
    ("barograph-edge", 2),
    ("barograph", 3),
];

/// What a room's manifest takes from its own floor or from above.
///
/// `dev-dependencies` are free: a test may look at the house from anywhere.
pub fn check(manifest: &str) -> Vec<String> {
    let Some(name) = value(manifest, "[package]", "name") else {
        return vec!["the manifest has no package name".to_owned()];
    };
    let Some(floor) = floor_of(name) else {
        return vec![format!(
            "{name} has no floor: give it one in `tidy::floors`"
        )];
    };
    dependencies(manifest)
        .filter(|dependency| dependency.starts_with("barograph"))
        .filter(|dependency| floor_of(dependency).is_none_or(|below| below >= floor))
        .map(|dependency| format!("{name} depends on {dependency}, which is not on a floor below"))
        .collect()
}

fn floor_of(name: &str) -> Option<u32> {
    FLOORS
        .iter()
        .find(|(room, _)| *room == name)
        .map(|(_, floor)| *floor)
}

/// The names in every table of dependencies but that of the tests.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut of_interest = false;
    manifest.lines().map(str::trim).filter_map(move |line| {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            // `[dependencies]`, `[build-dependencies]`, `[target.'cfg(…)'.dependencies]`.
            of_interest = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
            // `[dependencies.NAME]`
            let single = table
                .split_once("dependencies.")
                .filter(|(kind, _)| !kind.ends_with("dev-"));
            return single.map(|(_, name)| name);
        }
        let name = line.split(['=', '.']).next()?.trim();
        (of_interest && !name.is_empty() && !name.starts_with('#')).then_some(name)
    })
}

fn value<'a>(manifest: &'a str, table: &str, key: &str) -> Option<&'a str> {
    let mut lines = manifest
        .lines()
        .skip_while(|line| line.trim() != table)
        .skip(1);
    let line = lines.find(|line| {
        line.split('=')
            .next()
            .is_some_and(|name| name.trim() == key)
    })?;
    line.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n\n[dependencies]\nserde = \"1\"\n{rest}")
    }

    #[test]
    fn downwards_is_fine() {
        let core = "barograph-model = { workspace = true }\nbarograph-macros.workspace = true\n";
        assert_eq!(check(&manifest("barograph-core", core)), [""; 0]);
        let dev = "[dev-dependencies]\nbarograph = { path = \"..\" }\n";
        assert_eq!(check(&manifest("barograph-core", dev)), [""; 0]);
    }

    #[test]
    fn upwards_and_sideways_are_found() {
        for (room, dependency) in [
            (
                "barograph-core",
                "barograph-export = { workspace = true }\n",
            ),
            ("barograph-export", "barograph-core.workspace = true\n"),
            ("barograph-model", "barograph-macros = \"1\"\n"),
            (
                "barograph-core",
                "[target.'cfg(unix)'.dependencies]\nbarograph = \"1\"\n",
            ),
            (
                "barograph-core",
                "[build-dependencies]\nbarograph-edge = \"1\"\n",
            ),
            (
                "barograph-core",
                "[dependencies.barograph-edge]\npath = \"x\"\n",
            ),
            ("barograph-edge", "barograph-attic = \"1\"\n"),
        ] {
            assert_eq!(
                check(&manifest(room, dependency)).len(),
                1,
                "{room}: {dependency}"
            );
        }
    }

    #[test]
    fn a_room_without_a_floor_is_found() {
        assert_eq!(check(&manifest("barograph-attic", "")).len(), 1);
    }
}
