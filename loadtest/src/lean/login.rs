//! A login to a paper account on a bare socket.

use super::handshake::shake_hands;
use crate::client::dial;
use crate::frames::{TEXT, Walker, put_client_frame};
use crate::target::Target;
use anyhow::{Result, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Returns the stream behind the answer, and where in its frames it stands.
pub(crate) async fn log_in(target: &Target, account: &str) -> Result<(TcpStream, Walker)> {
    let mut stream = dial(target, Default::default()).await?;
    let mut rest = shake_hands(&mut stream, target, false).await?;
    let login = serde_json::json!({"action": "auth", "id": 1, "account": account}).to_string();
    let mut request = Vec::new();
    put_client_frame(&mut request, TEXT, login.as_bytes());
    stream.write_all(&request).await?;
    let (mut walker, mut logged_in) = (Walker::default(), false);
    loop {
        walker.walk(&rest, |frame| logged_in |= memmem::find(frame.payload, br#""auth_ack""#).is_some())?;
        if logged_in {
            return Ok((stream, walker));
        }
        rest.clear();
        ensure!(stream.read_buf(&mut rest).await? > 0, "closed during the login");
    }
}
