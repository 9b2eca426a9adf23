//! What a build needs of this machine: tools, and Debian mirrors as this machine is configured for them.

use std::path::Path;
use std::process::Stdio;

use bojagi_model::Architecture;
use bojagi_model::runtime::Runtime;
use tokio::process::Command;

/// Where Debian publishes its packages when the machine does not say otherwise. Content is authenticated by signature.
const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY_MIRROR: &str = "http://deb.debian.org/debian-security";
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

/// What fetches and unpacks AWS's public images.
const PULLING: [&str; 3] = ["skopeo", "umoci", "util-linux"];

/// The Debian packages whose tools preparing the base image of this runtime needs on this machine, whichever way it is prepared.
/// What the image itself is made of, and compilers, are downloaded into the build.
pub fn required_debian_packages(runtime: &Runtime) -> Vec<&'static str> {
    let mut packages = for_building(runtime);
    packages.extend(PULLING.iter().filter(|package| **package != "util-linux"));
    packages
}

fn for_building(runtime: &Runtime) -> Vec<&'static str> {
    let mut packages = vec!["mmdebstrap", "debian-archive-keyring", "python3", "ca-certificates", "util-linux", "tar"];
    if runtime.family == "python" {
        packages.push("python3-venv");
    }
    packages
}

/// What is not there of what building from Debian's packages needs.
pub(super) async fn missing_for_building(runtime: &Runtime) -> Vec<String> {
    missing(for_building(runtime)).await
}

/// What is not there of what pulling AWS's image needs.
pub(super) async fn missing_for_pulling() -> Vec<String> {
    missing(PULLING.to_vec()).await
}

async fn missing(packages: Vec<&'static str>) -> Vec<String> {
    let mut missing = Vec::new();
    for package in packages {
        let there = match package {
            "debian-archive-keyring" => keyring().is_some(),
            "ca-certificates" => Path::new("/etc/ssl/certs").is_dir(),
            "util-linux" => in_path("unshare"),
            // Either is enough: pip itself, or what makes one.
            "python3-venv" => python_has("pip").await || python_has("ensurepip").await,
            tool => in_path(tool),
        };
        if !there {
            missing.push(package.to_owned());
        }
    }
    missing
}

fn in_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

async fn python_has(module: &str) -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", &format!("import {module}")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.kill_on_drop(true).status().await.is_ok_and(|status| status.success())
}

/// The keys that sign Debian's package lists.
pub(super) fn keyring() -> Option<&'static str> {
    KEYRINGS.into_iter().find(|path| Path::new(path).is_file())
}

/// Debian's name of an instruction set, and OCI's.
pub(super) fn debian_architecture(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "amd64",
        Architecture::Arm64 => "arm64",
    }
}

/// The mirrors of Debian and of its security updates: those this machine uses, if it is a Debian machine.
pub(super) async fn mirrors() -> (String, String) {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)", "Created-By: Packages"]);
    let output = apt.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let targets = match &output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout),
        _ => "".into(),
    };
    pick_mirrors(&targets)
}

fn pick_mirrors(targets: &str) -> (String, String) {
    let find = |label: &str| {
        targets.lines().find_map(|line| {
            let mut fields = line.split('\t');
            let matches = fields.next() == Some("Debian") && fields.next() == Some(label);
            fields.next().filter(|uri| matches && (uri.starts_with("http://") || uri.starts_with("https://")))
        })
    };
    let plain = |uri: &str| uri.trim_end_matches('/').to_owned();
    (plain(find("Debian").unwrap_or(MIRROR)), plain(find("Debian-Security").unwrap_or(SECURITY_MIRROR)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_come_from_a_debian_machine_only() {
        let debian = "Docker\tDocker CE\thttps://download.docker.com/linux/debian/\n\
                      Debian\tDebian-Security\thttps://mirror.example/debian-security/\n\
                      Debian\tDebian\thttps://mirror.example/debian/\n";
        let default = (MIRROR.to_owned(), SECURITY_MIRROR.to_owned());
        let mirrors = ("https://mirror.example/debian".to_owned(), "https://mirror.example/debian-security".to_owned());
        for (targets, expected) in [
            (debian, mirrors),
            ("Ubuntu\tUbuntu\thttp://archive.ubuntu.com/ubuntu/\n", default.clone()),
            ("Debian\tDebian\tfile:/srv/debian/\n", default.clone()),
            ("", default),
        ] {
            assert_eq!(pick_mirrors(targets), expected, "{targets}");
        }
    }

    #[test]
    fn a_python_image_needs_something_to_unpack_wheels() {
        let packages = |name| required_debian_packages(bojagi_model::runtime::find(name).expect(name));
        assert!(packages("python3.13").contains(&"python3-venv"));
        assert!(!packages("provided.al2023").contains(&"python3-venv"));
        assert!(packages("java21").contains(&"mmdebstrap"));
        assert!(packages("java21").contains(&"skopeo"));
    }
}
