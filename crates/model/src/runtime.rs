//! The catalogue of runtimes: one data file, parsed once.
//!
//! What always holds: the file lists every identifier that Lambda ever accepted for zip functions, so an identifier that is
//! not here never existed. Whether one is accepted is what the file says, not what the clock says.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

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
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// As the Lambda API spells it, such as `python3.13`.
    pub identifier: String,
    /// `python`, `nodejs`, `java`, `ruby`, `dotnet`, `go`, `provided`.
    pub family: String,
    /// Whether it is accepted.
    pub status: Status,
    /// Repository and tag of AWS's public image below `public.ecr.aws/lambda`, such as `python:3.13`.
    pub image: Option<String>,
    /// AWS's deprecation date: no patches after it.
    pub deprecated_on: Option<toml::value::Datetime>,
    /// From when on AWS refuses `CreateFunction` with it.
    pub create_blocked_on: Option<toml::value::Datetime>,
    /// From when on AWS refuses `UpdateFunctionCode` and `UpdateFunctionConfiguration` with it.
    pub update_blocked_on: Option<toml::value::Datetime>,
    /// The command line started in a base image that was made from the recipe; empty for `provided`, where it is the package's own `bootstrap`.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment variables that belong to this runtime.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How its base image is made from Debian's packages, where it can be.
    pub recipe: Option<Recipe>,
}

/// How a base image is made from Debian's packages and the interface client's registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Debian suite, such as `trixie`.
    pub suite: String,
    /// Debian packages on top of those that every base image has.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Version of the language runtime: of Python's command, Node.js's exact version, Java's major version; empty for `provided`.
    #[serde(default)]
    pub interpreter: String,
    /// The runtime interface client as its registry names it, with its version; empty for `provided`.
    #[serde(default)]
    pub client: String,
    /// Further packages of that registry, with their versions.
    #[serde(default)]
    pub libraries: Vec<String>,
}

impl Runtime {
    /// Whether the package brings the program that is started (`bootstrap`) itself.
    pub fn is_provided(&self) -> bool {
        self.family == "provided"
    }

    /// The value of `AWS_EXECUTION_ENV`, such as `AWS_Lambda_python3.13`; AWS does not set it for `provided` runtimes.
    pub fn execution_env(&self) -> Option<String> {
        (!self.is_provided()).then(|| format!("AWS_Lambda_{}", self.identifier))
    }

    /// How the `INIT_START` log line names the runtime's version, such as `python:3.13.v1` or `provided:al2023.v1`. The
    /// last part counts AWS's releases; base images made here are of release 1.
    pub fn version_label(&self) -> String {
        let rest = self.identifier.strip_prefix(&self.family).unwrap_or(&self.identifier);
        let rest = rest.strip_suffix(".x").unwrap_or(rest).trim_start_matches('.');
        if rest.is_empty() { format!("{}.v1", self.family) } else { format!("{}:{rest}.v1", self.family) }
    }

    /// Whether `CreateFunction` and `UpdateFunctionConfiguration` may name it.
    ///
    /// # Errors
    ///
    /// AWS's sentence for a runtime that is no longer supported.
    pub fn check_accepted(&self) -> Result<(), Error> {
        match self.status {
            Status::Supported => Ok(()),
            Status::Deprecated => Err(Error::new(
                ErrorKind::InvalidParameterValue,
                format!(
                    "The runtime parameter of {} is no longer supported for creating or updating AWS Lambda functions. We \
                     recommend you use a supported runtime while creating or updating functions.",
                    self.identifier
                ),
            )),
        }
    }
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

/// The runtime of that identifier, if `CreateFunction` accepts it.
///
/// # Errors
///
/// AWS's sentences: for a runtime that is no longer supported, and for an identifier that never was one.
pub fn accepted(identifier: &str) -> Result<&'static Runtime, Error> {
    let Some(runtime) = find(identifier) else {
        let known: Vec<_> =
            all().iter().filter(|r| r.status == Status::Supported).map(|r| r.identifier.as_str()).collect();
        return Err(Error::new(
            ErrorKind::InvalidParameterValue,
            format!(
                "Value {identifier} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] or be \
                 a valid ARN",
                known.join(", ")
            ),
        ));
    };
    runtime.check_accepted().map(|()| runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_consistent() {
        let mut seen = std::collections::BTreeSet::new();
        for runtime in all() {
            let name = &runtime.identifier;
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with(&runtime.family), "{name} is not of family {}", runtime.family);
            if runtime.status == Status::Supported {
                assert_eq!(runtime.command.is_empty(), runtime.is_provided(), "{name}: command");
                let image = runtime.image.as_deref().and_then(|image| image.split_once(':'));
                assert!(
                    image.is_some_and(|(repository, tag)| repository == runtime.family && !tag.is_empty()),
                    "{name}"
                );
            } else {
                assert!(runtime.recipe.is_none(), "{name}: a recipe nobody can use");
                assert!(runtime.create_blocked_on.is_some(), "{name}: since when is it refused?");
            }
            if let Some(recipe) = &runtime.recipe {
                assert_eq!(recipe.client.is_empty(), runtime.is_provided(), "{name}: client");
                assert_eq!(recipe.interpreter.is_empty(), runtime.is_provided(), "{name}: interpreter");
            }
        }
    }

    #[test]
    fn base_images_that_must_be_buildable_have_a_recipe() {
        for name in [
            "python3.11",
            "python3.13",
            "python3.14",
            "nodejs20.x",
            "nodejs22.x",
            "nodejs24.x",
            "java17",
            "java21",
            "provided.al2023",
            "provided.al2",
        ] {
            assert!(find(name).is_some_and(|runtime| runtime.recipe.is_some()), "{name}");
        }
    }

    #[test]
    fn a_retired_runtime_is_refused_in_the_words_of_aws() {
        for name in ["go1.x", "python3.7", "nodejs14.x", "ruby2.7", "java8", "dotnetcore3.1", "provided"] {
            let refused = accepted(name).expect_err(name);
            assert_eq!(refused.kind(), ErrorKind::InvalidParameterValue);
            assert_eq!(
                refused.message(),
                format!(
                    "The runtime parameter of {name} is no longer supported for creating or updating AWS Lambda functions. \
                     We recommend you use a supported runtime while creating or updating functions."
                )
            );
        }
    }

    #[test]
    fn an_unknown_runtime_is_refused_with_the_list() {
        for name in ["PYTHON3.13", "python3.13 ", "", "python", "dotnet9", "custom"] {
            let refused = accepted(name).expect_err(name);
            assert!(
                refused.message().starts_with(&format!("Value {name} at 'runtime' failed")),
                "{}",
                refused.message()
            );
            assert!(refused.message().contains("python3.13, "), "{}", refused.message());
            assert!(!refused.message().contains("go1.x"), "{}", refused.message());
        }
        assert_eq!(accepted("python3.13").expect("it is accepted").identifier, "python3.13");
    }

    #[test]
    fn labels_follow_the_spelling_of_aws() {
        for (name, label, execution_env) in [
            ("python3.13", "python:3.13.v1", Some("AWS_Lambda_python3.13")),
            ("nodejs22.x", "nodejs:22.v1", Some("AWS_Lambda_nodejs22.x")),
            ("java21", "java:21.v1", Some("AWS_Lambda_java21")),
            ("java8.al2", "java:8.al2.v1", Some("AWS_Lambda_java8.al2")),
            ("provided.al2023", "provided:al2023.v1", None),
        ] {
            let runtime = find(name).expect(name);
            assert_eq!(runtime.version_label(), label);
            assert_eq!(runtime.execution_env().as_deref(), execution_env);
        }
    }
}
