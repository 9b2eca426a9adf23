//! Who a key belongs to.

use bojagi_control::identity::Unidentified;
use bojagi_engine::CredentialSource as _;
use time::Duration;

use crate::support::*;

#[tokio::test]
async fn root_keys_development_keys_and_nobody() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let root = plane.control.root_key(account()).await.unwrap();
    assert!(root.access_key_id.starts_with("AKIA") && root.access_key_id.len() == 20, "{}", root.access_key_id);
    assert_eq!(root.secret_access_key.len(), 40);
    plane.close().await;

    let plane = Plane::open(parent.path(), Options::default()).await;
    let control = &plane.control;
    assert_eq!(control.root_key(account()).await.unwrap(), root, "the same after a restart");
    let identity = control.identify(&root.access_key_id, None).await.unwrap();
    assert_eq!(identity.secret_access_key, root.secret_access_key);
    assert_eq!(identity.principal.arn, "arn:aws:iam::111111111111:root");
    assert!(!identity.principal.development);
    for (key, account) in [("test", "000000000000"), ("123456789012", "123456789012")] {
        let identity = control.identify(key, None).await.unwrap();
        assert_eq!((identity.principal.account.as_str(), identity.secret_access_key.as_str()), (account, "test"));
        assert!(identity.principal.development);
    }
    for key in ["AKIAIOSFODNN7EXAMPLE", "Test", "12345678901", ""] {
        let outcome = control.identify(key, None).await;
        assert!(matches!(outcome, Err(Unidentified::UnknownAccessKey)), "{key}");
    }
    let second = control.create_access_key(account()).await.unwrap();
    assert!(control.identify(&second.access_key_id, None).await.is_ok());
    assert!(control.delete_access_key(&second.access_key_id).await.unwrap());
    assert!(control.identify(&second.access_key_id, None).await.is_err(), "deleted, also from memory");
    plane.close().await;
}

#[tokio::test]
async fn credentials_of_a_function() {
    let parent = tempfile::tempdir().unwrap();
    let plane = Plane::open(parent.path(), Options::default()).await;
    let function = plane.control.create_function(&caller(), create("f")).await.unwrap();
    let credentials = plane.credentials.credentials(&function);
    let token = credentials.session_token.as_deref();
    let identity = plane.control.identify(&credentials.access_key_id, token).await.unwrap();
    assert_eq!(identity.secret_access_key, credentials.secret_access_key);
    assert_eq!(identity.principal.account, account());
    assert_eq!(identity.principal.arn, "arn:aws:sts::111111111111:assumed-role/r/f");
    assert!(identity.principal.user_id.starts_with("AROA") && identity.principal.user_id.ends_with(":f"));

    let other = plane.credentials.credentials(&function);
    let crossed = plane.control.identify(&other.access_key_id, token).await;
    assert!(matches!(crossed, Err(Unidentified::InvalidSessionToken)), "a token goes with its own key");
    let without = plane.control.identify(&credentials.access_key_id, None).await;
    assert!(matches!(without, Err(Unidentified::UnknownAccessKey)));
    let forged = plane.control.identify(&credentials.access_key_id, Some("AQAAAAE=")).await;
    assert!(matches!(forged, Err(Unidentified::InvalidSessionToken)));
    *plane.clock.0.lock().unwrap() += Duration::hours(49);
    let late = plane.control.identify(&credentials.access_key_id, token).await;
    assert!(matches!(late, Err(Unidentified::ExpiredSessionToken)));
    plane.close().await;
}
