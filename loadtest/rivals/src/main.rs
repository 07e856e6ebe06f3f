//! The broadcast server one would write first: a task for each connection, a `tokio::sync::broadcast` channel, one
//! `send` for each message. It has no engine: its messages look like Ringside's trades and are made by a clock.
//!
//! It does what the libraries' own examples do, with two kindnesses: a text is made once and shared by all
//! connections, and the channel is deep. With `--coalesce` a connection writes what has gathered in one go, which is the
//! first thing one would improve. A connection that falls out of the channel loses messages without being told.

use anyhow::Result;
use clap::Parser;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// Messages a connection may be behind.
const CHANNEL_CAPACITY: usize = 16_384;

#[derive(Parser)]
#[command(about = "A plain tokio-tungstenite broadcast server")]
struct Arguments {
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Messages a second to every connection, whatever the connections do
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    frames_per_second: u64,
    /// Messages made at once, as the trades of one large order are
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    burst: u64,
    /// Write what has gathered in one go
    #[arg(long)]
    coalesce: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen).await?;
    println!("ready: ws://{}/", listener.local_addr()?);
    let (sender, _) = broadcast::channel(CHANNEL_CAPACITY);
    tokio::spawn(publish(sender.clone(), arguments.frames_per_second, arguments.burst));
    loop {
        let (stream, _) = listener.accept().await?;
        let (sender, coalesce) = (sender.clone(), arguments.coalesce);
        // A connection that ends is no concern of the others.
        tokio::spawn(async move { _ = serve(stream, sender, coalesce).await });
    }
}

/// By a schedule that waits for nobody: what is due late is made at once.
async fn publish(sender: broadcast::Sender<Utf8Bytes>, per_second: u64, burst: u64) {
    let start = Instant::now();
    let mut bursts = 0;
    loop {
        let due = start + Duration::from_nanos(bursts * burst * 1_000_000_000 / per_second);
        tokio::time::sleep_until(due.into()).await;
        let ts = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        for number in bursts * burst + 1..=(bursts + 1) * burst {
            let text = format!(
                r#"{{"channel":"BTC-USDT","type":"trade","data":{{"trade_id":{number},"seq":{number},"price":"1000.25","quantity":"0.00005","side":"buy","ts":{ts}}}}}"#
            );
            // Without subscribers there is nobody to send to, and that is all right.
            let _ = sender.send(text.into());
        }
        bursts += 1;
    }
}

async fn serve(stream: TcpStream, sender: broadcast::Sender<Utf8Bytes>, coalesce: bool) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        if message?.is_text() {
            break;
        }
    }
    let ack = r#"{"type":"subscription_ack","channel":"BTC-USDT"}"#;
    socket.send(Message::text(ack)).await?;
    let mut news = sender.subscribe();
    let (mut sink, mut requests) = socket.split();
    loop {
        tokio::select! {
            received = news.recv() => match received {
                Ok(text) if coalesce => write_all_there_is(&mut sink, &mut news, text).await?,
                Ok(text) => sink.send(Message::Text(text)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            request = requests.next() => match request {
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
        }
    }
}

async fn write_all_there_is(
    sink: &mut SplitSink<WebSocketStream<TcpStream>, Message>,
    news: &mut broadcast::Receiver<Utf8Bytes>,
    first: Utf8Bytes,
) -> Result<(), Error> {
    sink.feed(Message::Text(first)).await?;
    loop {
        match news.try_recv() {
            Ok(text) => sink.feed(Message::Text(text)).await?,
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return sink.flush().await,
        }
    }
}
