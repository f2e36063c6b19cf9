//! A CONNECT proxy.

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::receiver::Record;
use crate::script::read;

/// Reads one CONNECT, connects and passes everything on. With `wanted`, the value of Proxy-Authorization, others get 407;
/// a target that cannot be reached gets 502.
pub(crate) async fn proxy(mut stream: TcpStream, connection: usize, wanted: Option<&str>, record: &Arc<Record>) {
    let Some(seen) = read(&mut stream, connection).await else { return };
    record.saw(seen.clone());
    let target = seen.head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let refusal = if target.is_empty() {
        Some("405 Method Not Allowed")
    } else if wanted.is_some() && seen.field("proxy-authorization") != wanted {
        Some("407 Proxy Authentication Required")
    } else {
        None
    };
    if let Some(status) = refusal {
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        return;
    }
    let Ok(mut other) = TcpStream::connect(target).await else {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
        return;
    };
    if stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
    }
}
