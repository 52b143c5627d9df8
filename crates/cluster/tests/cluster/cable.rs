//! A connection to etcd that can be cut.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// It ends when it is dropped.
pub(crate) struct Cable {
    port: u16,
    plugged: watch::Sender<bool>,
}

impl Cable {
    /// A cable to an address like `http://127.0.0.1:2379`.
    pub(crate) async fn to(endpoint: &str) -> Cable {
        let there = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (plugged, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (there, mut state) = (there.clone(), state.clone());
                if !*state.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(there).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|plugged| !plugged) => {}
                    }
                });
            }
        });
        Cable { port, plugged }
    }

    /// This end, as an endpoint.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cuts all connections and takes no new ones, or takes them again.
    pub(crate) fn plug(&self, plugged: bool) {
        self.plugged.send_replace(plugged);
    }
}
