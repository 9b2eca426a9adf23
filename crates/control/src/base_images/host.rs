//! What a build needs of this machine.

use bojagi_model::runtime::Recipe;

/// The Debian packages whose tools a build with this recipe needs on this machine.
pub fn required_debian_packages(recipe: &Recipe) -> Vec<&'static str> {
    let _ = recipe;
    Vec::new()
}
