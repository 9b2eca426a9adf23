//! Every operation is reached by its own template, and only by it.

use bojagi_aws::lambda::{Operation, route};

#[test]
fn every_operation_is_reached_by_its_own_template() {
    assert_eq!(Operation::ALL.len(), 91);
    for operation in Operation::ALL {
        let (path, query) = operation.uri().split_once('?').unwrap_or((operation.uri(), ""));
        for ending in ["", "/"] {
            let path = path.replace(['{', '}'], "") + ending;
            let found = route(operation.method(), &path, query).unwrap_or_else(|| panic!("{operation} is not reached"));
            assert_eq!(found.operation, operation, "{path}");
            let labels = operation.uri().split('{').skip(1).filter_map(|part| part.split('}').next());
            labels.for_each(|label| assert_eq!(found.labels.get(label), Some(label), "{path}"));
        }
        assert_eq!(Operation::from_name(operation.name()), Some(operation));
    }
}

#[test]
fn labels_are_decoded_and_odd_paths_lead_nowhere() {
    let found =
        route("GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3A1%3Afunction%3Af%2Fx", "").expect("a label");
    assert_eq!(found.labels.get("FunctionName"), Some("arn:aws:lambda:r:1:function:f/x"));
    assert!(
        route("GET", "/2015-03-31/functions/%FF%00", "").is_some(),
        "what cannot be decoded is for validation to refuse"
    );
    for path in [
        "",
        "/",
        "//",
        "/2015-03-31",
        "/2015-03-31/functions//",
        "/2015-03-31/functions//configuration",
        "2015-03-31/functions",
        "/2015-03-31/functions/f/unknown",
        "/2015-03-31/functions/f/code/x",
    ] {
        assert_eq!(route("GET", path, ""), None, "{path}");
    }
    assert_eq!(route("PATCH", "/2015-03-31/functions", ""), None);
}
