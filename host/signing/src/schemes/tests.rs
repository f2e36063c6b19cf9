//! Test vectors of RFC 9421: section 4.3 and appendix B.2, those of requests, with the keys of appendix B.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use hookwright_model::{Header, Timestamp};
use p256::ecdsa::signature::Verifier as _;
use sha2::Sha512;

use super::message::{Parameters, Request, base};
use crate::keys::{Algorithm, Family, Key};
use crate::signed::Unsigned;

const SHARED_SECRET: &str = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----";
const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----";
const RSA_PSS: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----";

/// The signature base of the request `test-request` of appendix B.2.
fn base_of(components: &[&str], parameters: &Parameters<'_>) -> String {
    let headers: Vec<Header> = [
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        ("Content-Length", "18"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let url = "https://example.com/foo?param=Value&Pet=dog";
    let body = Bytes::from_static(b"{\"hello\": \"world\"}");
    let unsigned = Unsigned {
        id: "1",
        time: Timestamp::default(),
        method: "POST",
        url,
        webhook: None,
        event_type: "",
        headers: &headers,
        content_type: "",
        body: &body,
        envelope: None,
    };
    let request = Request::new("POST", url, &[], &unsigned).unwrap();
    let components: Vec<String> = components.iter().map(|&name| name.to_owned()).collect();
    base(&request.lines(&components).unwrap(), &parameters.written(&components))
}

fn parameters(keyid: &str) -> Parameters<'_> {
    Parameters { created: 1_618_884_473, expires: None, keyid, alg: None, nonce: None, tag: None }
}

fn verify_pss(base: &str, signature: &str) {
    let key = rsa::RsaPublicKey::from_public_key_pem(RSA_PSS).unwrap();
    let signature = rsa::pss::Signature::try_from(STANDARD.decode(signature).unwrap().as_slice()).unwrap();
    let verifier = rsa::pss::VerifyingKey::<Sha512>::new(key);
    verifier.verify(base.as_bytes(), &signature).unwrap();
    assert!(verifier.verify(b"another", &signature).is_err());
}

#[test]
fn b_2_1_covers_nothing_with_rsa_pss() {
    let base = base_of(&[], &Parameters { nonce: Some("b3k2pp5k7z-50gnwp.yemd"), ..parameters("test-key-rsa-pss") });
    assert_eq!(
        base,
        "\"@signature-params\": ();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\""
    );
    verify_pss(
        &base,
        "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG\
         52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVro\
         gUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ\
         98Xw9Q==",
    );
}

#[test]
fn b_2_2_covers_some_with_rsa_pss() {
    verify_pss(
        &base_of(&["@authority", "content-digest"], &parameters("test-key-rsa-pss")),
        "Fee1uy9YGZq5UUwwYU6vz4dZNvfw3GYrFl1L6YlVIyUMuWswWDNSvql4dVtSeidYjYZUm7SBCENIb5KYy2ByoC3bI+7gydd2i4OAT5lyDtmeapnA\
         a8uP/b9xUpg+VSPElbBs6JWBIQsd+nMdHDe+ls/IwVMwXktC37SqsnbNyhNp6kcvcWpevjzFcD2VqdZleUz4jN7P+W5A3wHiMGfIjIWn36KXNB+R\
         KyrlGnIS8yaBBrom5rcZWLrLbtg6VlrH1+/07RV+kgTh/l10h8qgpl9zQHu7mWbDKTq0tJ8K4ywcPoC4s2I4rU88jzDKDGdTTQFZoTVZxZmuTM1F\
         vHfzIw==",
    );
}

#[test]
fn b_2_3_covers_everything_with_rsa_pss() {
    let components =
        ["date", "@method", "@path", "@query", "@authority", "content-type", "content-digest", "content-length"];
    let base = base_of(&components, &parameters("test-key-rsa-pss"));
    assert!(base.contains("\n\"@method\": POST\n\"@path\": /foo\n\"@query\": ?param=Value&Pet=dog\n"), "{base}");
    verify_pss(
        &base,
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fU\
         xN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA\
         1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKE\
         gM4cUA==",
    );
}

#[test]
fn b_2_5_matches_with_hmac() {
    let base = base_of(&["date", "@authority", "content-type"], &parameters("test-shared-secret"));
    assert_eq!(
        base,
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\"content-type\": application/json\n\
         \"@signature-params\": (\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\""
    );
    let key = Key::read(Family::Secret, &STANDARD.decode(SHARED_SECRET).unwrap()).unwrap();
    let signature = key.sign(Algorithm::HmacSha256, &[base.as_bytes()]).unwrap();
    assert_eq!(STANDARD.encode(signature), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
}

#[test]
fn b_2_6_and_b_2_7_match_with_ed25519() {
    let private = ed25519_dalek::SigningKey::from_pkcs8_pem(ED25519).unwrap().to_pkcs8_der().unwrap();
    let key = Key::read(Family::Ed25519, private.as_bytes()).unwrap();
    let components = ["date", "@method", "@path", "@authority", "content-type", "content-length"];
    for (tag, wanted) in [
        (None, "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="),
        (Some("tag-b27"), "pDPhW4vxi28JZfogrM4NLeYhZKW+TYDko8KtzCFoTOFeGCCSivD0iVcIuT9gqM6AtGfgzqQU/GaoLqh8sC6bCg=="),
    ] {
        let base = base_of(&components, &Parameters { tag, ..parameters("test-key-ed25519") });
        let signature = key.sign(Algorithm::Ed25519, &[base.as_bytes()]).unwrap();
        assert_eq!(STANDARD.encode(signature), wanted, "{base}");
    }
}

#[test]
fn section_4_3_verifies_with_ecdsa() {
    let components = ["@method", "@authority", "@path", "content-digest", "content-type", "content-length"];
    let base = base_of(&components, &Parameters { created: 1_618_884_475, ..parameters("test-key-ecc-p256") });
    let bytes = STANDARD
        .decode("X5spyd6CFnAG5QnDyHfqoSNICd+BUP4LYMz2Q0JXlb//4Ijpzp+kve2w4NIyqeAuM7jTDX+sNalzA8ESSaHD3A==")
        .unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
    p256::ecdsa::VerifyingKey::from_public_key_pem(P256).unwrap().verify(base.as_bytes(), &signature).unwrap();
}
