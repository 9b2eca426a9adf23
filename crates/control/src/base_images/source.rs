//! From what a base image can be made here: AWS's public image, Debian's packages, or both in this order.

use bojagi_model::Architecture;
use bojagi_model::runtime::{self, Runtime};

use super::BuildError;
use super::pull::{PublicImages, Pull};
use super::recipe::Plan;

/// What a base image is to be made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// AWS's public image where it can be had, else Debian's packages.
    #[default]
    Any,
    /// AWS's public image only.
    Aws,
    /// Debian's packages only.
    Debian,
}

/// The ways there are for one image; at least one.
pub(super) struct Sources {
    pub(super) runtime: &'static Runtime,
    pub(super) architecture: Architecture,
    /// Tried first.
    pub(super) pull: Option<Pull>,
    /// Tried then.
    pub(super) plan: Option<Plan>,
}

impl Sources {
    /// The ways to a runtime's image. `registry` is where AWS's images are; none: nothing is pulled.
    pub(super) fn of(
        identifier: &str,
        architecture: Architecture,
        registry: Option<&PublicImages>,
        origin: Origin,
    ) -> Result<Sources, BuildError> {
        let runtime = runtime::find(identifier).ok_or_else(|| BuildError::UnknownRuntime(identifier.to_owned()))?;
        let pull = registry.filter(|_| origin != Origin::Debian);
        let pull = pull.and_then(|registry| Pull::of(runtime, architecture, registry));
        let plan = Plan::of(runtime, architecture).filter(|_| origin != Origin::Aws);
        match (&pull, &plan, origin) {
            (None, None, Origin::Aws) => Err(BuildError::NotFromAws(identifier.to_owned())),
            (None, None, _) => Err(BuildError::NotFromDebian(identifier.to_owned())),
            _ => Ok(Sources { runtime, architecture, pull, plan }),
        }
    }

    /// What the metadata of an image from one of these says.
    pub(super) fn recipes(&self) -> impl Iterator<Item = String> {
        self.pull.as_ref().map(Pull::recipe).into_iter().chain(self.plan.as_ref().map(Plan::digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_decides_what_is_tried() {
        let registry: PublicImages = PublicImages::AWS.parse().expect("AWS's own");
        let ways = |name: &str, registry, origin| {
            let sources = Sources::of(name, Architecture::X86_64, registry, origin);
            sources.map(|sources| (sources.pull.is_some(), sources.plan.is_some())).map_err(|error| error.to_string())
        };
        assert_eq!(ways("python3.13", Some(&registry), Origin::Any), Ok((true, true)));
        assert_eq!(ways("python3.13", None, Origin::Any), Ok((false, true)));
        assert_eq!(ways("python3.13", Some(&registry), Origin::Debian), Ok((false, true)));
        assert_eq!(ways("dotnet8", Some(&registry), Origin::Any), Ok((true, false)));
        for (name, registry, origin, expected) in [
            ("python3.13", None, Origin::Aws, "AWS's public image of python3.13 cannot be pulled"),
            ("go1.x", Some(&registry), Origin::Aws, "AWS's public image of go1.x cannot be pulled"),
            ("dotnet8", Some(&registry), Origin::Debian, "cannot be built from Debian's packages"),
            ("dotnet8", None, Origin::Any, "cannot be built from Debian's packages"),
            ("cobol74", Some(&registry), Origin::Any, "there is no runtime cobol74"),
        ] {
            let refused = ways(name, registry, origin).expect_err(name);
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
