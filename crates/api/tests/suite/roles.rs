//! IAM roles over the query protocol.

use crate::support::*;

const TRUST: &str = "%7B%22Version%22%3A%222012-10-17%22%7D";

#[tokio::test]
async fn a_role_lives() {
    let harness = Harness::start().await;
    let create = format!("Action=CreateRole&RoleName=r&AssumeRolePolicyDocument={TRUST}&Path=%2Fservice%2F");
    let created = harness.query("iam", &create).await;
    assert_eq!((created.status, created.element("Arn")), (200, "arn:aws:iam::000000000000:role/service/r"));
    assert_eq!(created.element("AssumeRolePolicyDocument"), TRUST, "documents travel percent-encoded");
    assert!(created.element("RoleId").starts_with("AROA"));
    let again = harness.query("iam", &create).await;
    again.refused_xml(409, "EntityAlreadyExists", "Role with name r already exists.");
    let malformed = harness.query("iam", "Action=CreateRole&RoleName=s&AssumeRolePolicyDocument=nonsense").await;
    malformed.refused_xml(400, "MalformedPolicyDocument", "This policy contains invalid Json");

    let policy = "arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2Fservice-role%2FAWSLambdaBasicExecutionRole";
    for action in [
        format!("Action=AttachRolePolicy&RoleName=r&PolicyArn={policy}"),
        format!("Action=PutRolePolicy&RoleName=r&PolicyName=inline&PolicyDocument={TRUST}"),
    ] {
        let answer = harness.query("iam", &action).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let attached = harness.query("iam", "Action=ListAttachedRolePolicies&RoleName=r").await;
    assert_eq!(attached.element("PolicyName"), "AWSLambdaBasicExecutionRole");
    let inline = harness.query("iam", "Action=GetRolePolicy&RoleName=r&PolicyName=inline").await;
    assert_eq!(inline.element("PolicyDocument"), TRUST);
    assert!(
        harness.query("iam", "Action=ListRolePolicies&RoleName=r").await.text().contains("<member>inline</member>")
    );
    assert_eq!(harness.query("iam", "Action=ListInstanceProfilesForRole&RoleName=r").await.status, 200);
    assert_eq!(harness.query("iam", "Action=ListRoles").await.element("IsTruncated"), "false");

    let kept = harness.query("iam", "Action=DeleteRole&RoleName=r").await;
    assert_eq!((kept.status, kept.element("Code")), (409, "DeleteConflict"));
    for action in [
        format!("Action=DetachRolePolicy&RoleName=r&PolicyArn={policy}"),
        "Action=DeleteRolePolicy&RoleName=r&PolicyName=inline".to_owned(),
        "Action=DeleteRole&RoleName=r".to_owned(),
    ] {
        let answer = harness.query("iam", &action).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let gone = harness.query("iam", "Action=GetRole&RoleName=r").await;
    gone.refused_xml(404, "NoSuchEntity", "The role with name r cannot be found.");
    harness.stop().await;
}
