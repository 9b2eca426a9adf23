//! Every operation of the models is routed: supported, or refused by name, in a way that no SDK retries.

use bojagi_aws::{iam, lambda, sts};

use crate::support::*;

#[tokio::test]
async fn lambda_refuses_by_name_what_it_does_not_support() {
    let harness = Harness::start().await;
    assert!(lambda::Operation::ALL.len() >= 91);
    for operation in lambda::Operation::ALL {
        let mut target = String::new();
        for part in operation.uri().split_inclusive(['/', '?', '&']) {
            let (label, end) = part.trim_end_matches(['/', '?', '&']).split_at(0);
            let name = format!("{label}{end}");
            let rest = &part[name.len()..];
            target.push_str(if name.starts_with('{') { "x" } else { &name });
            target.push_str(rest);
        }
        let answer = harness.lambda(operation.method(), &target, "").await;
        if operation.is_supported() {
            assert_ne!(answer.header("x-amzn-errortype"), "NotImplementedException", "{operation}");
        } else {
            let message = format!("The operation {operation} is not supported by Bojagi.");
            answer.refused(501, "NotImplementedException", &message);
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn iam_and_sts_refuse_by_name_what_they_do_not_support() {
    let harness = Harness::start().await;
    for operation in iam::Operation::ALL {
        let answer = harness.query("iam", &format!("Action={operation}")).await;
        if operation.is_supported() {
            assert_ne!(answer.status, 404, "{operation}: {}", answer.text());
        } else {
            let message = format!("The operation {operation} is not supported by Bojagi.");
            answer.refused_xml(501, "NotImplementedException", &message);
        }
    }
    for operation in sts::Operation::ALL.into_iter().filter(|operation| !operation.is_supported()) {
        let answer = harness.query("sts", &format!("Action={operation}")).await;
        answer.refused_xml(501, "NotImplementedException", &format!("The operation {operation} is not supported"));
    }
    harness.query("iam", "Action=Nonsense").await.refused_xml(
        400,
        "InvalidAction",
        "Could not find operation Nonsense",
    );
    harness.stop().await;
}

#[tokio::test]
async fn other_services_and_paths_are_named() {
    let harness = Harness::start().await;
    let answer = harness.call("sqs", Request::new("POST", "/")).await;
    answer.refused(501, "NotImplementedException", "The service sqs is not served by Bojagi.");
    let form = Request::new("POST", "/").header("content-type", "application/x-www-form-urlencoded");
    harness.call("sns", form).await.refused_xml(501, "NotImplementedException", "The service sns is not served");
    let answer = harness.lambda("PATCH", "/2015-03-31/functions", "").await;
    answer.refused(
        404,
        "UnknownOperationException",
        "The service lambda has no operation at PATCH /2015-03-31/functions.",
    );
    harness.stop().await;
}
