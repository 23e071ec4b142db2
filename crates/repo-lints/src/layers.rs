//! Crates depend on crates of lower layers only.

/// The layer of each crate, from the lowest on. Crates of one layer do not depend on each other.
pub const LAYERS: [(&str, u32); 11] = [
    ("barograph-model", 0),
    ("barograph-macros", 0),
    ("barograph-core", 1),
    ("barograph-encode", 1),
    ("barograph-export", 2),
    ("barograph-tracing", 2),
    ("barograph-config", 3),
    ("barograph-kafka", 3),
    ("barograph-tower", 3),
    ("test-support", 3),
    ("barograph", 4),
];

/// Returns the dependencies of a manifest that are of the crate's own layer or of a higher one.
///
/// `dev-dependencies` are not checked: a test may use any crate.
pub fn check(manifest: &str) -> Vec<String> {
    let Some(name) = value(manifest, "[package]", "name") else {
        return vec!["the manifest has no package name".to_owned()];
    };
    let Some(layer) = layer_of(name) else {
        return vec![format!(
            "{name} has no layer: add it to `repo_lints::layers::LAYERS`"
        )];
    };
    dependencies(manifest)
        .filter(|dependency| dependency.starts_with("barograph"))
        .filter(|dependency| layer_of(dependency).is_none_or(|other| other >= layer))
        .map(|dependency| format!("{name} depends on {dependency}, which is not of a lower layer"))
        .collect()
}

fn layer_of(name: &str) -> Option<u32> {
    LAYERS
        .iter()
        .find(|(crate_name, _)| *crate_name == name)
        .map(|(_, layer)| *layer)
}

/// Returns the names in all tables of dependencies, except those of `dev-dependencies`.
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
    fn lower_layers_are_accepted() {
        let core = "barograph-model = { workspace = true }\nbarograph-macros.workspace = true\n";
        assert_eq!(check(&manifest("barograph-core", core)), [""; 0]);
        let dev = "[dev-dependencies]\nbarograph = { path = \"..\" }\n";
        assert_eq!(check(&manifest("barograph-core", dev)), [""; 0]);
    }

    #[test]
    fn the_same_and_higher_layers_are_found() {
        for (name, dependency) in [
            (
                "barograph-core",
                "barograph-encode = { workspace = true }\n",
            ),
            ("barograph-encode", "barograph-core.workspace = true\n"),
            ("barograph-model", "barograph-macros = \"1\"\n"),
            (
                "barograph-core",
                "[target.'cfg(unix)'.dependencies]\nbarograph = \"1\"\n",
            ),
            (
                "barograph-core",
                "[build-dependencies]\nbarograph-tracing = \"1\"\n",
            ),
            (
                "barograph-core",
                "[dependencies.barograph-tracing]\npath = \"x\"\n",
            ),
            ("barograph-tower", "barograph-unknown = \"1\"\n"),
        ] {
            assert_eq!(
                check(&manifest(name, dependency)).len(),
                1,
                "{name}: {dependency}"
            );
        }
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(check(&manifest("barograph-unknown", "")).len(), 1);
    }
}
