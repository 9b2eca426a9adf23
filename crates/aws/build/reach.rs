//! Which shapes the supported operations reach, and in which direction.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Model;

/// How a shape is used.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Direction {
    pub input: bool,
    pub output: bool,
}

pub struct Reach {
    /// Reached shapes by name.
    pub shapes: BTreeMap<String, Direction>,
    /// Supported operations.
    pub operations: Vec<String>,
}

impl Reach {
    pub fn of(model: &Model, operations: &[String]) -> Reach {
        let mut reach = Reach { shapes: BTreeMap::new(), operations: operations.to_vec() };
        for name in operations {
            let operation = model.operations.get(name).unwrap_or_else(|| panic!("supported.json: no operation {name}"));
            if let Some(input) = &operation.input {
                reach.visit(model, &input.shape, Direction { input: true, output: false }, &mut Vec::new());
            }
            if let Some(output) = &operation.output {
                reach.visit(model, &output.shape, Direction { input: false, output: true }, &mut Vec::new());
            }
        }
        reach
    }

    /// Shapes that another reached shape holds: all but the operations' own inputs and outputs.
    pub fn held(&self, model: &Model) -> BTreeSet<String> {
        let shapes = self.shapes.keys().map(|name| model.shape(name));
        let references = shapes.flat_map(|shape| {
            let members = shape.members.iter().map(|(_, member)| member);
            members.chain(&shape.member).chain(&shape.key).chain(&shape.value)
        });
        references.map(|reference| reference.shape.clone()).collect()
    }

    fn visit(&mut self, model: &Model, name: &str, direction: Direction, path: &mut Vec<String>) {
        assert!(!path.iter().any(|seen| seen == name), "{name} contains itself, which structs by value cannot");
        let seen = self.shapes.entry(name.to_owned()).or_default();
        let known = (!direction.input || seen.input) && (!direction.output || seen.output);
        seen.input |= direction.input;
        seen.output |= direction.output;
        if known {
            return;
        }
        let shape = model.shape(name);
        assert!(!shape.eventstream && !shape.flattened, "{name}: event streams and flattened lists are not generated");
        path.push(name.to_owned());
        let members = shape.members.iter().map(|(_, member)| member);
        for reference in members.chain(&shape.member).chain(&shape.key).chain(&shape.value) {
            self.visit(model, &reference.shape, direction, path);
        }
        path.pop();
    }
}
