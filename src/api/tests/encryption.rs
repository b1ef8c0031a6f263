//! Whether a trunk's media is encrypted, as the API takes it and shows it.

use super::*;

#[tokio::test]
async fn a_trunks_media_encryption_is_off_until_it_is_chosen_and_then_in_force() {
    let api = Api::new().await;
    let made = api.made("/v1/trunks", json!({"name": "carrier"})).await;
    assert_eq!(made["media_encryption"], "off");
    let path = format!("/v1/trunks/{}", id(&made));
    for (word, encryption) in [
        ("optional", switchboard::MediaEncryption::Optional),
        ("required", switchboard::MediaEncryption::Required),
        ("off", switchboard::MediaEncryption::Off),
    ] {
        let changed = api.call("PATCH", &path, json!({"media_encryption": word})).await;
        assert_eq!((changed.status, changed.body["media_encryption"].as_str()), (StatusCode::OK, Some(word)));
        let directory = api.store.directory().borrow().clone();
        assert_eq!(directory.trunks[id(&made)].media.encryption, encryption);
    }
    let refused = api.call("PATCH", &path, json!({"media_encryption": "maybe"})).await;
    assert_eq!((refused.status, pointers(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/media_encryption"]));
}
