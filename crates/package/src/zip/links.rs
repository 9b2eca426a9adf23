//! Symbolic links: none may lead out of the package.
//!
//! A relative target is followed through the package's own directories, where every `..` is exact. After a component
//! that is itself a link (or that does not exist) nothing is known of the place, so that no `..` may follow it. As
//! this holds for every link, no chain of links gets above the root either.

use super::content::Archive;
use super::names::components;
use crate::erofs::writer::Source;
use crate::error::{EntryProblem, ZipError};
use crate::nodes::{Kind, Node, NodeTable};

/// Places that belong to the function, to which absolute links are in use: layers, the writable directory, the code.
const FUNCTION_PLACES: [&[&[u8]]; 3] = [&[b"opt"], &[b"tmp"], &[b"var", b"task"]];

/// Checks every link of a finished tree.
pub(super) fn check(archive: &Archive<'_>, table: &NodeTable) -> Result<(), ZipError> {
    let mut target = Vec::new();
    for index in 1..=table.len() as u32 {
        let node = table.node(index);
        if node.kind() == Kind::Symlink {
            target.resize(node.size as usize, 0);
            archive.read(node, &mut target)?;
            check_target(archive.names(), table, node, &target).map_err(|problem| archive.error(node, problem))?;
        }
    }
    Ok(())
}

fn check_target(names: &[u8], table: &NodeTable, link: &Node, target: &[u8]) -> Result<(), EntryProblem> {
    if target.contains(&0) {
        return Err(EntryProblem::BadLinkTarget);
    }
    let contained =
        if target.starts_with(b"/") { is_function_place(target) } else { stays(names, table, link, target) };
    if contained { Ok(()) } else { Err(EntryProblem::LinkEscapes) }
}

fn is_function_place(target: &[u8]) -> bool {
    let named = |place: &&[&[u8]]| components(target).zip(place.iter()).filter(|(a, b)| a == *b).count() == place.len();
    FUNCTION_PLACES.iter().any(named) && components(target).all(|component| component != b"..")
}

fn stays(names: &[u8], table: &NodeTable, link: &Node, target: &[u8]) -> bool {
    let mut place = Some(link.parent);
    for component in components(target) {
        place = match (place, component) {
            // The root is its own parent: above it there is nothing of the package.
            (None | Some(0), b"..") => return false,
            (Some(directory), b"..") => Some(table.node(directory).parent),
            (Some(directory), name) => {
                table.find(names, directory, name).filter(|child| table.node(*child).kind() == Kind::Directory)
            }
            (None, _) => None,
        };
    }
    true
}
