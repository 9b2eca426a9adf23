//! Recipes: the scripts of a runtime's family, what they are told, and how their result differs from AWS's image.

use std::io;
use std::path::Path;

use bojagi_model::Architecture;
use bojagi_model::runtime::{Recipe, Runtime};
use ring::digest::{SHA256, digest};
use serde_json::json;

use super::host;

const COMMON: &str = include_str!("recipes/common.sh");
const FINISH: &str = include_str!("recipes/finish.sh");
/// The recipe of each family.
const FAMILIES: [(&str, &str); 4] = [
    ("java", include_str!("recipes/java.sh")),
    ("nodejs", include_str!("recipes/nodejs.sh")),
    ("provided", include_str!("recipes/provided.sh")),
    ("python", include_str!("recipes/python.sh")),
];
/// Files that recipes run or put into images.
const FILES: [(&str, &str); 11] = [
    ("aws-sdk-js.txt", include_str!("recipes/aws-sdk-js.txt")),
    ("bootstrap-java", include_str!("recipes/bootstrap-java")),
    ("bootstrap-node", include_str!("recipes/bootstrap-node")),
    ("bootstrap.py", include_str!("recipes/bootstrap.py")),
    ("fetch.py", include_str!("recipes/fetch.py")),
    ("index.mjs", include_str!("recipes/index.mjs")),
    ("lambda-entrypoint.sh", include_str!("recipes/lambda-entrypoint.sh")),
    ("native.sh", include_str!("recipes/native.sh")),
    ("prune.cjs", include_str!("recipes/prune.cjs")),
    ("rehearse.py", include_str!("recipes/rehearse.py")),
    ("run.sh", include_str!("recipes/run.sh")),
];

/// A runtime that can be built, with its scripts.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) runtime: &'static Runtime,
    pub(super) recipe: &'static Recipe,
    pub(super) architecture: Architecture,
    family: &'static str,
}

impl Plan {
    /// The plan for a runtime, if its base image can be made from Debian's packages.
    pub(super) fn of(runtime: &'static Runtime, architecture: Architecture) -> Option<Plan> {
        let recipe = runtime.recipe.as_ref()?;
        let (_, family) = FAMILIES.into_iter().find(|(family, _)| *family == runtime.family)?;
        Some(Plan { runtime, recipe, architecture, family })
    }

    /// Whether building runs programs of the image. Where it does not, it works for every instruction set.
    pub(super) fn runs_its_own_programs(&self) -> bool {
        !self.runtime.is_provided()
    }

    /// A digest of everything that decides what is built, in hexadecimal.
    pub(super) fn digest(&self) -> String {
        let mut parts = format!("{:?}{:?}{:?}", self.recipe, self.runtime.command, self.runtime.environment);
        for text in [COMMON, FINISH, self.family].into_iter().chain(FILES.map(|(_, text)| text)) {
            parts.push_str(text);
        }
        digest(&SHA256, parts.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Writes the scripts into `work/files`.
    pub(super) fn write_files(&self, work: &Path) -> io::Result<()> {
        let files = work.join("files");
        std::fs::create_dir(&files)?;
        for (name, text) in FILES {
            std::fs::write(files.join(name), text)?;
        }
        std::fs::write(files.join("recipe.sh"), [COMMON, FINISH, self.family].join("\n"))
    }

    /// What `common.sh` lists at its beginning.
    pub(super) fn environment(&self, work: &Path, mirrors: (String, String)) -> Vec<(String, String)> {
        let recipe = self.recipe;
        let lines = self.runtime.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let path = |name: &str| work.join(name).display().to_string();
        let keyring = host::keyring().unwrap_or_default();
        [
            ("RUNTIME", self.runtime.identifier.clone()),
            ("SUITE", recipe.suite.clone()),
            ("PACKAGES", recipe.packages.join(" ")),
            ("INTERPRETER", recipe.interpreter.clone()),
            ("CLIENT", recipe.client.clone()),
            ("LIBRARIES", recipe.libraries.join(" ")),
            ("COMMAND", self.runtime.command.join(" ")),
            ("ENVIRONMENT", lines.collect::<Vec<_>>().join("\n")),
            ("DEB_ARCH", host::debian_architecture(self.architecture).to_owned()),
            ("LAMBDA_ARCH", self.architecture.to_string()),
            ("WORK", work.display().to_string()),
            ("CACHE", work.with_file_name(".cache").display().to_string()),
            ("ROOT", path("root")),
            ("FILES", path("files")),
            ("MIRROR", mirrors.0),
            ("SECURITY_MIRROR", mirrors.1),
            ("KEYRING", keyring.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Where the image comes from, in a few words.
    pub(super) fn source(&self) -> String {
        let client = if self.recipe.client.is_empty() { String::new() } else { format!(", {}", self.recipe.client) };
        format!("built from Debian {}{client}", self.recipe.suite)
    }

    /// How the image differs from AWS's, in sentences.
    pub(super) fn differences(&self) -> Vec<String> {
        let suite = &self.recipe.suite;
        let (system, glibc) = match self.runtime.identifier.as_str() {
            "provided.al2" | "java17" | "java11" | "java8.al2" | "python3.11" | "python3.10" => {
                ("Amazon Linux 2", "2.26")
            }
            _ => ("Amazon Linux 2023", "2.34"),
        };
        let has = match suite.as_str() {
            "bookworm" => "2.36",
            "trixie" => "2.41",
            _ => "2.42 or newer",
        };
        let mut sentences = vec![
            format!("The operating system is Debian {suite}, not {system}."),
            format!(
                "The C library is glibc {has}, not {glibc}: what is built for {system} runs here; what is built here need not run there."
            ),
            "The locale en_US.UTF-8 sorts by code point.".to_owned(),
            "dnf, rpm and microdnf are not there.".to_owned(),
        ];
        match self.runtime.family.as_str() {
            "python" => sentences.push("pip is not there; Python is Debian's, and /var/lang/bin leads to it.".to_owned()),
            "nodejs" => sentences.push(
                "Of the AWS SDK for JavaScript v3, the clients that are used most are there, not all; npm is not there.".to_owned(),
            ),
            "java" => sentences.push("Java is Debian's OpenJDK without its desktop parts, not Amazon Corretto.".to_owned()),
            _ => {}
        }
        sentences
    }

    /// The content of `/usr/share/bojagi/base-image.json`. The build leaves lists of what it installed in `work`.
    pub(super) fn description(&self, work: &Path) -> io::Result<String> {
        let lines = |name: &str| match std::fs::read_to_string(work.join(name)) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect::<Vec<_>>()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let description = json!({
            "runtime": self.runtime.identifier,
            "architecture": self.architecture.as_str(),
            "source": self.source(),
            "differencesFromAws": self.differences(),
            "debianPackages": lines("root.packages")?,
            "libraries": lines("libraries")?,
        });
        Ok(format!("{description:#}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_of_the_catalogue_has_its_scripts() {
        for runtime in bojagi_model::runtime::all() {
            let plan = Plan::of(runtime, Architecture::X86_64);
            assert_eq!(plan.is_some(), runtime.recipe.is_some(), "{}", runtime.identifier);
            if let Some(plan) = plan {
                assert!(plan.differences().len() >= 4);
                // The scripts split these lists at blanks.
                let recipe = plan.recipe;
                let words = recipe.packages.iter().chain(&recipe.libraries).chain(&runtime.command);
                assert!(
                    words.chain([&recipe.client, &recipe.interpreter]).all(|word| !word.contains(char::is_whitespace))
                );
            }
        }
    }

    #[test]
    fn the_digest_tells_recipes_apart() {
        let digest =
            |name| Plan::of(bojagi_model::runtime::find(name).expect(name), Architecture::X86_64).expect(name).digest();
        assert_ne!(digest("python3.11"), digest("python3.13"));
        assert_eq!(digest("python3.11"), digest("python3.11"));
        assert_eq!(digest("java17").len(), 64);
    }
}
