//! Streams of exec and port-forward, by WebSocket (RFC 6455): a channel's number is the first byte of each message.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

type Connection = BufReader<TcpStream>;

const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// What a program writes to standard output, to its end.
pub(crate) async fn output(url: &str) -> Result<Vec<u8>> {
    let mut connection = open(url, "", "v4.channel.k8s.io").await?;
    let mut output = Vec::new();
    while let Some(message) = receive(&mut connection).await? {
        match message.split_first() {
            Some((1, bytes)) => output.extend_from_slice(bytes),
            Some((3, bytes)) if !String::from_utf8_lossy(bytes).contains("Success") => {
                bail!("{}", String::from_utf8_lossy(bytes))
            }
            _ => {}
        }
    }
    Ok(output)
}

/// What is answered at a port of a pod.
pub(crate) async fn forwarded(url: &str, port: i32, request: &[u8]) -> Result<String> {
    let mut connection = open(url, &format!("?port={port}"), "v4.channel.k8s.io").await?;
    let mut message = vec![0];
    message.extend_from_slice(request);
    send(&mut connection, BINARY, &message).await?;
    let mut answer = Vec::new();
    let mut begins = [true; 2];
    while let Some(message) = receive(&mut connection).await? {
        let Some((channel, bytes)) = message.split_first() else { continue };
        let Some(begin) = begins.get_mut(usize::from(*channel)) else { bail!("channel {channel}") };
        // The first message of each channel is the port.
        if std::mem::take(begin) {
            continue;
        }
        if *channel == 1 && !bytes.is_empty() {
            bail!("{}", String::from_utf8_lossy(bytes));
        }
        answer.extend_from_slice(bytes);
        if answer.ends_with(b"</END>\n") {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn open(url: &str, query: &str, protocol: &str) -> Result<Connection> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url}: not http"))?;
    let (host, path) = rest.split_once('/').with_context(|| format!("{url}: no path"))?;
    let stream = TcpStream::connect(host).await.with_context(|| format!("connect to {host}"))?;
    let mut connection = BufReader::new(stream);
    let head = format!(
        "GET /{path}{query} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://{host}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(connection.read_u8().await.context("no answer to the upgrade")?);
    }
    let answer = String::from_utf8_lossy(&answer);
    if !answer.starts_with("HTTP/1.1 101") {
        bail!("{url}: {answer}");
    }
    Ok(connection)
}

/// With a mask of zeros, which changes nothing.
async fn send(connection: &mut Connection, kind: u8, message: &[u8]) -> Result<()> {
    let length = u8::try_from(message.len()).ok().filter(|length| *length < 126).context("a long message")?;
    let mut frame = vec![0x80 | kind, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(message);
    Ok(connection.write_all(&frame).await?)
}

/// The next message; nothing at the end.
async fn receive(connection: &mut Connection) -> Result<Option<Vec<u8>>> {
    let Ok(first) = connection.read_u8().await else { return Ok(None) };
    let length = match connection.read_u8().await? & 0x7f {
        126 => connection.read_u16().await?.into(),
        127 => connection.read_u64().await?,
        length => u64::from(length),
    };
    let mut message = Vec::new();
    connection.take(length).read_to_end(&mut message).await?;
    Ok(if first & 0xf == CLOSE { None } else { Some(message) })
}
