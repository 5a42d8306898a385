//! Where requests go, and what is an address.

use keysherd_wire::{Field, Text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::Settings;
use crate::testing::way;

const URL: Field<Text> = Field::text("url", "Where.");
const FIELDS: &keysherd_wire::Group = &keysherd_wire::Group { title: "T", fields: &[URL.spec()] };

fn base() -> Url {
    Url::parse("https://host.example:8443/api/").unwrap()
}

#[test]
fn a_name_is_one_segment_whatever_is_in_it() {
    for (name, want) in [
        ("user", "user"),
        ("/", "%2F"),
        ("a/../b", "a%2F..%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
        ("a b;'\"\\$", "a%20b;'%22%5C$"),
        ("\u{e9}", "%C3%A9"),
    ] {
        let url = below(&base(), &["users", name], &[]).unwrap();
        assert_eq!(url.as_str(), format!("https://host.example:8443/api/users/{want}"));
        assert_eq!(url.path_segments().unwrap().count(), 3, "{name}");
    }
    for name in ["", ".", "..", ".\n.", "\t", "a\r\nb", "\u{7f}"] {
        assert!(below(&base(), &["users", name], &[]).is_err(), "{name:?}");
    }
    let url = below(&base(), &[], &[("a", "x&b=1#")]).unwrap();
    assert_eq!(url.query(), Some("a=x%26b%3D1%23"));
}

#[test]
fn addresses_are_web_addresses_without_anything_to_hide() {
    for good in ["https://h.example", "http://[::1]:8080/a?b", "https://1.2.3.4"] {
        assert!(web_url("url", good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "h.example",
        "ftp://h.example",
        "file:///etc/passwd",
        "https://",
        "https://user@h.example",
        "https://:canary@h.example",
        "https://h.example/#f",
        "https://h.example/a b",
        "https://h.example/\n",
    ] {
        let fault = web_url("url", bad).unwrap_err();
        assert!(fault.public().contains("'url'"), "{bad}: {fault}");
        assert!(!fault.public().contains("canary"), "{bad}: {fault}");
    }
    assert!(web_url("url", &format!("https://h.example/{}", "a".repeat(2_048))).is_err());
}

#[test]
fn gateways_of_others_do_not_go_into_their_own_networks() {
    let mut args = keysherd_wire::Args::new();
    args.put("url", "http://127.0.0.1:9".into());
    let settings = Settings::merged(FIELDS, &args, Settings::default(), &[]).unwrap();
    let given = HttpGiven { url: Named::of(&settings, &URL), authority: None, identity: None };
    let server = HttpServer::new(given).unwrap();
    assert_eq!(server.warning(), None);
    assert!(server.open(&way()).is_ok());
    let apart = Way { egress: way().egress.elsewhere(), ..way() };
    let fault = server.open(&apart).err().unwrap();
    assert!(fault.public().contains("--allow-local-targets"), "{fault}");
}

#[tokio::test]
async fn what_somebody_signs_in_with_is_in_no_log_though_a_server_repeats_it() {
    // It answers with the request, as some do that were set up to find errors.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = vec![0; 4_096];
            let length = stream.read(&mut heard).await.unwrap();
            let head = format!("HTTP/1.1 400 No\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&heard[..length]).await.unwrap();
        }
    });
    let mut args = keysherd_wire::Args::new();
    args.put("url", url.as_str().into());
    let settings = Settings::merged(FIELDS, &args, Settings::default(), &[]).unwrap();
    let given = HttpGiven { url: Named::of(&settings, &URL), authority: None, identity: None };
    let http = HttpServer::new(given).unwrap().open(&way()).unwrap();
    let secret = SecretString::new("canary-secret".to_owned());
    let call = |path| http.call("GET", &[path]).unwrap();
    let basic = call("basic").basic("admin", &secret).send().await.unwrap();
    let bearer = call("bearer").bearer(&secret).send().await.unwrap();
    for (reply, shown) in [(basic, "YWRtaW46Y2FuYXJ5LXNlY3JldA"), (bearer, "canary")] {
        assert!(String::from_utf8_lossy(reply.body()).contains(shown));
        let fault = format!("{:?}", reply.fault("asking", &[]));
        assert!(!fault.contains(shown), "{fault}");
    }
    let plain = call("plain").send().await.unwrap().fault("asking", &[]);
    assert!(format!("{plain:?}").contains("GET /plain"), "{plain:?}");
}
