//! The part of a service model that the generator reads. Anything it does not know and cannot ignore ends the build.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// `models/supported.json`: the supported operations by service.
pub type Supported = BTreeMap<String, Vec<String>>;

/// `models/corrections.json`: where AWS is known to behave otherwise than its model says.
pub type Corrections = BTreeMap<String, ServiceCorrections>;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceCorrections {
    /// The error code of a constraint violation.
    pub validation_code: String,
    /// Whether messages leave the offending value out.
    pub hide_values: bool,
    pub shapes: BTreeMap<String, ShapeCorrection>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ShapeCorrection {
    /// The service itself, not the constraint, refuses values outside the enum.
    pub unchecked_enum: bool,
    /// How the message spells the pattern.
    pub shown_pattern: Option<String>,
    /// The pattern as the regex engine can take it.
    pub regex: Option<String>,
    /// The list of constraints of a list's or map's members does not include that they must not be null.
    pub nullable_members: bool,
    /// A string that an answer carries percent-encoded.
    pub url_encoded_output: bool,
    /// Why. Required of every correction, read by people.
    #[serde(rename = "because")]
    pub _because: String,
}

#[derive(serde::Deserialize)]
pub struct Model {
    pub metadata: Metadata,
    pub operations: BTreeMap<String, Operation>,
    pub shapes: BTreeMap<String, Shape>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub api_version: String,
    pub protocol: String,
    pub xml_namespace: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    pub http: Http,
    pub input: Option<Reference>,
    pub output: Option<Reference>,
    #[serde(default)]
    pub errors: Vec<Reference>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    pub request_uri: String,
    pub response_code: Option<u16>,
}

#[derive(serde::Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    pub shape: String,
    pub location: Option<String>,
    pub location_name: Option<String>,
    pub result_wrapper: Option<String>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(deserialize_with = "ordered")]
    pub members: Vec<(String, Reference)>,
    pub required: Vec<String>,
    pub payload: Option<String>,
    pub member: Option<Reference>,
    pub key: Option<Reference>,
    pub value: Option<Reference>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    #[serde(rename = "enum")]
    pub values: Vec<String>,
    pub sensitive: bool,
    pub flattened: bool,
    pub eventstream: bool,
    pub exception: bool,
    pub fault: bool,
    pub error: Option<ErrorTrait>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorTrait {
    pub code: Option<String>,
    pub http_status_code: Option<u16>,
}

/// A structure's members in the model's order, which a map sorted by name would lose.
fn ordered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Reference)>, D::Error> {
    Map::<String, Value>::deserialize(deserializer)?
        .into_iter()
        .map(|(name, value)| {
            serde_json::from_value(value).map(|member| (name, member)).map_err(serde::de::Error::custom)
        })
        .collect()
}

impl Model {
    /// The shape of that name.
    pub fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or_else(|| panic!("the model names shape {name} and does not have it"))
    }
}
