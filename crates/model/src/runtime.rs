//! The catalogue of runtimes: one data file, parsed once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// Whether AWS still accepts a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `CreateFunction` accepts it.
    Supported,
    /// `CreateFunction` refuses it with AWS's sentence.
    Deprecated,
}

/// One entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// As the Lambda API spells it, such as `python3.13`.
    pub identifier: String,
    /// Whether it is accepted.
    pub status: Status,
    /// `python`, `nodejs`, `java`, `ruby`, `dotnet`, `provided`.
    pub family: String,
    /// The command line started in the base image; empty for `provided`, where it is the package's own `bootstrap`.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment variables that belong to this runtime.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Catalogue {
    runtime: Vec<Runtime>,
}

static CATALOGUE: LazyLock<Vec<Runtime>> = LazyLock::new(|| {
    let parsed: Catalogue = toml::from_str(include_str!("../data/runtimes.toml")).expect("the catalogue is valid");
    parsed.runtime
});

/// All runtimes, in the catalogue's order.
pub fn all() -> &'static [Runtime] {
    &CATALOGUE
}

/// The runtime of that identifier, if AWS ever had one.
pub fn find(identifier: &str) -> Option<&'static Runtime> {
    CATALOGUE.iter().find(|runtime| runtime.identifier == identifier)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_catalogue_parses_and_names_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for runtime in super::all() {
            assert!(seen.insert(&runtime.identifier), "{}", runtime.identifier);
        }
        assert!(super::find("python3.13").is_some());
    }
}
